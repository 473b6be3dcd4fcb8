"""What a stage is: three protocols, what a stage is told about the run, and nothing else.

A stage is one frozen attrs class. Its fields are its TOML keys, with a string literal below each;
everything alive is a local of its coroutine. So a stage can run twice and be compared.

    Source      emits              produce(context, outbox)
    Transform   accepts, emits     run(context, inbox, outbox)
    Sink        accepts            consume(context, inbox)

The engine owns both ends of every channel: it closes the outbox when the coroutine returns, and the
inbox ends when everything above has returned. Stages neither open nor close them. Batches are
read-only; make a new one to change one. The simple shapes need less than a protocol: see
`flux.arrivals.ArrivalGenerator` and `flux.shaping.Shaper`.
"""

import datetime
import logging
import pathlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import attrs
import numpy as np
import trio

from flux.clock import Clock
from flux.control import Control
from flux.generator import Generator
from flux.guards.manners import Manners
from flux.habits import Habits
from flux.phases import Phase
from flux.schemas import ARRIVAL, OUTCOME, ROSTER, SAME, SUMMARY, Schema
from flux.summary import Finding, Mark, Summary

Batch: TypeAlias = Any
"""What one message holds: a structured array, or for SUMMARY a `flux.summary.Summary`."""

Inbox: TypeAlias = trio.MemoryReceiveChannel[Batch]
Outbox: TypeAlias = trio.abc.SendChannel[Batch]


@attrs.frozen
class Shard:
    """Which part of the run this process drives: the arrivals with seq ≡ index (mod count)."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@attrs.frozen
class Run:
    """What all stages of a run share."""

    name: str
    """The pipeline's name."""
    seed: int
    """Fixes the arrivals, the noise, the spikes and every random value in a request."""
    duration_ns: int | None
    """When arrivals end; None: when the generator's count is reached, or when stopped."""
    tick_ns: int
    """Length of a row of DEMAND."""
    drain_ns: int
    """How long sessions in flight may go on once arrivals have ended."""
    started_at: datetime.datetime
    """Wall-clock time of 0 ns, with its zone."""
    clock: Clock
    control: Control = attrs.field(factory=Control)
    shard: Shard = Shard()
    manners: Manners = Manners()  # noqa: RUF009  # immutable
    """Whom requests may reach, and who they say they are from."""
    folder: pathlib.Path | None = None
    """Where this run's files go; None when nothing is kept, as in a plan."""
    planned: Callable[[], int | None] = lambda: None
    """Arrivals released so far; None in the closed model, where nothing is planned ahead."""
    open_sessions: Callable[[], int | None] = lambda: None
    """Sessions, or in the closed model users, that executors have under way; None if not known."""
    conclude: Callable[[Summary], Summary] = lambda final: final
    """Completes the summary of the whole run: with findings, verdicts and marks."""
    marks: list[Mark] = attrs.field(factory=list)
    """What happened so far that is shown beside the numbers; add to it by `mark`."""
    edges: Callable[[], list[dict[str, Any]]] = list
    """What has passed from stage to stage so far, and what waits; plain data."""
    thresholds: Callable[[], list[dict[str, Any]]] = list
    """How each threshold stands so far, in order; plain data."""
    status: Callable[[], dict[str, dict[str, Any]]] = dict
    """What stages tell of themselves right now: by stage, then by what it is; plain data."""
    log: logging.Logger = attrs.field(factory=lambda: logging.getLogger("flux"))

    def mark(self, kind: str, text: str, *, level: int = logging.INFO, traceback: str = "") -> None:
        """Note something that happens now, in the result as in the log; see `Mark`.

        Only the log's file has the traceback.
        """
        self.marks.append(Mark(self.clock.now_ns(), kind, text))
        self.log.log(level, "%s", text, stacklevel=2, extra={"traceback": traceback})


@attrs.frozen
class Context:
    """What one stage is told: the run, its own name, and the stages around it."""

    run: Run
    stage: str
    """This stage's name; with the run's seed it fixes the stage's random streams."""
    upstream: tuple[Any, ...] = ()
    """The stages above this one along its chain, the source first; for a source, itself."""
    source_name: str = ""
    """Name of the source at the head of the chain; the gaps' random stream goes by it."""
    given: Schema | None = None
    """What its inbox holds, for a stage that accepts several kinds; None for a source."""
    has_users: bool = False
    """True if an executor of the run is sent users, who wait for an answer before they go on."""
    shapers: tuple[tuple[str, Any], ...] = ()
    """For a source of DEMAND or USERS: the (name, stage) of the shapers below it, in order."""
    steps: tuple[str, ...] = ()
    """Names of all steps of the run; `step` in an OUTCOME row is an index into them."""
    requests: tuple[tuple[str, str], ...] = ()
    """Method and path of each of these steps, placeholders unfilled; empty when not known."""
    step_tags: tuple[Mapping[str, str], ...] = ()
    """Tags of each of these steps; empty when not known."""
    first_step: int = 0
    """For an executor: index of its first step among them."""
    targets: tuple[str, ...] = ()
    """Names of all targets of the run; `target` in an OUTCOME row is an index into them."""
    target_urls: tuple[str, ...] = ()
    """What stands before the paths of their requests; empty where that is not known."""
    first_target: int = 0
    """For an executor: index of its first target among them."""
    prepared: Any = None
    """What this stage's `prepare` gave; None if it has none, or was not asked to prepare."""
    phases: tuple[Phase, ...] = ()
    """Named parts of the run; none if it has neither phases nor warm-up."""
    report_planned: Callable[[int], None] = lambda _: None
    """For an executor that is sent no ARRIVAL rows: arrivals released so far on its behalf."""
    report_gauge: Callable[[Callable[[], int]], None] = lambda _: None
    """For an executor: what tells how many sessions it has under way."""
    report_status: Callable[[str, Callable[[], Any]], None] = lambda *_: None
    """For whoever asks while the run goes on: (what it is, what tells it right now)."""
    report_finding: Callable[[Finding], None] = lambda _: None
    """For what speaks against trusting the numbers; it is in the final summary."""
    report_generator: Callable[[Generator], None] = lambda _: None
    """For an executor with processes of its own: what is known of one, once it has ended."""

    @property
    def source(self) -> Any:
        """The source at the head of this stage's chain."""
        return self.upstream[0]

    @property
    def habits(self) -> Habits | None:
        """What the users do that an executor is sent: as the nearest stage above says that does."""
        found = (getattr(stage, "habits", None) for stage in reversed(self.upstream))
        return next((habits for habits in found if habits is not None), None)

    def random(self, purpose: str = "") -> np.random.Generator:
        """A random stream fixed by the run's seed, this stage's name and `purpose`."""
        return random_stream(self.run.seed, self.stage, purpose)


def random_stream(seed: int, stage: str, purpose: str = "") -> np.random.Generator:
    """A stream of its own for each seed, stage and purpose (PCG64 over a SeedSequence)."""
    key = (zlib.crc32(stage.encode()), zlib.crc32(purpose.encode()))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


@runtime_checkable
class Source(Protocol):
    """Begins a chain."""

    @property
    def emits(self) -> Schema:
        """What its batches are."""

    async def produce(self, context: Context, outbox: Outbox) -> None:
        """Send batches until there are no more."""


@runtime_checkable
class Transform(Protocol):
    """Takes batches and sends others."""

    @property
    def accepts(self) -> tuple[Schema, ...]:
        """What it can take; all batches of one run are of one of them."""

    @property
    def emits(self) -> Schema:
        """What it sends, SAME for what it takes."""

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Receive until the inbox ends, sending meanwhile."""


@runtime_checkable
class Sink(Protocol):
    """Ends a chain."""

    @property
    def accepts(self) -> tuple[Schema, ...]:
        """What it can take, the wanted one first."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Receive until the inbox ends; what is written by then must be on disk on return."""


Stage: TypeAlias = Source | Transform | Sink


def kind_of(stage: Any) -> str:
    """What people call a stage of this kind: generator, shaper, pacer, executor, collector, sink.

    Raises:
        TypeError: if it has none of the three coroutines.
    """
    if hasattr(stage, "produce"):
        return "generator"
    if hasattr(stage, "consume"):
        return "sink"
    if not hasattr(stage, "run"):
        raise TypeError(f"{stage!r} has none of produce, run and consume")
    if stage.emits is SAME:
        return "shaper"
    if stage.emits in (ARRIVAL, ROSTER):
        return "pacer"
    if stage.emits is OUTCOME:
        return "executor"
    return "collector" if stage.emits is SUMMARY else "transform"
