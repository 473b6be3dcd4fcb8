"""From a pipeline file to a checked graph of stages. Pure: no clock, no network, nothing started.

    document → stages (each checked by its own class) → wiring → checks of the whole graph

A stage takes its input from the nearest stage above that emits what it accepts; `inputs` overrides
that. What every run needs and nobody wants to write is put in: a `pacer` (or `roster`) before each
executor and a `collect` after them. Problems are collected, and come in one report.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import attrs

from flux.config.document import Document, parse, read_text
from flux.config.locate import Path
from flux.config.problems import InvalidPipeline, Problem, did_you_mean, key_text, report
from flux.config.rules import above
from flux.config.structure import structure
from flux.registry import StageEntry, find_stages
from flux.schemas import ARRIVAL, DEMAND, OUTCOME, ROSTER, SAME, USERS, Schema
from flux.stage import kind_of
from flux.units import Duration

_PACERS: Mapping[str, tuple[str, Schema]] = {
    DEMAND.name: ("pacer", ARRIVAL),
    USERS.name: ("roster", ROSTER),
}
"""Stage that is put in after this schema, and what it emits."""

_OWN_KEYS = ("use", "name", "inputs")
"""Keys of a stage's table that are not fields of its class."""


@attrs.frozen(kw_only=True)
class Settings:
    """The top level of a pipeline file."""

    name: str = ""
    """Name of the run in results and on screen; the file's name without its ending if absent."""
    duration: Annotated[Duration, above(0)] | None = None
    """How long sessions arrive, as in "30s"; a generator's own `duration` comes first. Absent:
    until its `count` is reached, or until the run is stopped."""
    seed: int | None = None
    """Fixes every arrival and every random value; drawn, and written to session.toml, if absent."""
    drain: Duration = Duration.of_seconds(30)
    """How long sessions in flight may go on once arrivals have ended."""
    tick: Annotated[Duration, above(0)] = Duration.of_seconds(0.1)
    """How finely the demand is shaped."""
    stage: tuple[Any, ...] = ()
    """The stages, in order."""


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


def load(
    file: pathlib.Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Pipeline:
    """Read and check a pipeline file, or a userflux YAML script.

    Args:
        file: `.toml`, or `.yml`/`.yaml` for a script.
        overrides: `KEY=VALUE` each, as given to `--set`.
        environment: values for `${NAME}`; the process's own if None.

    Raises:
        InvalidPipeline: with every problem that was found.
    """
    environment = os.environ if environment is None else environment
    text = read_text(file)
    if file.suffix in (".yml", ".yaml"):
        from flux.flows.userflux import read_script, to_document

        values = to_document(read_script(text, str(file)))
        return compile_document(
            _finished(values, file, overrides, environment), default_name=file.stem
        )
    document = parse(text, str(file), file.parent, overrides=overrides, environment=environment)
    return compile_document(document, default_name=file.stem)


def _finished(
    values: dict[str, Any],
    file: pathlib.Path,
    overrides: Sequence[str],
    environment: Mapping[str, str],
) -> Document:
    from flux.config.document import finish

    return finish(values, {}, "", str(file), file.parent, overrides, environment)


def compile_document(document: Document, *, default_name: str = "pipeline") -> Pipeline:
    """Check a document and wire its stages.

    Raises:
        InvalidPipeline: with every problem that was found.
    """
    compiler = _Compiler(document)
    pipeline = compiler.compile(default_name)
    if pipeline is None or compiler.problems:
        raise InvalidPipeline(
            report(compiler.problems, document.source, document.values), compiler.problems
        )
    return pipeline


@attrs.frozen
class _Draft:
    """A stage that was read and is not yet wired."""

    name: str
    use: str
    package: str
    stage: Any
    inputs: tuple[str, ...] | None
    """As written; None: to be found."""
    path: Path

    @property
    def accepts(self) -> tuple[Schema, ...]:
        accepts = getattr(self.stage, "accepts", ())
        return accepts if isinstance(accepts, tuple) else (accepts,)


class _Compiler:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = list(document.problems)
        self._stages = find_stages()
        self._emits: dict[str, Schema] = {}

    def compile(self, default_name: str) -> Pipeline | None:
        settings, problems = structure(Settings, self.document.values, base=self.document.base)
        self.problems += problems
        drafts = self._read_stages()
        if settings is None or drafts is None or self.problems:
            return None
        drafts = self._put_in_missing(drafts)
        nodes = self._wire(drafts)
        if nodes is None:
            return None
        pipeline = Pipeline(settings.name or default_name, settings, nodes, self.document)
        self.problems += check_graph(pipeline)
        return pipeline

    # Reading stages

    def _read_stages(self) -> list[_Draft] | None:
        tables = self.document.values.get("stage")
        if not isinstance(tables, list) or not tables:
            hint = "a pipeline is an ordered array of [[stage]] tables, each with `use`"
            self.problems.append(Problem((), "has no stages", hint, has_value=False))
            return None
        drafts: list[_Draft] = []
        for index, table in enumerate(tables):
            draft = self._read_stage(table, ("stage", index), {one.name for one in drafts})
            if draft is not None:
                drafts.append(draft)
        return drafts

    def _read_stage(self, table: Any, path: Path, taken: set[str]) -> _Draft | None:
        entry = self._entry(table, path)
        if entry is None:
            return None
        own = {key: value for key, value in table.items() if key not in _OWN_KEYS}
        stage, problems = structure(entry.load(), own, path, base=self.document.base)
        self.problems += problems
        name = self._name(table, path, entry.name, taken)
        inputs = self._inputs(table, path)
        if stage is None or name is None:
            return None
        return _Draft(name, entry.name, entry.package, stage, inputs, path)

    def _entry(self, table: Any, path: Path) -> StageEntry | None:
        if not isinstance(table, dict) or "use" not in table:
            hint = f'write use = "…", one of {", ".join(self._stages)}'
            self.problems.append(Problem((*path, "use"), "is required", hint, has_value=False))
            return None
        use = table["use"]
        if not isinstance(use, str) or use not in self._stages:
            hint = did_you_mean(str(use), self._stages) or "`flux stages` lists what there is"
            self.problems.append(Problem((*path, "use"), "names no installed stage", hint))
            return None
        return self._stages[use]

    def _name(self, table: dict[str, Any], path: Path, use: str, taken: set[str]) -> str | None:
        name = table.get("name", use)
        if not isinstance(name, str) or not name or "." in name:
            self.problems.append(Problem((*path, "name"), "must be text without dots"))
            return None
        if "name" in table and name in taken:
            self.problems.append(Problem((*path, "name"), "is the name of a stage above"))
            return None
        number = 2
        while name in taken:
            name = f"{use}-{number}"
            number += 1
        return name

    def _inputs(self, table: dict[str, Any], path: Path) -> tuple[str, ...] | None:
        if "inputs" not in table:
            return None
        inputs = table["inputs"]
        if not isinstance(inputs, list) or not all(isinstance(one, str) for one in inputs):
            self.problems.append(Problem((*path, "inputs"), "must be an array of names of stages"))
            return None
        return tuple(inputs)

    # Wiring

    def _put_in_missing(self, drafts: list[_Draft]) -> list[_Draft]:
        """Add a collector if there is none, and a pacer or roster before each executor."""
        names = {draft.name for draft in drafts}
        drafts = [
            one for draft in drafts for one in (*self._pacer_for(draft, drafts, names), draft)
        ]
        executors = [index for index, one in enumerate(drafts) if _emits(one) is OUTCOME]
        has_collector = any(kind_of(draft.stage) == "collector" for draft in drafts)
        if executors and not has_collector:
            inputs = tuple(drafts[index].name for index in executors)
            drafts.insert(executors[-1] + 1, self._new("collect", inputs, names))
        return drafts

    def _pacer_for(self, draft: _Draft, drafts: list[_Draft], names: set[str]) -> Iterator[_Draft]:
        if _emits(draft) is not OUTCOME:
            return
        for schema, (use, paced) in _PACERS.items():
            source = self._demand_above(draft, drafts, schema)
            if source is not None and paced in draft.accepts:
                pacer = self._new(use, (source,), names, beside=draft)
                yield pacer
                return

    def _demand_above(self, draft: _Draft, drafts: list[_Draft], schema: str) -> str | None:
        """Name of the stage whose DEMAND or USERS this executor is to be fed from, if it is."""
        flow = _demand_flow(drafts)
        if draft.inputs is not None:
            return next((one for one in draft.inputs if flow.get(one) == schema), None)
        above_it = drafts[: drafts.index(draft)]
        for one in reversed(above_it):
            if kind_of(one.stage) == "pacer":
                return None
            if flow.get(one.name) in _PACERS:
                return one.name if flow[one.name] == schema else None
        return None

    def _new(
        self, use: str, inputs: tuple[str, ...], names: set[str], beside: _Draft | None = None
    ) -> _Draft:
        entry = self._stages[use]
        name = use if use not in names else f"{use}-{beside.name if beside else 'all'}"
        names.add(name)
        return _Draft(name, use, entry.package, entry.load()(), inputs, ())

    def _wire(self, drafts: list[_Draft]) -> tuple[Node, ...] | None:
        inputs = self._find_inputs(drafts)
        if self.problems:
            return None
        ordered = self._in_order(drafts, inputs)
        if ordered is None:
            return None
        nodes: dict[str, Node] = {}
        for draft in ordered:
            node = self._node(draft, [nodes[name] for name in inputs[draft.name]])
            if node is not None:
                nodes[draft.name] = node
            else:
                return None
        return tuple(nodes.values())

    def _find_inputs(self, drafts: list[_Draft]) -> dict[str, tuple[str, ...]]:
        """Each stage's inputs: as written, or the nearest above that emits what it accepts."""
        names = [draft.name for draft in drafts]
        flow: dict[str, Schema | None] = {}
        found: dict[str, tuple[str, ...]] = {}
        pacer_of = self._pacers_by_input(drafts)
        for index, draft in enumerate(drafts):
            if draft.inputs is not None:
                for one in draft.inputs:
                    if one not in names:
                        hint = did_you_mean(one, names) or f"the stages are {', '.join(names)}"
                        self.problems.append(
                            Problem((*draft.path, "inputs"), f"names no stage {one!r}", hint)
                        )
                found[draft.name] = self._through_pacer(draft, pacer_of)
            elif draft.accepts:
                found[draft.name] = self._nearest(draft, drafts[:index], flow)
            else:
                found[draft.name] = ()
            first = found[draft.name][0] if found[draft.name] else None
            emits = _emits(draft)
            flow[draft.name] = flow.get(first) if emits is SAME and first else emits
        return found

    def _pacers_by_input(self, drafts: list[_Draft]) -> dict[str, str]:
        return {
            one.inputs[0]: one.name
            for one in drafts
            if not one.path and one.inputs and kind_of(one.stage) == "pacer"
        }

    def _through_pacer(self, draft: _Draft, pacer_of: dict[str, str]) -> tuple[str, ...]:
        """An executor whose `inputs` name a stage of DEMAND takes that stage's pacer instead."""
        inputs = draft.inputs or ()
        if _emits(draft) is not OUTCOME:
            return inputs
        return tuple(pacer_of.get(one, one) for one in inputs)

    def _nearest(
        self, draft: _Draft, above_it: list[_Draft], flow: Mapping[str, Schema | None]
    ) -> tuple[str, ...]:
        for one in reversed(above_it):
            if flow.get(one.name) in draft.accepts:
                return (one.name,)
        wanted = " or ".join(schema.name for schema in draft.accepts)
        self.problems.append(
            Problem(
                (*draft.path, "use"),
                f"has no input: no stage above emits {wanted}",
                _HINTS.get(draft.accepts[0].name),
            )
        )
        return ()

    def _in_order(
        self, drafts: list[_Draft], inputs: Mapping[str, tuple[str, ...]]
    ) -> list[_Draft] | None:
        """Drafts sorted so that inputs come first; a cycle is a problem."""
        by_name = {draft.name: draft for draft in drafts}
        done: dict[str, _Draft] = {}
        cycle: list[str] = []

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if cycle or name in done:
                return
            if name in trail:
                cycle.extend((*trail[trail.index(name) :], name))
                return
            for one in inputs[name]:
                visit(one, (*trail, name))
            done[name] = by_name[name]

        for draft in drafts:
            visit(draft.name, ())
        if cycle:
            path = by_name[cycle[0]].path
            chain = " → ".join(reversed(cycle))
            self.problems.append(Problem((*path, "inputs"), f"makes a cycle: {chain}"))
            return None
        return list(done.values())

    def _node(self, draft: _Draft, inputs: list[Node]) -> Node | None:
        accepts: Schema | None = None
        for one in inputs:
            if one.emits not in draft.accepts:
                takes = " or ".join(schema.name for schema in draft.accepts) or "no input"
                gives = one.emits.name if one.emits else "nothing"
                self.problems.append(
                    Problem(
                        (*draft.path, "inputs"),
                        f"does not fit: {one.name!r} emits {gives}, {draft.use} takes {takes}",
                    )
                )
                return None
            if accepts is not None and one.emits is not accepts:
                self.problems.append(
                    Problem((*draft.path, "inputs"), f"mix {accepts.name} and {one.emits.name}")
                )
                return None
            accepts = one.emits
        emits = _emits(draft)
        emits = accepts if emits is SAME else emits
        names = tuple(one.name for one in inputs)
        return Node(
            draft.name, draft.use, draft.package, draft.stage, names, accepts, emits, draft.path
        )


_HINTS: Mapping[str, str] = {
    "ARRIVAL": 'put a generator above it, such as use = "exponential" with rate = "20/s"',
    "DEMAND": 'put a generator above it, such as use = "exponential" with rate = "20/s"',
    "OUTCOME": 'put an executor above it, such as use = "http"',
    "SUMMARY": 'put use = "collect" above it, below an executor',
}


def _emits(draft: _Draft) -> Schema | None:
    return getattr(draft.stage, "emits", None)


def _demand_flow(drafts: list[_Draft]) -> dict[str, str]:
    """For each stage that sends DEMAND or USERS, which of the two; shapers pass on their input's."""
    flow: dict[str, str] = {}
    last: str | None = None
    for draft in drafts:
        emits = _emits(draft)
        if emits is SAME:
            given = flow.get(draft.inputs[0]) if draft.inputs else last
            if given:
                flow[draft.name] = last = given
        elif emits is not None and emits.name in _PACERS:
            flow[draft.name] = last = emits.name
    return flow


def check_graph(pipeline: Pipeline) -> Iterator[Problem]:
    """What is wrong with the graph as a whole."""
    if not pipeline.executors:
        yield Problem((), "has no executor", 'add a stage with use = "http"', has_value=False)
    for node in pipeline.nodes:
        untaken = node.emits is not None and not pipeline.takers(node)
        if untaken and node.kind != "collector":
            yield _untaken(pipeline, node)
        check = getattr(node.stage, "check_end", None)
        if check is not None and _is_endless(pipeline, node):
            yield from (
                Problem((*node.path, *((one.key,) if one.key else ())), one.rule, one.hint)
                for one in check()
            )


def _is_endless(pipeline: Pipeline, node: Node) -> bool:
    """True when nothing says when arrivals end."""
    chain = pipeline.chain(node)
    own = getattr(chain[0].stage, "duration", None) if chain else None
    return own is None and pipeline.settings.duration is None


def _untaken(pipeline: Pipeline, node: Node) -> Problem:
    rivals = [one for one in pipeline.nodes if one.emits in (DEMAND, USERS) and one is not node]
    if any(one.emits is not node.emits for one in rivals) and node.emits in (DEMAND, USERS):
        return Problem(
            (*node.path, "use"),
            "gives a rate and users for one flow, which answer different questions",
            "a rate asks how the target does when so many sessions arrive whatever happens "
            "(open model); users ask how it does when so many people wait for each answer "
            "(closed model): keep one",
        )
    emits = node.emits.name if node.emits else ""
    return Problem(
        (*node.path, "use"),
        f"sends {emits} that no stage takes",
        "remove it, or name it in the inputs of a stage below",
    )


def describe(pipeline: Pipeline) -> Iterator[str]:
    """The graph as lines of text, one an edge."""
    for node in pipeline.nodes:
        for name in node.inputs:
            schema = node.accepts.name if node.accepts else ""
            put_in = "" if node.path else "  (put in)"
            yield f"{name} → {node.name}  {schema}{put_in}"


__all__ = [
    "Node",
    "Pipeline",
    "Settings",
    "compile_document",
    "describe",
    "key_text",
    "load",
]
