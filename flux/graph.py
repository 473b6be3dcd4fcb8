"""The graph of a pipeline: stages in their places. Plain data that is made by `flux.pipeline`."""

import itertools
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Self

import attrs

from flux.config.document import Document
from flux.config.locate import Path
from flux.config.problems import Violation
from flux.config.rules import AtLeast, above, between
from flux.guards.breaker import Breaker
from flux.guards.budget import Budget
from flux.guards.hosts import HostPattern, HostRule
from flux.guards.manners import Manners, user_agent
from flux.phases import Phase, PhaseTable, length_of
from flux.schemas import ARRIVAL, OUTCOME, Schema
from flux.stage import Shard, kind_of
from flux.thresholds import Threshold
from flux.thresholds.table import ThresholdTable
from flux.units import Duration
from flux.validity import Validity


@attrs.frozen
class ShardText:
    """Part i of n of a run, written "i/n", counted from 0."""

    type_text: ClassVar[str] = 'a part of the run, as in "0/2"'

    shard: Shard

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read it."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", value) if isinstance(value, str) else None
        if match is None:
            raise Violation(f"must be {cls.type_text}")
        index, count = int(match[1]), int(match[2])
        if index >= count:
            raise Violation(f"must be one of 0/{count} to {max(count, 1) - 1}/{count}")
        return cls(Shard(index, count))


@attrs.frozen(kw_only=True)
class Settings:
    """The top level of a pipeline file."""

    name: str | None = None
    """Name of the run in results and on screen; the file's name without its ending if absent."""
    duration: Annotated[Duration, above(0)] | None = None
    """How long sessions arrive, as in "30s"; a generator's own `duration` comes first. Absent:
    until its `count` is reached, or until the run is stopped. With phases, which say how long they
    are, it cuts the run short."""
    warmup: Annotated[Duration, above(0)] | None = None
    """How long, from the start, what is due is left out of everything that is judged; with phases,
    they say which of them are warm-up."""
    seed: Annotated[int, between(0, 2**64 - 1)] | None = None
    """Fixes every arrival and every random value; drawn, and written to session.toml, if absent."""
    drain: Duration = Duration.of_seconds(30)
    """How long sessions may go on once arrivals have ended; what waits for a place then is
    dropped."""
    tick: Annotated[Duration, AtLeast(Duration.of_seconds(0.001))] = Duration.of_seconds(0.1)
    """How finely the demand is shaped."""
    shard: ShardText | None = None
    """Part of the run to drive, as in "0/2": the first of two; all of it if absent."""
    allow_hosts: tuple[HostPattern, ...] = ()
    """Hosts that may be put under load though they are neither loopback nor private."""
    identify: bool = True
    """Whether requests name flux and the run in their User-Agent, unless they have one."""
    breaker: Breaker | None = None
    """Takes the load off a target that fails or is slow, as a [breaker] table; see Guards."""
    budget: Budget | None = None
    """What the run may spend before it is stopped, as a [budget] table; see Guards."""
    validity: Validity = Validity()  # noqa: RUF009  # immutable
    """How far the run may stray from its plan before its numbers are not trusted."""
    threshold: tuple[ThresholdTable, ...] = ()
    """What the numbers must fulfil, as [[threshold]] tables."""
    stage: tuple[Any, ...] = ()
    """The stages, in order."""
    phase: tuple[PhaseTable, ...] = ()
    """The phases of the run, in order: tables with `name`, `duration`, `warmup` and `stage`."""

    def check(self) -> Iterator[Violation]:
        """The name goes to screens, logs and files as it is; phases and warm-up fit the run."""
        if self.name is not None and not (self.name.strip() and self.name.isprintable()):
            yield Violation("must be one line of printable text, and not empty", key="name")
        yield from self._check_phases() if self.phase else self._check_warmup()

    def _check_warmup(self) -> Iterator[Violation]:
        if self.warmup is not None and self.duration is not None and self.warmup >= self.duration:
            yield Violation("must be shorter than duration", key="warmup")

    def _check_phases(self) -> Iterator[Violation]:
        length = length_of(self.phase)
        if self.duration is not None and self.duration > length:
            hint = "leave it out; it is there to cut a run short"
            yield Violation(f"must be at most {length}, as phases are", key="duration", hint=hint)
        if self.warmup is not None:
            hint = "write a first phase with warmup = true"
            yield Violation("means nothing beside phases", key="warmup", hint=hint)
        warmup_ns = length_of(list(itertools.takewhile(lambda one: one.warmup, self.phase)))
        if warmup_ns == length:
            yield Violation("must not all be warm-up, or nothing is measured", key="phase")
        elif self.duration is not None and self.duration <= warmup_ns:
            yield Violation("must be longer than the warm-up that it begins with", key="duration")


@attrs.frozen
class Node:
    """A stage in its place."""

    name: str
    """Unique in the pipeline: its `name`, or its `use` (with a number if that is taken)."""
    use: str
    package: str
    """Distribution that it comes from."""
    stage: Any
    inputs: tuple[str, ...]
    """Names of the stages it takes its input from; none for a source."""
    accepts: Schema | None
    """What it is given; None for a source."""
    emits: Schema | None
    """What it sends; None for a sink."""
    path: Path = ()
    """Where it stands in the document; empty if it was put in."""

    @property
    def kind(self) -> str:
        """What people call a stage of this kind."""
        return kind_of(self.stage)

    @property
    def module(self) -> str:
        """Module that its class is in."""
        return type(self.stage).__module__


@attrs.frozen
class Pipeline:
    """A checked graph: stages in an order in which every input comes before its taker."""

    name: str
    settings: Settings
    nodes: tuple[Node, ...]
    document: Document
    phases: tuple[Phase, ...] = ()
    """Named parts of the run; none if it has neither phases nor warm-up."""

    @property
    def manners(self) -> Manners:
        """What all requests keep to."""
        identity = user_agent(self.name) if self.settings.identify else None
        return Manners(HostRule(self.settings.allow_hosts), identity)

    thresholds: tuple[Threshold, ...] = ()
    """What the numbers must fulfil."""

    @property
    def by_name(self) -> dict[str, Node]:
        """The nodes by name."""
        return {node.name: node for node in self.nodes}

    @property
    def executors(self) -> tuple[Node, ...]:
        """The stages that send requests."""
        return tuple(node for node in self.nodes if node.emits is OUTCOME)

    def chain(self, node: Node) -> tuple[Node, ...]:
        """The stages above this one, the source first, along the first input of each."""
        above_it: list[Node] = []
        while node.inputs:
            node = self.by_name[node.inputs[0]]
            above_it.insert(0, node)
        return tuple(above_it)

    def plans_ahead(self, executor: Node) -> bool:
        """Whether an executor's work is arrivals, each of which has to end in a row."""
        return any(node.emits is ARRIVAL for node in self.chain(executor))

    def takers(self, node: Node) -> tuple[Node, ...]:
        """The stages that take their input from this one."""
        return tuple(one for one in self.nodes if node.name in one.inputs)

    def with_stage(self, name: str, stage: Any) -> "Pipeline":
        """The same graph with one stage replaced."""
        nodes = [
            attrs.evolve(node, stage=stage) if node.name == name else node for node in self.nodes
        ]
        return attrs.evolve(self, nodes=tuple(nodes))


def describe(pipeline: Pipeline) -> Iterator[str]:
    """The graph as lines of text, one an edge."""
    for node in pipeline.nodes:
        for name in node.inputs:
            schema = node.accepts.name if node.accepts else ""
            put_in = "" if node.path else "  (put in)"
            yield f"{name} → {node.name}  {schema}{put_in}"
