"""From a summary to verdicts.

Strategy. Nothing passes for want of data: without a single request, or with fewer than a percentile
needs, a threshold has failed, and says so. Requests that the end of the run cut took longer than
anybody knows, so percentiles and the maximum take them for longer than all others. And the
numbers of a run that is not valid are not judged at all.
"""

import math
from collections.abc import Iterable, Sequence

import attrs

from flux.conservation import Ledger
from flux.console import format_count, format_ns
from flux.summary import StepSummary, Summary, Unit, Verdict
from flux.thresholds.metrics import Measured
from flux.thresholds.resolve import Threshold

INVALID_REASON = "the run is invalid"


def judge(thresholds: Iterable[Threshold], summary: Summary) -> tuple[Verdict, ...]:
    """Hold the numbers of a summary against thresholds.

    Args:
        thresholds: those of a pipeline.
        summary: of a run, or of a part of it. If it was found to be invalid, nothing is judged.

    Returns:
        A verdict for each threshold, in order.
    """
    verdicts = (judge_measured(one, measure_summary(one, summary)) for one in thresholds)
    if summary.is_valid:
        return tuple(verdicts)
    return tuple(
        attrs.evolve(one, judgement="not judged", reason=INVALID_REASON) for one in verdicts
    )


def measure_summary(threshold: Threshold, summary: Summary) -> Measured:
    """What the threshold looks at in a summary: warm-up only if it names that phase."""
    if threshold.phase is None:
        start_ns = summary.end_ns - round(1e9 * summary.measured_s)
        return measure(
            threshold, summary.steps, summary.measured_sessions, start_ns, summary.end_ns
        )
    for phase in summary.phases:
        if phase.name == threshold.phase:
            start_ns = max(phase.start_ns, summary.start_ns)
            end_ns = max(start_ns, min(phase.end_ns, summary.end_ns))
            return measure(threshold, phase.steps, phase.sessions, start_ns, end_ns)
    return measure(threshold, (), Ledger(), summary.end_ns, summary.end_ns)


def measure(
    threshold: Threshold,
    steps: Sequence[StepSummary],
    sessions: Ledger,
    start_ns: int,
    end_ns: int,
) -> Measured:
    """What the threshold looks at in these steps and sessions of some time."""
    if threshold.steps is not None:
        steps = [step for step in steps if step.name in threshold.steps]
    return threshold.metric.measure(steps, sessions, start_ns, end_ns, threshold.error)


def judge_measured(threshold: Threshold, measured: Measured) -> Verdict:
    """Hold one measurement against its threshold."""
    expectation = threshold.expectation
    value, reason = observe(threshold, measured)
    holds = value is not None and expectation.holds(value)
    return Verdict(
        metric=threshold.metric.name,
        expect=expectation.text,
        scope=threshold.scope,
        judgement="passed" if holds else "failed",
        observed=value if value is not None and math.isfinite(value) else None,
        observed_text=value_text(value, expectation.unit),
        limit=expectation.limit,
        unit=expectation.unit,
        samples=measured.out_of,
        reason=reason,
    )


def observe(threshold: Threshold, measured: Measured) -> tuple[float | None, str]:
    """The value that a threshold is about, and what there is to say of it.

    Returns:
        The value in the threshold's unit, infinite if it is among requests that were cut, and None
        if there is too little to go by; and one line on that, or nothing.
    """
    noun = threshold.metric.noun
    if not measured.out_of:
        return None, f"there were no {noun}"
    aggregate = threshold.expectation.aggregate
    if measured.latency is not None:
        return _latency(aggregate, threshold.expectation.percent, measured, noun)
    if aggregate == "count":
        return float(measured.count), ""
    if threshold.expectation.unit == "share":
        return measured.count / measured.out_of, ""
    if measured.duration_s <= 0:
        return None, "no time went by"
    return measured.count / measured.duration_s, ""


def _latency(
    aggregate: str, percent: float, measured: Measured, noun: str
) -> tuple[float | None, str]:
    latency = measured.latency
    cut = f"{measured.cut} {noun} were cut by the end of the run" if measured.cut else ""
    if latency is None or not latency.count:
        return (math.inf if aggregate in ("percentile", "max") else None), cut
    if aggregate == "percentile":
        needed = samples_needed(percent)
        if measured.out_of < needed:
            return None, f"{measured.out_of} {noun} are too few: p({percent:g}) needs {needed}"
        rank = math.ceil(percent / 100 * measured.out_of - 1e-9)
        if rank > latency.count:
            return math.inf, cut
        # Of the values that are known, the same rank is a higher percentile.
        return float(latency.percentile(100 * rank / latency.count)), ""
    if aggregate == "max":
        return (math.inf if measured.cut else float(latency.max_ns)), cut
    value = latency.mean_ns if aggregate == "avg" else float(latency.min_ns)
    return value, f"{cut}, and are not in it" if cut else ""


def samples_needed(percent: float) -> int:
    """How many values a percentile needs so that at least one is above it."""
    return math.ceil(100 / (100 - percent) - 1e-9)


def value_text(value: float | None, unit: Unit) -> str:
    """A value for people: "12.3 ms", "0.4 %", "1,234", "99.5/s"."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "not known"
    if unit == "ns":
        return format_ns(value)
    if unit == "share":
        return f"{100 * value:.4g} %"
    return format_count(value) + ("/s" if unit == "per_s" else "")
