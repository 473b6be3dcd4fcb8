"""How many rows per second the parent takes from its workers, and how long workers take to start.

    python -m tests.bench.workers [PROCESSES] [BATCHES]

`rows` is worker processes that send batches of 1024 made-up rows as fast as they are taken, into
the pool's books and a sink that drops them; `collected` has the collector in the sink's place.
"""

import datetime
import logging
import pathlib
import statistics
import sys
import tempfile
import time
from typing import ClassVar

import attrs
import trio

from flux.clock import LiveClock
from flux.engine import run_pipeline
from flux.graph import Node
from flux.pipeline import Pipeline
from flux.schemas import OUTCOME, Schema
from flux.stage import Context, Inbox, Run
from flux.workers.keys import Processes
from flux.workers.opening import open_workers
from tests.workers.running import pipeline_of
from tests.workers.stages import Flood

REPEATS = 5

TEXT = """
    duration = "10ms"
    [[stage]]
    use = "constant"
    rate = "100/s"
    [[stage]]
    use = "null"
    processes = 1
"""


@attrs.frozen
class Drop:
    """A sink that looks at nothing."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Drop every batch."""
        async for _ in inbox:
            pass


def _pipeline(processes: int, batches: int, *, collected: bool) -> Pipeline:
    executor = Flood(processes=Processes(processes), field=batches)
    with tempfile.TemporaryDirectory() as folder:
        pipeline = pipeline_of(TEXT, pathlib.Path(folder), executor)
    if collected:
        return pipeline
    nodes = [node for node in pipeline.nodes if node.kind != "collector"]
    drop = Node("drop", "drop", "tests", Drop(), ("null",), OUTCOME, None)
    return attrs.evolve(pipeline, nodes=(*nodes, drop))


async def _measure(pipeline: Pipeline) -> tuple[float, float]:
    """Seconds to start the workers, and seconds of the run."""
    began_s = time.perf_counter()
    async with open_workers(pipeline) as opened:
        ready_s = time.perf_counter()
        run = Run(
            name="bench",
            seed=1,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=0,
            started_at=datetime.datetime.now().astimezone(),
            clock=LiveClock(),
            log=logging.getLogger("bench"),
        )
        await run_pipeline(opened, run)
        return ready_s - began_s, time.perf_counter() - ready_s


def main() -> None:
    """Measure and print."""
    given = sys.argv[1:]
    processes, batches = (int(one) for one in (*given, *("2", "1000")[len(given) :]))
    rows = processes * batches * 1024
    starts_s: list[float] = []
    for name, collected in (("rows", False), ("collected", True)):
        rates: list[float] = []
        for _ in range(REPEATS):
            start_s, run_s = trio.run(_measure, _pipeline(processes, batches, collected=collected))
            starts_s.append(start_s)
            rates.append(rows / run_s / 1e6)
        spread = f"{min(rates):.2f} to {max(rates):.2f}"
        print(f"{name:10}{statistics.median(rates):8.2f} M rows/s  ({spread})")
    spread = f"{min(starts_s):.2f} to {max(starts_s):.2f}"
    print(f"{'start':10}{statistics.median(starts_s):8.2f} s for {processes} workers  ({spread})")


if __name__ == "__main__":
    main()
