"""What a dead worker leaves behind: a row for each of its sessions that has no end.

Strategy. What the worker had to do is arithmetic, so the parent does it again: the worker's own
stages, with the worker's shard, on a clock that never waits, up to the moment at which arrivals
ended. It happens once the other workers are done, so that it disturbs no load.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from flux.clock import PlannedClock
from flux.engine import run_pipeline
from flux.graph import Node, Pipeline
from flux.schemas import (
    ARRIVAL,
    DEMAND,
    OUTCOME,
    ROSTER,
    USERS,
    ErrorCode,
    Flag,
    Rows,
    Schema,
    read_only,
)
from flux.shaping import with_levels
from flux.stage import Context, Inbox, Outbox, Run, Shard
from flux.workers.books import Books
from flux.workers.steering import Steering

ROWS_PER_BATCH = 65536

Take = Callable[[Rows], Awaitable[None]]


def lost_rows(arrivals: Rows, books: Books, died_ns: int) -> Rows:
    """A row for each arrival that nobody will ever hear of.

    Args:
        arrivals: (n,) ARRIVAL that were the worker's.
        books: what was heard of them.
        died_ns: when the worker died; nothing is lost before.
    """
    arrivals = arrivals[~books.has_begun(arrivals["seq"])]
    end_ns = np.maximum(arrivals["due_ns"], died_ns)
    return _rows(arrivals["seq"], arrivals["seq"], arrivals["due_ns"], end_ns, Flag.LOST)


def lost_users(joins: Rows, books: Books, users: Books, died_ns: int) -> Rows:
    """The same of users who arrive: each lost one stands for an iteration that nobody began.

    Args:
        joins: (n,) ROSTER of users that were the worker's.
        books: what was heard of their iterations; it is told of these.
        users: what was heard of the users, by their number.
        died_ns: when the worker died.
    """
    joins = joins[~users.has_begun(joins["user"])]
    end_ns = np.maximum(joins["due_ns"], died_ns)
    seq = books.numbers_after(len(joins))
    books.note_over(seq)
    return _rows(seq, joins["user"], joins["due_ns"], end_ns, Flag.LOST)


def cut_rows(books: Books, died_ns: int) -> Rows:
    """The last row of each session that had begun and was not over when the worker died."""
    seq, session = books.open_sessions()
    times_ns = np.full(len(seq), died_ns)
    return _rows(seq, session, times_ns, times_ns, Flag.ABORTED | Flag.LAST)


def _rows(
    seq: npt.NDArray[np.int64],
    session: npt.NDArray[np.int64],
    due_ns: npt.NDArray[np.int64],
    end_ns: npt.NDArray[np.int64],
    flags: Flag,
) -> Rows:
    rows = OUTCOME.empty(len(seq))
    rows["seq"], rows["session"], rows["step"] = seq, session, -1
    rows["target"] = -1
    rows["due_ns"], rows["start_ns"], rows["end_ns"] = due_ns, end_ns, end_ns
    rows["error"], rows["flags"] = ErrorCode.LOST, flags
    return read_only(rows)


@attrs.frozen
class Share:
    """What one worker had to do."""

    pipeline: Pipeline
    """Its stages, the executor among them."""
    run: Run
    """The parent's."""
    shard: Shard
    steering: Steering
    """How live control changed the level."""

    async def each_arrival(self, until_ns: int, take: Take) -> None:
        """Plan the arrivals up to that time: `take` is given batches of ARRIVAL, or of ROSTER."""
        executor = self.pipeline.executors[0]
        await self._plan(until_ns, executor.accepts or ARRIVAL, take)

    async def count_users(self, time_ns: int) -> int:
        """How many of its users were there at that time."""
        present = 0

        async def take(rows: Rows) -> None:
            nonlocal present
            present += int(rows["change"].sum())

        await self._plan(time_ns, ROSTER, take)
        return present

    async def _plan(self, until_ns: int, schema: Schema, take: Take) -> None:
        run = attrs.evolve(self.run, clock=PlannedClock(), shard=self.shard, folder=None)
        nodes = list(self._nodes(_Taken(schema, until_ns, take), until_ns))
        result = await run_pipeline(attrs.evolve(self.pipeline, nodes=tuple(nodes)), run)
        if result.failures:
            raise result.failures[0]

    def _nodes(self, taken: "_Taken", until_ns: int) -> "list[Node]":
        """The worker's stages with the level steered before each pacer, and rows taken last."""
        nodes: list[Node] = []
        for node in self.pipeline.nodes:
            if node.emits is OUTCOME:
                nodes.append(attrs.evolve(node, stage=taken, emits=None))
            elif node.kind == "pacer" and node.accepts in (DEMAND, USERS):
                name = f"{node.name} (steered)"
                steered = _Steered(self.steering, until_ns, node.accepts)
                nodes.append(
                    Node(name, name, "userflux", steered, node.inputs, node.accepts, node.accepts)
                )
                nodes.append(attrs.evolve(node, inputs=(name,)))
            else:
                nodes.append(node)
        return nodes


@attrs.frozen
class _Steered:
    """What `flux.release` does in a run: the level under live control, up to a time."""

    accepts: ClassVar[tuple[Schema, ...]] = (DEMAND, USERS)

    steering: Steering
    until_ns: int
    emits: Schema
    """What it is given. Not SAME: a source asks its shapers where they jump, and this is none."""

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        async for demand in inbox:
            demand = demand[demand["start_ns"] <= self.until_ns]
            if not len(demand):
                return
            await outbox.send(self._steer(demand))

    def _steer(self, demand: Rows) -> Rows:
        factor_at = self.steering.factor_at
        start = np.array([factor_at(time_ns) for time_ns in demand["start_ns"].tolist()])
        end = np.array([factor_at(time_ns) for time_ns in demand["end_ns"].tolist()])
        return with_levels(demand, demand["level"] * start, demand["end_level"] * end)


@attrs.frozen
class _Taken:
    """In the executor's place: takes what is due up to a time."""

    schema: Schema
    until_ns: int
    take: Take

    @property
    def accepts(self) -> tuple[Schema, ...]:
        return (self.schema,)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        async for rows in inbox:
            due = rows[rows["due_ns"] <= self.until_ns]
            for part in _parts(due):
                await self.take(part)
            if len(due) < len(rows):
                return


def _parts(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), ROWS_PER_BATCH):
        yield rows[start : start + ROWS_PER_BATCH]
