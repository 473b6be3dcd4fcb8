"""What a worker is given: the stages of its executor, and later the run with its share of it."""

import datetime
import pickle
import sys
import time
from typing import Any

import attrs
import trio

from flux.clock import LiveClock
from flux.errors import FluxError, UsageError
from flux.graph import Node
from flux.guards.manners import Manners
from flux.parts import Parts
from flux.pipeline import Pipeline
from flux.schemas import SAME
from flux.stage import Run, Shard
from flux.workers.keys import ONE
from flux.workers.steering import Change

PER_RUN = ("max_in_flight", "max_connections")
"""Keys of executors that bound the whole run: each worker gets a part of the number."""

_TRIES = 5


@attrs.frozen
class Job:
    """What a worker needs before the run begins."""

    path: tuple[str, ...]
    """The parent's `sys.path`: plug-ins are found where it found them."""
    pickled: bytes
    """A `Work`: pickled apart, as it can be read only with that path."""

    @classmethod
    def of(cls, work: "Work") -> "Job":
        """The job that holds this work.

        Raises:
            FluxError: a stage cannot be pickled.
        """
        for node in work.nodes:
            try:
                pickle.dumps(node)
            except Exception as error:  # a plug-in's field may raise anything when pickled
                raise FluxError(
                    f"stage {node.name!r} cannot be sent to worker processes: {error}",
                    hint="set processes = 1, or keep to plain values in the stage's fields",
                ) from error
        return cls(tuple(sys.path), pickle.dumps(work))

    def read(self) -> "Work":
        """The work; its stages' modules are imported here."""
        sys.path.extend(entry for entry in self.path if entry not in sys.path)
        work: Work = pickle.loads(self.pickled)
        return attrs.evolve(work, pipeline=_with_own_schemas(work.pipeline))


@attrs.frozen
class Work:
    """The part of a pipeline that a worker runs."""

    pipeline: Pipeline
    """Only what is above the executor, and the executor, whose limits are the worker's."""
    first_step: int
    """Number of the executor's first step in the whole run."""
    first_target: int
    """Number of its first target."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its stages."""
        return self.pipeline.nodes


@attrs.frozen
class Order:
    """The run as a worker needs it; time is counted from the same moment in all processes."""

    name: str
    seed: int
    duration_ns: int | None
    tick_ns: int
    drain_ns: int
    started_at: datetime.datetime
    origin_s: float
    """0 ns of the run, on the monotonic clock of the machine."""
    shard: Shard
    log_level: int
    change: Change
    """How the level stands from the beginning."""
    manners: Manners

    @classmethod
    def of(cls, run: Run, shard: Shard, change: Change) -> "Order":
        """The order to drive that shard of a run whose clock is running.

        Raises:
            UsageError: the clock is not a live one.
        """
        if not isinstance(run.clock, LiveClock):
            raise UsageError("worker processes need a live clock")
        return cls(
            name=run.name,
            seed=run.seed,
            duration_ns=run.duration_ns,
            tick_ns=run.tick_ns,
            drain_ns=run.drain_ns,
            started_at=run.started_at,
            origin_s=run.clock.origin_s - trio_offset_s(),
            shard=shard,
            log_level=run.log.getEffectiveLevel(),
            change=change,
            manners=run.manners,
        )

    @property
    def clock(self) -> LiveClock:
        """The run's clock, in the process that asks."""
        return LiveClock(self.origin_s + trio_offset_s())


def trio_offset_s() -> float:
    """How far trio's clock is ahead of the machine's monotonic one; another in each process.

    Of a few readings, the one in which the least time passed between the two clocks.
    """
    readings: list[tuple[float, float]] = []
    for _ in range(_TRIES):
        before_s = time.perf_counter()
        trio_s = trio.current_time()
        after_s = time.perf_counter()
        readings.append((after_s - before_s, trio_s - (before_s + after_s) / 2))
    return min(readings)[1]


def shard_of(outer: Shard, index: int, count: int) -> Shard:
    """Part `index` of `count` of a shard: seq ≡ o + c·i (mod c·n), so the parts make up the whole.

    With seq = o + c·k for the k-th arrival of the outer shard, these are the k ≡ i (mod n).
    """
    return Shard(outer.index + outer.count * index, outer.count * count)


def share_of(stage: Any, index: int, count: int) -> Any:
    """The executor of worker `index` of `count`: one process, and its part of the run's limits.

    The parts differ by 1 at the most and add up to the whole, except that none is less than 1.
    """
    changed: dict[str, Any] = {"processes": ONE}
    for key in PER_RUN:
        whole = getattr(stage, key, None)
        if whole is not None:
            changed[key] = max(1, whole // count + (index < whole % count))
    return attrs.evolve(stage, **changed)


def work_of(pipeline: Pipeline, executor: Node, index: int, count: int) -> Work:
    """What worker `index` of `count` runs of a pipeline's executor."""
    names = _needed(pipeline, executor)
    nodes = [
        attrs.evolve(node, stage=share_of(node.stage, index, count)) if node is executor else node
        for node in pipeline.nodes
        if node.name in names
    ]
    document = attrs.evolve(pipeline.document, values={}, origins={})
    parts = Parts.of(pipeline)
    return Work(
        attrs.evolve(pipeline, nodes=tuple(nodes), document=document, thresholds=()),
        parts.first_steps[executor.name],
        parts.first_targets[executor.name],
    )


def _with_own_schemas(pipeline: Pipeline) -> Pipeline:
    """The graph with the schemas that its stages' classes name: edges fit by identity."""
    nodes: dict[str, Node] = {}
    for node in pipeline.nodes:
        accepts = nodes[node.inputs[0]].emits if node.inputs else None
        emits = getattr(node.stage, "emits", None)
        emits = accepts if emits is SAME else emits
        nodes[node.name] = attrs.evolve(node, accepts=accepts, emits=emits)
    return attrs.evolve(pipeline, nodes=tuple(nodes.values()))


def _needed(pipeline: Pipeline, executor: Node) -> set[str]:
    """The executor, all above it, and every shaper of its sources.

    A shaper on another branch changes nothing here, but a source cuts its rows where any of its
    shapers jumps, and the arrivals shall be the same to the last bit.
    """
    needed = ancestors(pipeline, executor) | {executor.name}
    for node in pipeline.nodes:  # inputs come first
        if node.kind == "shaper" and needed.intersection(node.inputs):
            needed.add(node.name)
    return needed


def ancestors(pipeline: Pipeline, node: Node) -> set[str]:
    """Names of all stages above a node."""
    found: set[str] = set()
    waiting = list(node.inputs)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(pipeline.by_name[name].inputs)
    return found
