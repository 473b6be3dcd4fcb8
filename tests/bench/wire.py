"""Speed of the wire client: `python -m tests.bench.wire`, about two minutes, needs nginx and wrk.

nginx has one core and the generator another; on a machine of one they compete and the figures mean
little. Rounds of wire and of wrk take turns, so that what else the machine does falls on both. Each
round is a process of its own; a figure is the median of the rounds, with the slowest and fastest.
"""

import argparse
import datetime
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

import attrs
import numpy as np
import trio

from flux.clients import wire
from flux.clients.outcome_log import OutcomeLog
from flux.clients.target import Tls
from flux.clients.work import Limits, Work
from flux.clock import Clock, LiveClock
from flux.flows.actions import Flow
from flux.flows.compile import compile_flow
from flux.flows.options import FlowOptions
from flux.flows.step import Step
from flux.habits import Habits
from flux.schemas import ARRIVAL, ROSTER, ErrorCode, Flag, Rows
from flux.stage import Context, Inbox, Outbox, Run
from flux.think import Think, ThinkTable
from flux.units import Duration
from tests.bench.peers.machine import choose_cores, describe_machine, pinned
from tests.bench.peers.target import Target, open_target

ROUNDS = 3
SECONDS = 4.0
_TICK_S = 0.1
_AHEAD_S = 0.2
_MOST_SAMPLES = 400


@attrs.frozen
class Case:
    """One thing that is measured."""

    title: str
    users: int = 0
    """In the closed model; 0: the open one."""
    rate_per_s: float = 0.0
    """Of sessions, with exponential gaps."""
    flow: str = "get"
    """"get", or "register": two steps with random bodies."""
    rest_ns: int = 0
    tls: bool = False
    wrk_connections: int = 0
    """0: wrk has nothing to compare."""


CASES = {
    "get": Case("closed, 32 users, one GET", users=32, wrk_connections=32),
    "tls": Case("the same over TLS", users=32, tls=True, wrk_connections=32),
    "register": Case("closed, 32 users, register in two steps", users=32, flow="register"),
    "open-2k": Case("open, exponential, 2,000/s", rate_per_s=2_000),
    "open-20k": Case("open, exponential, 20,000/s", rate_per_s=20_000),
    "users": Case("closed, 10,000 users, rest 1 s", users=10_000, rest_ns=10**9),
    "busy-users": Case("closed, 10,000 users, no rest", users=10_000),
}


def main() -> None:
    """Measure and print the page, or as a child make one round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--round", nargs=3, metavar=("CASE", "URL", "AUTHORITY"))
    parser.add_argument("--only", choices=CASES, action="append")
    options = parser.parse_args()
    if options.round:
        name, url, authority = options.round
        print(json.dumps(trio.run(_drive, CASES[name], url, authority)))
        return
    for fact, value in describe_machine().items():
        print(f"{fact}: {value}")
    cores = choose_cores()
    with open_target(cores.target) as target:
        for name in options.only or CASES:
            _measure(name, target, cores.generator)


def _measure(name: str, target: Target, core: int) -> None:
    case = CASES[name]
    url = target.tls_url if case.tls else target.url
    rounds, wrk = [], []
    for _ in range(ROUNDS):
        arguments = ["--round", name, url, str(target.authority)]
        rounds.append(
            json.loads(_run([sys.executable, "-m", "tests.bench.wire", *arguments], core))
        )
        if case.wrk_connections:
            wrk.append(_wrk(case, f"{url}/health", core))
    print(f"\n{case.title}")
    for figure in rounds[0]:
        _print(figure, [one[figure] for one in rounds])
    if wrk:
        _print("wrk: requests per second", wrk)
        _print("of wrk", [one["requests per second"] / other for one, other in zip(rounds, wrk)])


def _print(figure: str, values: list[float]) -> None:
    median = statistics.median(values)
    print(f"  {figure:40}{median:14,.2f}   {min(values):,.2f} to {max(values):,.2f}")


def _wrk(case: Case, url: str, core: int) -> float:
    command = ["wrk", "-t1", f"-c{case.wrk_connections}", f"-d{SECONDS:.0f}s", url]
    report = _run(command, core)
    return float(report.partition("Requests/sec:")[2].split()[0])


def _run(command: list[str], core: int) -> str:
    done = subprocess.run(
        pinned(command, core), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _habits(rest_ns: int) -> Habits:
    think = Think(ThinkTable(every=Duration(rest_ns))) if rest_ns else None
    return Habits(think=think)


async def _drive(case: Case, url: str, authority: str) -> dict[str, float]:
    """Make one round and say what was seen of it."""
    parts = urlsplit(url)
    settings = wire.WireSettings(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or 0,
        tls=Tls(ca=pathlib.Path(authority)),
    )
    run = Run(
        name="bench",
        seed=1,
        duration_ns=None,
        tick_ns=round(_TICK_S * 1e9),
        drain_ns=5 * 10**9,
        started_at=datetime.datetime.now(datetime.UTC),
        clock=LiveClock(),
    )
    into, inbox = trio.open_memory_channel[Rows](4)
    outbox, out = trio.open_memory_channel[Rows](64)
    log = OutcomeLog(outbox)
    schema = ROSTER if case.users else ARRIVAL
    limits = Limits(max_in_flight=100_000)
    flow = _flow(case)
    context = Context(run, "bench")
    work = Work(context, inbox, schema, flow, limits, log, _habits(case.rest_ns))
    seen = _Seen()
    memory_bytes = _memory_bytes()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_plan, case, run.clock, into)
        nursery.start_soon(seen.watch, out)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        await wire.drive(work, settings)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        await outbox.aclose()
    grown_bytes = _memory_bytes() - memory_bytes
    return seen.figures(cpu_s, wall_s) | {
        "kB grown per user": grown_bytes / 1000 / (case.users or 1)
    }


def _flow(case: Case) -> Flow:
    health = Step(get="/health")
    names = {"username": "{{random.text(10)}}", "password": "{{random.text(10)}}"}
    register = Step(post="/auth/register", json=names)
    steps = (health,) if case.flow == "get" else (register, Step(post="/auth/register", json=names))
    return compile_flow(steps, seed=1, defaults=FlowOptions())


async def _plan(case: Case, clock: Clock, into: Outbox) -> None:
    """Play the pacer."""
    async with into:
        if case.users:
            spread_ns = 10**9 if case.users > 1000 else 0
            joins = [(n * spread_ns // case.users, n, 1) for n in range(case.users)]
            await into.send(ROSTER.rows(joins))
            await clock.wait_until(round(SECONDS * 1e9))
            return
        gaps = np.random.default_rng(1).exponential(
            1e9 / case.rate_per_s, round(case.rate_per_s * SECONDS)
        )
        dues = np.cumsum(gaps).astype(np.int64)
        edges = np.searchsorted(dues, np.arange(0, SECONDS + 1, _TICK_S) * 1e9)
        for start, end in itertools.pairwise(edges):
            if end > start:
                batch = ARRIVAL.empty(end - start)
                batch["seq"], batch["due_ns"] = np.arange(start, end), dues[start:end]
                await clock.wait_until(int(dues[start] - _AHEAD_S * 1e9))
                await into.send(batch)


class _Seen:
    """Counts of all rows, and times of some batches, so that rows do not count as memory."""

    def __init__(self) -> None:
        self._rows = self._failed = self._opened = 0
        self._samples: list[Rows] = []

    async def watch(self, inbox: Inbox) -> None:
        async for batch in inbox:
            self._rows += len(batch)
            self._failed += int(np.count_nonzero(batch["error"] != ErrorCode.NONE))
            self._opened += int(np.count_nonzero(batch["flags"] & Flag.NEW_CONNECTION))
            if len(self._samples) < _MOST_SAMPLES:
                self._samples.append(batch[::8].copy())

    def figures(self, cpu_s: float, wall_s: float) -> dict[str, float]:
        rows = np.concatenate(self._samples)
        lag_us = (rows["start_ns"] - rows["due_ns"]) / 1e3
        service_us = (rows["end_ns"] - rows["start_ns"]) / 1e3
        return {
            "requests per second": self._rows / wall_s,
            "core used, %": 100 * cpu_s / wall_s,
            "µs of CPU per request": cpu_s / self._rows * 1e6,
            "lag p50, µs": float(np.percentile(lag_us, 50)),
            "lag p99, µs": float(np.percentile(lag_us, 99)),
            "service time p50, µs": float(np.percentile(service_us, 50)),
            "service time p99, µs": float(np.percentile(service_us, 99)),
            "connections opened": self._opened,
            "requests failed": self._failed,
        }


def _memory_bytes() -> int:
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
