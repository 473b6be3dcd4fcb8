"""What can be wrong with a graph as a whole, though each stage and each edge is right."""

import os.path
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from flux.blame import blaming
from flux.config.locate import Path
from flux.config.problems import Problem, Violation
from flux.graph import Node, Pipeline
from flux.log import LOG_FILE
from flux.phases import length_of
from flux.result_file import RESULT_FILE
from flux.run_folder import SESSION_FILE
from flux.schemas import DEMAND, OUTCOME, USERS


def check_shape(nodes: Sequence[Node]) -> Iterator[Problem]:
    """What is wrong with the graph, whatever the keys of its stages are."""
    if not any(node.emits is OUTCOME for node in nodes):
        yield Problem((), "has no executor", 'add a stage with use = "http"', has_value=False)
    taken = {name for node in nodes for name in node.inputs}
    for node in nodes:
        if node.emits is not None and node.name not in taken and node.kind != "collector":
            yield _untaken(nodes, node)


Check = Callable[[Any, int | None], Iterable[Violation]]
"""A shaper's `check_source`."""


def check_graph(pipeline: Pipeline) -> Iterator[Problem]:
    """What is wrong with the graph as a whole, though its shape is right."""
    yield from _shared_files(pipeline)
    for node in pipeline.nodes:
        if node.kind == "generator":
            yield from _too_long(pipeline, node)
            yield from _empty(pipeline, node)
        if node.kind == "shaper":
            yield from _unfit(pipeline, node)


def _shared_files(pipeline: Pipeline) -> Iterator[Problem]:
    """Sinks that would write over each other."""
    own = [SESSION_FILE, LOG_FILE, *(RESULT_FILE for node in pipeline.nodes if _is_own(node))]
    writers = dict.fromkeys(own, "flux itself")
    for node in pipeline.nodes:
        path = getattr(node.stage, "path", None) if node.path else None
        if node.kind == "sink" and isinstance(path, str) and not path.startswith("/dev/"):
            other = writers.setdefault(os.path.normpath(path), f"stage {node.name!r}")
            if other != f"stage {node.name!r}":
                key = "path" if _is_written(pipeline, (*node.path, "path")) else "use"
                yield Problem(
                    (*node.path, key),
                    f"would write {path!r}, which {other} writes",
                    "give one of them a path of its own",
                )


def _is_own(node: Node) -> bool:
    """Whether this is the stage that was put in to write the run's result."""
    return node.use == "json" and not node.path


def _is_written(pipeline: Pipeline, path: Path) -> bool:
    return path in pipeline.document.source.places


def _unfit(pipeline: Pipeline, node: Node) -> Iterator[Problem]:
    """What does not fit between a shaper and the source that it shapes."""
    check = getattr(node.stage, "check_source", None)
    chain = pipeline.chain(node)
    if check is None or not chain:
        return
    source = chain[0].stage
    own: int | None = getattr(source, "duration", None)
    end_ns = own if own is not None else pipeline.settings.duration
    for one in _found(node, check, source, end_ns):
        yield Problem((*node.path, *((one.key,) if one.key else ())), one.rule, one.hint)
    for index, phase in enumerate(pipeline.phases):
        if node.name in phase.stages and phase.end_ns is not None:
            path = ("phase", index, "stage", node.name)
            length_ns = phase.end_ns - phase.start_ns
            check = phase.stages[node.name].check_source
            for one in _found(node, check, phase.source(chain[0].name, source), length_ns):
                yield Problem((*path, *((one.key,) if one.key else ())), one.rule, one.hint)


def _found(node: Node, check: Check, source: Any, end_ns: int | None) -> list[Violation]:
    with blaming(node):
        return list(check(source, end_ns))


def _too_long(pipeline: Pipeline, node: Node) -> Iterator[Problem]:
    """A generator whose sessions would arrive after the last phase."""
    length = length_of(pipeline.settings.phase)
    own: int | None = getattr(node.stage, "duration", None)
    if length and own is not None and own > length:
        hint = "leave it out; the phases say how long sessions arrive"
        yield Problem((*node.path, "duration"), f"must be at most {length}, as phases are", hint)


def _empty(pipeline: Pipeline, node: Node) -> Iterator[Problem]:
    """A generator that has the level 0 all along, and nothing below it that gives another."""
    in_phases = [phase.stages.get(node.name, node.stage) for phase in pipeline.phases]
    levels = [getattr(one, "base_level", None) for one in in_phases or [node.stage]]
    shapers = [
        stage
        for one in pipeline.nodes
        if one.kind == "shaper" and node in pipeline.chain(one)
        for stage in (one.stage, *(phase.stages.get(one.name) for phase in pipeline.phases))
    ]
    if all(level == 0 for level in levels) and not any(
        getattr(shaper, "gives_rates", False) for shaper in shapers
    ):
        rule = "must be greater than 0 at some time, or nothing is ever sent"
        yield Problem((*node.path, "rate"), rule, 'write rate = "20/s"')


def _untaken(nodes: Sequence[Node], node: Node) -> Problem:
    rivals = [one for one in nodes if one.emits in (DEMAND, USERS) and one is not node]
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
