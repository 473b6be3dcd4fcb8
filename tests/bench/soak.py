"""Does anything grow? A steady rate for minutes, with memory, descriptors and tasks sampled.

    python -m tests.bench.soak [--minutes 3] [--rate 2000] [--client wire] [--processes 1]

flux runs in this process, against nginx on the other core, with a csv row for every request. After
the warm-up the samples are cut in thirds: what counts is the median of the last one against that of
the first. The summary has a row of some 2 kB per second, up to six hours; and the allocator settles
slowly. So memory counts as flat below 5 %.
"""

import argparse
import datetime
import logging
import os
import pathlib
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence

import attrs
import trio

from flux.clock import LiveClock
from flux.engine import RunResult, prepare_stages, run_pipeline
from flux.pipeline import Pipeline, load
from flux.stage import Run
from flux.workers.opening import open_workers
from tests.bench.peers.machine import choose_cores
from tests.bench.peers.target import open_target

WARM_UP_S = 30.0
EVERY_S = 1.0

MOST_GROWN_SHARE = 0.05

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_PIPELINE = """\
name = "soak"
seed = 1
duration = "{seconds}s"

[[stage]]
use = "exponential"
rate = "{rate}/s"

[[stage]]
use = "http"
target = "{url}"
client = "{client}"
processes = {processes}
step = [{{ get = "/health", expect = {{ status = 200 }} }}]

[[stage]]
use = "json"

[[stage]]
use = "csv"
"""


@attrs.frozen
class Sample:
    """What was in use at one moment."""

    time_s: float
    rss_bytes: int
    descriptors: int
    tasks: int


@attrs.frozen
class Growth:
    """How a figure went from the first third to the last."""

    name: str
    first: float
    last: float
    unit: str = ""
    is_flat: bool = True

    def __str__(self) -> str:
        verdict = "flat" if self.is_flat else "GROWS"
        return f"{self.name:12} {self.first:10,.1f} → {self.last:10,.1f} {self.unit:4} {verdict}"


def main(arguments: Sequence[str]) -> int:
    """Soak; the exit code is 1 if something grew."""
    options = _parse(arguments)
    cores = choose_cores()
    with open_target(cores.target) as target, tempfile.TemporaryDirectory() as name:
        if cores.apart:
            os.sched_setaffinity(0, {cores.generator})
        folder = pathlib.Path(name)
        text = _PIPELINE.format(
            seconds=round(options.minutes * 60), url=target.url, **_values(options)
        )
        (folder / "soak.toml").write_text(text)
        pipeline = load(folder / "soak.toml", environment={})
        result, samples = trio.run(_soak, pipeline, folder)
    steady = [sample for sample in samples if sample.time_s >= WARM_UP_S]
    if len(steady) < 6 or result.summary is None:
        print("too short to tell")
        return 1
    growths = growths_of(steady)
    total = result.summary.total
    print(
        f"{options}\n{total.requests:,} requests, {total.failures} failures, {len(steady)} samples"
    )
    print(*growths, sep="\n")
    peak = max(sample.rss_bytes for sample in samples) / 2**20
    print(f"peak memory {peak:.1f} MiB; {result.summary.sessions.arrivals_equation()}")
    print(*(f"finding: {finding.text}" for finding in result.summary.findings), sep="\n")
    return 0 if all(growth.is_flat for growth in growths) else 1


def growths_of(steady: Sequence[Sample]) -> list[Growth]:
    """Median of the last third of the samples against that of the first, figure by figure."""
    third = len(steady) // 3

    def medians(figure: Callable[[Sample], float]) -> tuple[float, float]:
        first, last = steady[:third], steady[-third:]
        return statistics.median(map(figure, first)), statistics.median(map(figure, last))

    memory = medians(lambda sample: sample.rss_bytes)
    descriptors = medians(lambda sample: sample.descriptors)
    tasks = medians(lambda sample: sample.tasks)
    return [
        Growth(
            "memory",
            memory[0] / 2**20,
            memory[1] / 2**20,
            unit="MiB",
            is_flat=memory[1] <= (1 + MOST_GROWN_SHARE) * memory[0],
        ),
        # The target is asked on as many connections as requests were ever under way at once.
        Growth("descriptors", *descriptors, is_flat=descriptors[1] - descriptors[0] <= 5),
        Growth("tasks", *tasks, is_flat=tasks[1] - tasks[0] <= 5),
    ]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3, help="how long (default: 3)")
    parser.add_argument("--rate", type=int, default=2000, help="per second (default: 2000)")
    parser.add_argument("--client", choices=["wire", "httpx"], default="wire")
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args(arguments)


def _values(options: argparse.Namespace) -> dict[str, object]:
    return {"rate": options.rate, "client": options.client, "processes": options.processes}


async def _soak(pipeline: Pipeline, folder: pathlib.Path) -> tuple[RunResult, list[Sample]]:
    samples: list[Sample] = []
    async with open_workers(pipeline) as opened, trio.open_nursery() as nursery:
        prepared = await prepare_stages(opened)
        run = Run(
            name=pipeline.name,
            seed=pipeline.settings.seed or 0,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=pipeline.settings.drain,
            started_at=datetime.datetime.now().astimezone(),
            clock=LiveClock(),
            folder=folder,
            log=logging.getLogger("flux.bench.soak"),
        )
        nursery.start_soon(_sample, run, samples)
        result = await run_pipeline(opened, run, prepared=prepared)
        nursery.cancel_scope.cancel()
    return result, samples


async def _sample(run: Run, samples: list[Sample]) -> None:
    while True:
        await run.clock.wait_until(round((len(samples) + 1) * EVERY_S * 1e9))
        samples.append(take_sample(run.clock.now_ns() / 1e9))


def take_sample(time_s: float) -> Sample:
    """What this process uses now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return Sample(
        time_s=time_s,
        rss_bytes=pages * _PAGE_BYTES,
        descriptors=len(os.listdir("/proc/self/fd")),
        tasks=trio.lowlevel.current_statistics().tasks_living,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
