"""What a pipeline would do: the demand curve and the arrivals, with no clock and no traffic.

A plan runs the very stages of the pipeline, from the source down to the pacer, on a clock that
never waits. What comes out is what a run would release.
"""

import datetime
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import attrs
import numpy as np
import numpy.typing as npt
import trio

from flux.arrivals import end_of_source_ns
from flux.clock import PlannedClock
from flux.engine import make_context, run_pipeline
from flux.errors import UsageError
from flux.pacing import integral
from flux.phases import Phase, starts_of, titled
from flux.pipeline import Node, Pipeline
from flux.schemas import DEMAND, ROSTER, USERS, Rows, Schema
from flux.stage import Context, Inbox, Outbox, Run, Shard
from flux.units import Duration

Take = Callable[[Rows], None]
"""Is given each batch as it is planned."""

MAX_ROWS = 20_000_000
"""Rows of demand that a plan holds, at the most."""

MAX_STRETCHES = 24
"""More changes of shape than this are not shown one by one."""


@attrs.frozen
class Stretch:
    """A part of the run in which the demand keeps one shape."""

    start_ns: int
    end_ns: int
    level: float
    """At its start."""
    end_level: float
    """At its end."""
    wanted: float
    """Arrivals wanted in it: the integral of the level; for users, user-seconds."""
    arrivals: int
    """Arrivals due in it, of this shard."""


@attrs.frozen
class PlannedPhase:
    """What one phase of a run comes to."""

    name: str
    start_ns: int
    end_ns: int
    is_warmup: bool
    arrivals: int
    """Arrivals due in it, of this shard; in the closed model, users that join."""
    wanted: float
    """Arrivals wanted in it; for users, user-seconds."""
    min_level: float
    max_level: float

    @property
    def title(self) -> str:
        """Its name, marked if it is warm-up."""
        return titled(self.name, self.is_warmup)

    @property
    def mean_level(self) -> float:
        """The level on average."""
        return self.wanted / (self.end_ns - self.start_ns) * 1e9


@attrs.frozen
class Plan:
    """The demand of a pipeline and what it comes to."""

    name: str
    is_closed: bool
    """True: the level is users, and what happens is who joins and leaves."""
    demand: Rows
    """All rows, shaped."""
    per_row: npt.NDArray[np.int64]
    """Arrivals of this shard due in each row; in the closed model, users that join."""
    first_due_ns: int | None
    last_due_ns: int | None
    phases: tuple[PlannedPhase, ...] = ()
    """Those of the run, if it has any, as far as its demand goes."""

    @property
    def arrivals(self) -> int:
        """Arrivals of this shard; in the closed model, users that join."""
        return int(self.per_row.sum())

    @property
    def wanted(self) -> float:
        """Arrivals wanted: the integral of the level over the run; or user-seconds."""
        return integral(self.demand)

    @property
    def peak_level(self) -> float:
        """The highest level."""
        return float(
            max(self.demand["level"].max(initial=0), self.demand["end_level"].max(initial=0))
        )

    @property
    def duration_ns(self) -> int:
        """When the demand ends."""
        return int(self.demand["end_ns"][-1]) if len(self.demand) else 0

    def levels(self, cells: int) -> npt.NDArray[np.float64]:
        """Mean level of each of so many equal parts of the run."""
        if not len(self.demand):
            return np.zeros(cells)
        edges = np.append(self.demand["start_ns"], self.demand["end_ns"][-1])
        length_ns = self.demand["end_ns"] - self.demand["start_ns"]
        mean = (self.demand["level"] + self.demand["end_level"]) / 2
        total = np.concatenate([[0.0], np.cumsum(mean * length_ns)])
        cuts = np.linspace(0, self.duration_ns, cells + 1)
        levels: npt.NDArray[np.float64] = np.diff(np.interp(cuts, edges, total)) / np.diff(cuts)
        return levels

    def stretches(self) -> list[Stretch]:
        """The run in parts that keep one shape, or in equal parts if there would be too many."""
        bends = _bends(self.demand)
        if len(bends) - 1 > MAX_STRETCHES:
            starts = self.demand["start_ns"]
            even = np.linspace(0, self.duration_ns, 11)[:-1]
            bends = np.unique(np.append(np.searchsorted(starts, even), len(starts)))
        return [self._stretch(int(a), int(b)) for a, b in itertools.pairwise(bends)]

    def _stretch(self, first: int, last: int) -> Stretch:
        rows = self.demand[first:last]
        return Stretch(
            start_ns=int(rows["start_ns"][0]),
            end_ns=int(rows["end_ns"][-1]),
            level=float(rows["level"][0]),
            end_level=float(rows["end_level"][-1]),
            wanted=integral(rows),
            arrivals=int(self.per_row[first:last].sum()),
        )


def make_plan(
    pipeline: Pipeline,
    *,
    seed: int,
    shard: Shard | None = None,
    started_at: datetime.datetime | None = None,
    take: Take = lambda _: None,
) -> Plan:
    """Plan the pipeline's only executor.

    Args:
        pipeline: what to plan.
        seed: of the run.
        shard: part of the run; all of it if None.
        started_at: wall-clock time of the start, which schedules go by; now if None.
        take: given every batch of arrivals (in the closed model, of joining and leaving users) as
            it is planned; so that a long plan need not be held in memory.

    Raises:
        UsageError: if there is no end to it, or more than one executor.
    """
    if len(pipeline.executors) != 1:
        names = ", ".join(node.name for node in pipeline.executors)
        raise UsageError(f"flux plan shows one executor, and this pipeline has {names}")
    executor = pipeline.executors[0]
    chain = _paced_chain(pipeline, executor)
    run = Run(
        name=pipeline.name,
        seed=seed,
        duration_ns=pipeline.settings.duration,
        tick_ns=pipeline.settings.tick,
        drain_ns=0,
        started_at=started_at or datetime.datetime.now().astimezone(),
        clock=PlannedClock(),
        shard=shard or Shard(),
        log=_no_log(),
    )
    _check_end(make_context(pipeline, executor, run), is_closed=chain[-1].emits is ROSTER)
    record = _Record(chain[-1].emits is ROSTER, take)
    recorded = attrs.evolve(chain[-1], stage=_Recorded(chain[-1].stage, record))
    result = trio.run(run_pipeline, attrs.evolve(pipeline, nodes=(*chain[:-1], recorded)), run)
    if record.take_error is not None:
        raise record.take_error  # no stage is to blame
    if result.failures:
        raise result.failures[0]
    demand = np.concatenate(record.demand or [DEMAND.empty(0)])
    per_row = np.concatenate(record.per_row or [np.zeros(0, np.int64)])
    return Plan(
        name=pipeline.name,
        is_closed=record.is_closed,
        demand=demand,
        per_row=per_row,
        phases=tuple(_planned_phases(pipeline.phases, demand, per_row)),
        first_due_ns=record.first_due_ns,
        last_due_ns=record.last_due_ns,
    )


def _no_log() -> logging.Logger:
    """What goes wrong is raised, and told by whoever asked for the plan."""
    log = logging.Logger("flux.plan")
    log.addHandler(logging.NullHandler())
    return log


def _planned_phases(
    phases: Sequence[Phase], demand: Rows, per_row: npt.NDArray[np.int64]
) -> Iterator[PlannedPhase]:
    """The phases that the demand reaches; its rows are cut where one of them begins."""
    number = np.searchsorted(starts_of(phases), demand["start_ns"], side="right") - 1
    for index, phase in enumerate(phases):
        rows = demand[number == index]
        if len(rows):
            levels = np.append(rows["level"], rows["end_level"])
            yield PlannedPhase(
                name=phase.name,
                start_ns=phase.start_ns,
                end_ns=int(rows["end_ns"][-1]),
                is_warmup=phase.is_warmup,
                arrivals=int(per_row[number == index].sum()),
                wanted=integral(rows),
                min_level=float(levels.min()),
                max_level=float(levels.max()),
            )


def _paced_chain(pipeline: Pipeline, executor: Node) -> tuple[Node, ...]:
    """The stages from the source down to the pacer: what is below it plans nothing more."""
    chain = pipeline.chain(executor)
    pacers = [index for index, node in enumerate(chain) if node.accepts in (DEMAND, USERS)]
    if not pacers:
        raise UsageError(f"there is no demand to plan: {chain[0].use!r} makes arrivals itself")
    return chain[: pacers[-1] + 1]


def _check_end(context: Context, *, is_closed: bool) -> None:
    source = context.source
    has_end = getattr(source, "duration", None) is not None or context.run.duration_ns is not None
    # Iterations of users are not planned, so that only time ends a plan of them.
    if not has_end and (is_closed or getattr(source, "count", None) is None):
        raise UsageError(
            "the pipeline has no end that could be planned", hint='add --duration "1h", for one'
        )
    end_ns = end_of_source_ns(context)
    if end_ns is not None and end_ns > MAX_ROWS * context.run.tick_ns:
        raise UsageError(
            f"a plan of {Duration(end_ns)} in ticks of {Duration(context.run.tick_ns)} does not "
            f"fit into memory",
            hint="take a longer tick: --set tick=1m, or a shorter --duration",
        )


@attrs.define
class _Record:
    """What passes through a pacer: the demand, and how many arrivals each row of it came to."""

    is_closed: bool
    take: Take
    demand: list[Rows] = attrs.field(factory=list)
    per_row: list[npt.NDArray[np.int64]] = attrs.field(factory=list)
    first_due_ns: int | None = None
    last_due_ns: int | None = None
    reached: int = 0
    """Which batch of the demand the arrivals have reached."""
    take_error: Exception | None = None
    """What `take` raised; nothing is planned after it."""

    def add_demand(self, rows: Rows) -> None:
        """Note a batch that the pacer is about to turn into arrivals."""
        self.demand.append(rows)
        self.per_row.append(np.zeros(len(rows), np.int64))

    def add_arrivals(self, rows: Rows) -> None:
        """Note what one batch of the demand came to, the next or a later one."""
        due_ns = (rows[rows["change"] > 0] if self.is_closed else rows)["due_ns"]
        if len(due_ns):
            while due_ns[-1] > self.demand[self.reached]["end_ns"][-1]:
                self.reached += 1
            # An arrival that is due where two rows meet is what the first of them comes to, also at
            # the end of the batch; users join and leave as the second one begins.
            side: Literal["left", "right"] = "left" if self.is_closed else "right"
            inner = np.searchsorted(due_ns, self.demand[self.reached]["start_ns"][1:], side)
            self.per_row[self.reached] += np.diff(inner, prepend=0, append=len(due_ns))
            self.first_due_ns = int(due_ns[0]) if self.first_due_ns is None else self.first_due_ns
            self.last_due_ns = int(due_ns[-1])


@attrs.frozen
class _Recorded:
    """A pacer with its inbox and outbox watched: one batch of arrivals, or none, per demand."""

    pacer: Any
    record: _Record

    @property
    def accepts(self) -> tuple[Schema, ...]:
        """As the pacer."""
        accepts: tuple[Schema, ...] = self.pacer.accepts
        return accepts

    @property
    def emits(self) -> Schema:
        """As the pacer."""
        emits: Schema = self.pacer.emits
        return emits

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Run the pacer between two channels of our own."""
        to_pacer, demand = trio.open_memory_channel[Rows](0)
        arrivals, from_pacer = trio.open_memory_channel[Rows](0)

        async def feed() -> None:
            async with to_pacer:
                async for rows in inbox:
                    self.record.add_demand(rows)
                    try:
                        await to_pacer.send(rows)
                    except trio.BrokenResourceError:
                        return  # the pacer has reached its count

        async def pace() -> None:
            async with arrivals, demand:
                await self.pacer.run(context, demand, arrivals)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed)
            nursery.start_soon(pace)
            async for rows in from_pacer:
                self.record.add_arrivals(rows)
                try:
                    self.record.take(_changes(rows))
                except Exception as error:  # noqa: BLE001  # raised again by make_plan
                    self.record.take_error = error
                    nursery.cancel_scope.cancel()
                    return


def _changes(rows: Rows) -> Rows:
    """Without the row that says that nobody else will join."""
    names = rows.dtype.names or ()
    return rows[rows["change"] != 0] if "change" in names else rows


def _bends(demand: Rows) -> npt.NDArray[np.int64]:
    """Indexes of the rows that do not go on as the row before, and the end."""
    if not len(demand):
        return np.zeros(1, np.int64)
    length_ns = demand["end_ns"] - demand["start_ns"]
    slope = (demand["end_level"] - demand["level"]) / length_ns
    scale = max(1e-12, float(np.abs(demand["level"]).max()))
    jump = np.abs(demand["level"][1:] - demand["end_level"][:-1]) > 1e-9 * scale
    bend = np.abs(np.diff(slope)) * length_ns[1:] > 1e-6 * scale
    return np.concatenate([[0], np.flatnonzero(jump | bend) + 1, [len(demand)]])
