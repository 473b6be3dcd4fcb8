"""What it costs the load to be watched: `python -m tests.bench.metrics`, two minutes, needs nginx.

First the pieces of it, in one process that does nothing else: how long an interval takes to be
added up, how long a scrape takes, and the longest stretch of either in which nobody else has a
turn. Then whole runs of the wire client at 5,000/s against nginx, in turn: without anything, and
with the live view on a terminal, a csv file, and Prometheus' text fetched every second. What counts
is how late requests are sent. nginx has a core; where flux and its viewer run is the system's
choice, as it would be for anybody.
"""

import argparse
import json
import os
import pathlib
import pty
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import httpx
import numpy as np
import trio

from flux.collection import Collection
from flux.metrics.meter import Meter
from flux.metrics.names import dialect_of
from flux.metrics.text import OPEN_METRICS, PLAIN, Format, render
from flux.schemas import OUTCOME, Flag, Rows
from flux.stage import Context, Run
from flux.summary import Summary
from tests.bench.peers.machine import choose_cores, describe_machine
from tests.bench.peers.target import open_target
from tests.outcomes import make_context

RATE_PER_S = 5_000
SECONDS = 15
ROUNDS = 3
REPEATS = 20

_PIPELINE = """\
name = "watched"
seed = 1
duration = "{seconds}s"

[[stage]]
use = "exponential"
rate = "{rate}/s"

[[stage]]
use = "http"
target = "{url}"
client = "wire"
step = [{{ get = "/health" }}]

[[stage]]
use = "json"
"""

_CSV = """
[[stage]]
use = "csv"
"""

_PROMETHEUS = """
[[stage]]
use = "prometheus"
port = 0
linger = "0s"
"""

_FIGURES = {"lag p50, µs": "p50", "lag p99, µs": "p99", "lag p99.9, µs": "p99.9", "max": "max"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--each", action="store_true", help="also with each of the three alone")
    options = parser.parse_args()
    for fact, value in describe_machine().items():
        print(f"{fact}: {value}")
    _print_pieces()
    ways = WAYS if options.each else {name: WAYS[name] for name in ("alone", "watched")}
    _print_runs(ways, options.rounds, options.seconds)


# The pieces.


def _print_pieces() -> None:
    print(f"\n{'milliseconds':22}{'interval':>10}{'scrape':>10}{'longest turn':>14}{'kB':>8}")
    for steps in (1, 10, 100):
        for name, form in (("text", PLAIN), ("OpenMetrics", OPEN_METRICS)):
            pieces = trio.run(_measure_pieces, steps, form)
            print(
                f"{f'{steps} steps, {name}':22}" + "{:10.2f}{:10.2f}{:14.2f}{:8.1f}".format(*pieces)
            )


async def _measure_pieces(steps: int, form: Format) -> tuple[float, float, float, float]:
    """Median time of an interval and of a scrape, longest turn, and size."""
    names = [f"step {number}" for number in range(steps)]
    meter = _meter(names)
    taken, made, turns, size = [], [], [], 0
    for summary in _summaries(names):
        turn = _Turns()
        taken.append(await turn.spent(partial(meter.take, summary)))
        turns.append(turn.longest_s)
        turn = _Turns()

        async def scrape() -> None:
            nonlocal size
            size = len(await render(meter, form))

        made.append(await turn.spent(scrape))
        turns.append(turn.longest_s)
    return (
        1e3 * statistics.median(taken),
        1e3 * statistics.median(made),
        1e3 * statistics.median(turns),
        size / 1e3,
    )


class _Turns:
    """Another task that wants to run all the time: how long it has to wait."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def spent(self, work: Callable[[], Any]) -> float:
        """Do it, and say how long that took, less the other task's turns, which take nothing."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._turn)
            await trio.lowlevel.checkpoint()
            began_s = time.perf_counter()
            await work()
            spent_s = time.perf_counter() - began_s
            nursery.cancel_scope.cancel()
        return spent_s

    async def _turn(self) -> None:
        last_s = time.perf_counter()
        while True:
            await trio.lowlevel.checkpoint()
            now_s = time.perf_counter()
            self.longest_s = max(self.longest_s, now_s - last_s)
            last_s = now_s


def _meter(steps: Sequence[str]) -> Meter:
    context: Context = make_context(steps=steps)
    run: Run = context.run
    requests = tuple(("GET", f"/{name}") for name in steps)
    context = attrs.evolve(context, run=run, requests=requests, targets=("nginx",))
    return Meter(context, dialect_of("otel"), 500)


def _summaries(steps: Sequence[str]) -> list[Summary]:
    """A second each, 5,000 requests evenly over the steps."""
    collection = Collection(steps, 10**9)
    random = np.random.default_rng(1)
    for second in range(REPEATS):
        collection.add(_rows(len(steps), second, random))
    *intervals, _ = collection.finish(0, None)
    return intervals


def _rows(steps: int, second: int, random: np.random.Generator) -> Rows:
    rows = OUTCOME.empty(RATE_PER_S)
    rows["step"] = np.arange(RATE_PER_S) % steps
    rows["due_ns"] = rows["start_ns"] = second * 10**9 + np.arange(RATE_PER_S) * 10**5
    rows["end_ns"] = rows["start_ns"] + random.lognormal(14, 1, RATE_PER_S).astype(np.int64)
    rows["end_ns"] = np.minimum(rows["end_ns"], (second + 1) * 10**9 - 1)
    rows["first_byte_ns"] = rows["end_ns"]
    rows["status"], rows["flags"] = 200, int(Flag.FIRST | Flag.LAST | Flag.SUCCESS)
    return rows


# Whole runs.


@attrs.frozen
class Way:
    """How a run is watched."""

    view: bool = False
    """On a terminal."""
    csv: bool = False
    prometheus: bool = False
    """Scraped every second."""


WAYS = {
    "alone": Way(),
    "view": Way(view=True),
    "csv": Way(csv=True),
    "prometheus": Way(prometheus=True),
    "watched": Way(view=True, csv=True, prometheus=True),
}


def _print_runs(ways: Mapping[str, Way], rounds: int, seconds: int) -> None:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    with open_target(choose_cores().target) as target:
        for _ in range(rounds):
            for name, way in ways.items():
                found[name].append(_measure_run(way, target.url, seconds))
    print(f"\n{RATE_PER_S:,}/s for {seconds} s, {rounds} rounds in turn: median (lowest…highest)")
    print(f"{'':22}" + "".join(f"{name:>26}" for name in ways))
    for figure in found["watched"][0]:
        cells = [_cell([one[figure] for one in runs if figure in one]) for runs in found.values()]
        print(f"{figure:22}" + "".join(f"{cell:>26}" for cell in cells))
    more = [
        watched["lag p99, µs"] - alone["lag p99, µs"]
        for alone, watched in zip(found["alone"], found["watched"])
    ]
    print(f"lag p99, watched less alone, µs: {_cell(more)}")


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{statistics.median(values):,.1f} ({min(values):,.1f}…{max(values):,.1f})"


def _measure_run(way: Way, url: str, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="flux-bench-") as name:
        folder = pathlib.Path(name)
        more = (_CSV if way.csv else "") + (_PROMETHEUS if way.prometheus else "")
        ours, theirs = pty.openpty()
        drawing = threading.Thread(target=_draw, args=(ours,))
        drawing.start()
        terminal = theirs if way.view else subprocess.DEVNULL
        process = _start(folder, url, seconds, more, terminal, *([] if way.view else ["--quiet"]))
        os.close(theirs)
        scrapes_s = _scrape_each_second(folder, process) if way.prometheus else []
        process.wait()
        drawing.join()
        os.close(ours)
        figures = _figures(folder)
    if not scrapes_s:
        return figures
    return {
        **figures,
        "scrapes": len(scrapes_s),
        "scrape, ms": 1e3 * statistics.median(scrapes_s),
        "slowest, ms": 1e3 * max(scrapes_s),
    }


def _start(
    folder: pathlib.Path, url: str, seconds: int, more: str, terminal: int, *options: str
) -> "subprocess.Popen[bytes]":
    text = _PIPELINE.format(seconds=seconds, rate=RATE_PER_S, url=url) + more
    (folder / "watched.toml").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "flux", "run", "watched.toml", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )


def _draw(terminal: int) -> None:
    """Be the terminal: take all that is drawn."""
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        return  # the other side is closed


def _scrape_each_second(folder: pathlib.Path, process: "subprocess.Popen[bytes]") -> list[float]:
    """How long each took, seconds."""
    log = folder / "results" / "result_1" / "flux.log"
    scrapes_s: list[float] = []
    with httpx.Client(trust_env=False) as client:
        while process.poll() is None:
            found = re.search(r"metrics are at (\S+)", log.read_text() if log.exists() else "")
            began_s = time.perf_counter()
            try:
                if found is not None:
                    client.get(found[1]).raise_for_status()
                    scrapes_s.append(time.perf_counter() - began_s)
            except httpx.HTTPError:
                pass  # the run is over
            time.sleep(max(0.0, began_s + (1.0 if found else 0.05) - time.perf_counter()))
    return scrapes_s


def _figures(folder: pathlib.Path) -> dict[str, float]:
    result = json.loads((folder / "results" / "result_1" / "result.json").read_text())
    lag = result["latency"]["lag"]
    return {
        **{figure: lag[name] / 1e3 for figure, name in _FIGURES.items()},
        "requests": result["Total"],
        "cores": result["validity"]["generators"][0]["cores"],
    }


if __name__ == "__main__":
    main()
