"""The graph of a pipeline: stages in their places. Plain data that is made by `flux.pipeline`."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Self

import attrs

from flux.config.document import Document
from flux.config.locate import Path
from flux.config.problems import Violation
from flux.config.rules import AtLeast, above, between
from flux.schemas import OUTCOME, Schema
from flux.stage import Shard, kind_of
from flux.units import Duration


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

    name: str = ""
    """Name of the run in results and on screen; the file's name without its ending if absent."""
    duration: Annotated[Duration, above(0)] | None = None
    """How long sessions arrive, as in "30s"; a generator's own `duration` comes first. Absent:
    until its `count` is reached, or until the run is stopped."""
    seed: Annotated[int, between(0, 2**64 - 1)] | None = None
    """Fixes every arrival and every random value; drawn, and written to session.toml, if absent."""
    drain: Duration = Duration.of_seconds(30)
    """How long sessions may go on once arrivals have ended; what waits for a place then is
    dropped."""
    tick: Annotated[Duration, AtLeast(Duration.of_seconds(0.001))] = Duration.of_seconds(0.1)
    """How finely the demand is shaped."""
    shard: ShardText | None = None
    """Part of the run to drive, as in "0/2": the first of two; all of it if absent."""
    stage: tuple[Any, ...] = ()
    """The stages, in order."""

    def check(self) -> Iterator[Violation]:
        """The name goes to screens, logs and files as it is."""
        if not self.name.isprintable():
            yield Violation("must be one line of printable text", key="name")


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


@attrs.frozen
class Pipeline:
    """A checked graph: stages in an order in which every input comes before its taker."""

    name: str
    settings: Settings
    nodes: tuple[Node, ...]
    document: Document

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
