"""Short runs on worker processes, and what the tests ask of them."""

import datetime
import logging
import pathlib
import textwrap
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from flux.clock import LiveClock
from flux.control import Control
from flux.engine import RunResult, run_pipeline
from flux.graph import Node
from flux.pipeline import Pipeline, load
from flux.schemas import OUTCOME, Rows
from flux.stage import Run, Shard
from flux.workers.opening import open_workers
from flux.workers.pool import WorkerPool
from tests.workers.stages import Rowkeeper

Steer = Callable[[Run, Pipeline], Awaitable[None]]
"""What a test does to a run while it goes on: told the run and the pipeline with its pools."""


def pipeline_of(text: str, tmp_path: pathlib.Path, executor: Any = None) -> Pipeline:
    """A pipeline; with `executor`, that stage stands in the place of `null`."""
    file = tmp_path / "test.toml"
    file.write_text(textwrap.dedent(text))
    pipeline = load(file, environment={})
    return pipeline if executor is None else pipeline.with_stage("null", executor)


async def run_live(
    pipeline: Pipeline, steer: Steer | None = None, *, shard: Shard | None = None
) -> tuple[RunResult, Rows]:
    """Run a pipeline on its workers and keep its rows."""
    keeper = Rowkeeper()
    inputs = tuple(node.name for node in pipeline.executors)
    node = Node("keeper", "keeper", "tests", keeper, inputs, OUTCOME, None)
    pipeline = attrs.evolve(pipeline, nodes=(*pipeline.nodes, node))
    async with open_workers(pipeline) as opened, trio.open_nursery() as nursery:
        run = Run(
            name=pipeline.name,
            seed=pipeline.settings.seed or 0,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=pipeline.settings.drain,
            started_at=datetime.datetime.now().astimezone(),
            clock=LiveClock(),
            shard=shard or Shard(),
            control=Control(),
            log=logging.getLogger("flux.tests.workers"),
        )
        if steer is not None:
            nursery.start_soon(steer, run, opened)
        result = await run_pipeline(opened, run)
        nursery.cancel_scope.cancel()
    return result, keeper.rows


def pids(pipeline: Pipeline) -> list[int]:
    """The processes of a pipeline's pools, in the order of their numbers."""
    return [
        worker.process.pid
        for node in pipeline.nodes
        if isinstance(node.stage, WorkerPool)
        for worker in node.stage.workers
    ]


def planned_columns(rows: Rows) -> list[tuple[int, int, int, int]]:
    """What the plan fixes of each row: seq, session, step and due time."""
    columns = (rows[name].tolist() for name in ("seq", "session", "step", "due_ns"))
    return list(zip(*columns))


def is_alive(pid: int) -> bool:
    """Whether a process is there and is not a zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
