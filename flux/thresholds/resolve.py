"""From `[[threshold]]` tables to thresholds, and everything that is wrong with them."""

from collections.abc import Iterator, Sequence

import attrs

from flux.config.locate import Path
from flux.config.problems import Problem, Violation, did_you_mean
from flux.config.structure import structure
from flux.parts import RunStep
from flux.schemas import ERROR_TEXTS
from flux.thresholds.grammar import Expectation, read_expectation
from flux.thresholds.metrics import METRICS, Metric
from flux.thresholds.table import ThresholdTable


@attrs.frozen
class Threshold:
    """Something that the numbers must fulfil, understood."""

    metric: Metric
    expectation: Expectation
    scope: str = ""
    """What of the run it is about, for people; empty: all of it."""
    steps: tuple[str, ...] | None = None
    """Names of the steps that it is about; None: all."""
    phase: str | None = None
    """Name of the phase that it is about; None: all but warm-up."""
    error: str = ""
    """Count only what failed for this reason; any if empty."""
    is_aborting: bool = False
    after_ns: int = 0
    window_ns: int | None = None

    @property
    def title(self) -> str:
        """As `Verdict.title`."""
        scope = f" [{self.scope}]" if self.scope else ""
        return f"{self.metric.name} {self.expectation.text}{scope}"


def resolve_thresholds(
    tables: object, steps: Sequence[RunStep] | None, phases: Sequence[str] | None
) -> tuple[tuple[ThresholdTable, ...], tuple[Threshold, ...], list[Problem]]:
    """Read and understand the value of the key `threshold`.

    Args:
        tables: what the parser made of it.
        steps: of the run; None if they are not known, and names of steps are not looked at.
        phases: names of the run's phases; None if they are not known.

    Returns:
        The tables, the thresholds, and the problems; those without a problem are complete.
    """
    if not isinstance(tables, list):
        hint = "write each as a [[threshold]] table"
        return (), (), [Problem(("threshold",), "must be an array of tables", hint)]
    read: list[ThresholdTable] = []
    made: list[Threshold] = []
    problems: list[Problem] = []
    for index, value in enumerate(tables):
        path: Path = ("threshold", index)
        table, found = structure(ThresholdTable, value, path)
        problems += found
        if table is not None:
            threshold, wrong = _resolve(table, path, steps)
            problems += wrong
            problems += _check_phase(table, path, phases)
            read.append(table)
            made += [threshold] if threshold is not None else []
    return tuple(read), tuple(made), problems


def _resolve(
    table: ThresholdTable, path: Path, steps: Sequence[RunStep] | None
) -> tuple[Threshold | None, list[Problem]]:
    metric = METRICS.get(table.metric)
    problems = [
        Problem((*path, *((one.key,) if one.key else ())), one.rule, one.hint)
        for one in _violations(table, metric, steps)
    ]
    expectation = None
    if metric is not None:
        try:
            expectation = read_expectation(table.expect, metric)
            _check_abort(table, expectation)
        except Violation as one:
            problems.append(Problem((*path, one.key or "expect"), one.rule, one.hint))
    if problems or metric is None or expectation is None:
        return None, problems
    return _threshold(table, metric, expectation, steps or ()), []


def _threshold(
    table: ThresholdTable, metric: Metric, expectation: Expectation, steps: Sequence[RunStep]
) -> Threshold:
    names: tuple[str, ...] | None = None
    if table.step is not None:
        names = (table.step,)
    elif table.tag is not None:
        name, _, value = table.tag.partition("=")
        names = tuple(dict.fromkeys(one.name for one in steps if one.tags.get(name) == value))
    facts = (
        *(("error", table.error), ("step", table.step)),
        *(("tag", table.tag), ("phase", table.phase)),
    )
    return Threshold(
        metric=metric,
        expectation=expectation,
        scope=", ".join(f"{key} {value}" for key, value in facts if value is not None),
        steps=names,
        phase=table.phase,
        error=table.error or "",
        is_aborting=table.abort,
        after_ns=int(table.after),
        window_ns=None if table.window is None else int(table.window),
    )


def _violations(
    table: ThresholdTable, metric: Metric | None, steps: Sequence[RunStep] | None
) -> Iterator[Violation]:
    if metric is None:
        yield Violation("names nothing that is measured", key="metric", hint=_meant_metric(table))
    if table.error is not None:
        yield from _check_error(table.error, table.metric)
    if table.step is not None and table.tag is not None:
        yield Violation("cannot stand beside step", key="tag", hint="write a threshold for each")
    if metric is not None and not metric.has_steps:
        for key in ("step", "tag"):
            if getattr(table, key) is not None:
                yield Violation(f"cannot be given: {metric.noun} have no step", key=key)
        return
    if steps is not None:
        yield from _check_step(table, steps)
        yield from _check_tag(table, steps)


def _meant_metric(table: ThresholdTable) -> str:
    known = [metric.name for metric in METRICS.values() if table.metric in metric.k6]
    if known:
        return f"what k6 calls so is {' or '.join(map(repr, known))} here"
    return did_you_mean(table.metric, METRICS) or f"there are {', '.join(METRICS)}"


def _check_error(error: str, metric: str) -> Iterator[Violation]:
    if metric != "failed":
        yield Violation('can only be given with metric = "failed"', key="error")
    texts = [text for text in ERROR_TEXTS if text]
    if error not in texts:
        hint = did_you_mean(error, texts) or f"there are {', '.join(texts)}"
        yield Violation("names no reason to fail", key="error", hint=hint)


def _check_step(table: ThresholdTable, steps: Sequence[RunStep]) -> Iterator[Violation]:
    names = [step.name for step in steps]
    if table.step is not None and table.step not in names:
        hint = did_you_mean(table.step, names) or f"the steps are {', '.join(names)}"
        yield Violation("names no step", key="step", hint=hint)


def _check_tag(table: ThresholdTable, steps: Sequence[RunStep]) -> Iterator[Violation]:
    if table.tag is None:
        return
    known = dict.fromkeys(f"{name}={value}" for step in steps for name, value in step.tags.items())
    if "=" not in table.tag:
        yield Violation('must be "name=value"', key="tag", hint=did_you_mean(table.tag, known))
    elif table.tag not in known:
        tags = f"the tags are {', '.join(known)}" if known else "no step has tags = { … }"
        yield Violation("is no step's tag", key="tag", hint=did_you_mean(table.tag, known) or tags)


def _check_phase(
    table: ThresholdTable, path: Path, phases: Sequence[str] | None
) -> Iterator[Problem]:
    if table.phase is not None and phases is not None and table.phase not in phases:
        there_are = f"the phases are {', '.join(phases)}" if phases else "the run has no phases"
        hint = did_you_mean(table.phase, phases) or there_are
        yield Problem((*path, "phase"), "names no phase", hint)


def _check_abort(table: ThresholdTable, expectation: Expectation) -> None:
    if table.abort and not expectation.is_known_on_the_way:
        raise Violation(
            "cannot abort a run: whether a count is reached is known only at the end",
            key="abort",
            hint="remove it, or look at the rate",
        )
