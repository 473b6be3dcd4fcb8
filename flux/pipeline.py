"""From a pipeline file to a checked graph of stages. Pure: no clock, no network, nothing started.

    document → stages (each checked by its own class) → wiring → checks of the whole graph

Problems are collected on the way, and come in one report.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from flux.blame import blaming
from flux.config.document import Document, finish, parse, read_text
from flux.config.locate import Path
from flux.config.problems import InvalidPipeline, Problem, did_you_mean, report
from flux.config.structure import structure
from flux.graph import Node, Pipeline, Settings, describe
from flux.graph_checks import check_graph, check_shape
from flux.guards.contacts import check_contacts
from flux.guards.put_in import check_guards, with_guards
from flux.parts import Parts, RunStep
from flux.phase_overrides import Overrides
from flux.phases import REST_NAME, WARMUP_NAME, length_of, phases_of
from flux.registry import StageEntry, find_stages
from flux.schemas import OUTCOME
from flux.thresholds.resolve import resolve_thresholds
from flux.wiring import Draft, Wiring

__all__ = ["Node", "Pipeline", "Settings", "compile_document", "describe", "load"]

_TABLES = ("breaker", "budget", "validity", "threshold", "phase")
"""Tables at the top of a file whose keys `--set` may name."""

_OWN_KEYS = ("use", "name", "inputs")
"""Keys of a stage's table that are not fields of its class."""


def load(
    file: pathlib.Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    added: Sequence[str] = (),
) -> Pipeline:
    """Read and check a pipeline file, or a userflux YAML script.

    Args:
        file: `.toml`, or `.yml`/`.yaml` for a script.
        overrides: `KEY=VALUE` each, as given to `--set`.
        environment: values for `${NAME}`; the process's own if None.
        added: stages to put in at the end, where the file has none of that name.

    Raises:
        InvalidPipeline: with every problem that was found.
    """
    environment = os.environ if environment is None else environment
    text = read_text(file)
    if file.suffix in (".yml", ".yaml"):
        from flux.flows.userflux import read_script, to_document  # needs PyYAML, few pipelines do

        script = read_script(text, str(file))
        values = to_document(script)
        places = (str(file), file.parent)
        document = finish(values, {}, "", *places, overrides, environment, _TABLES, added)
        document = attrs.evolve(document, warnings=script.warnings)
    else:
        document = parse(
            text,
            str(file),
            file.parent,
            overrides=overrides,
            tables=_TABLES,
            environment=environment,
            added=added,
        )
    return compile_document(document, default_name=file.stem)


def compile_document(document: Document, *, default_name: str = "pipeline") -> Pipeline:
    """Check a document and wire its stages.

    Raises:
        InvalidPipeline: with every problem that was found.
    """
    compiler = _Compiler(document)
    pipeline = compiler.compile(default_name)
    if pipeline is None or compiler.problems:
        problems = _without_repeats(compiler.problems)
        raise InvalidPipeline(report(problems, document.source, document.values), problems)
    return pipeline


class _Compiler:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = list(document.problems)
        self._stages = find_stages()

    def compile(self, default_name: str) -> Pipeline | None:
        values = {key: one for key, one in self.document.values.items() if key != "threshold"}
        settings, problems = structure(Settings, values, base=self.document.base)
        self.problems += problems
        found = self._read_stages()
        drafts = [one for one in found or () if one is not None and not one.is_stand_in]
        overrides = Overrides(self.document, drafts)
        self.problems += overrides.problems
        nodes = self._wire(found)
        is_sound = not self.problems
        tables, thresholds, problems = resolve_thresholds(
            self.document.values.get("threshold", []), self._steps(drafts), _phase_names(settings)
        )
        self.problems += problems
        if settings is None or nodes is None or not is_sound:
            return None
        if settings.phase and settings.duration is None:
            settings = attrs.evolve(settings, duration=length_of(settings.phase))
        settings = attrs.evolve(settings, threshold=tables)
        phases = phases_of(settings.phase, settings.warmup, settings.duration, overrides.stages)
        name = settings.name or default_name
        pipeline = Pipeline(name, settings, nodes, self.document, phases, thresholds)
        self.problems += check_graph(pipeline)
        self.problems += check_guards(pipeline)
        pipeline = with_guards(pipeline)
        self.problems += check_contacts(pipeline)
        return pipeline

    def _wire(self, drafts: list[Draft | None] | None) -> tuple[Node, ...] | None:
        """The graph, though some of its stages have problems of their own; None if it cannot be."""
        known = [one for one in drafts or () if one is not None]
        if drafts is None or len(known) < len(drafts):
            return None
        wiring = Wiring(self._stages)
        nodes = wiring.nodes(known)
        self.problems += wiring.problems
        if nodes is not None:
            self.problems += check_shape(nodes)
        return nodes

    def _steps(self, drafts: list[Draft]) -> tuple[RunStep, ...] | None:
        """The steps of the run; None if a stage could not be read."""
        tables = self.document.values.get("stage")
        if not isinstance(tables, list) or len(drafts) < len(tables):
            return None
        executors = [one for one in drafts if getattr(one.stage, "emits", None) is OUTCOME]
        for one in executors:
            with blaming(one):
                Parts.of_stages([(one.name, one.stage)])
        return Parts.of_stages([(one.name, one.stage) for one in executors]).run_steps

    def _read_stages(self) -> list[Draft | None] | None:
        """A draft for each stage, or what stands in for it, or None where it is not known."""
        tables = self.document.values.get("stage")
        if not isinstance(tables, list) or not tables:
            hint = "a pipeline is an ordered array of [[stage]] tables, each with `use`"
            self.problems.append(Problem((), "has no stages", hint, has_value=False))
            return None
        drafts: list[Draft | None] = []
        for index, table in enumerate(tables):
            taken = {one.name for one in drafts if one is not None}
            drafts.append(self._read_stage(table, ("stage", index), taken))
        return drafts

    def _read_stage(self, table: Any, path: Path, taken: set[str]) -> Draft | None:
        entry = self._entry(table, path)
        if entry is None:
            return None
        own = {key: value for key, value in table.items() if key not in _OWN_KEYS}
        loaded = entry.load()
        with blaming(entry):
            stage, problems = structure(loaded, own, path, base=self.document.base)
        self.problems += problems
        name = self._name(table, path, entry.name, taken)
        inputs = self._inputs(table, path)
        if name is None:
            return None
        draft = Draft(
            name, entry.name, entry.package, loaded if stage is None else stage, inputs, path
        )
        return draft if draft.has_place else None

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
            self.problems.append(
                Problem((*path, "name"), "must be text without dots, and not empty")
            )
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


def _without_repeats(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, less those of values that could not be filled in from the environment."""
    paths = [problem.path for problem in problems]
    return [one for index, one in enumerate(problems) if one.path not in paths[:index]]


def _phase_names(settings: Settings | None) -> list[str] | None:
    """Of the run's phases; None if they are not known."""
    if settings is None:
        return None
    if settings.warmup is not None and not settings.phase:
        return [WARMUP_NAME, REST_NAME]
    return [phase.name for phase in settings.phase]
