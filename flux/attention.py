"""Where to look first in what a run has shown: one line. Pure.

The first of these that holds: a stage failed, a threshold was missed, requests failed, arrivals
were given up, requests waited before they were sent. What was found to be invalid has its own
reasons.
"""

from collections.abc import Mapping, Sequence

from flux.console import format_ns
from flux.schemas import ErrorCode
from flux.summary import StepSummary, Summary, Verdict
from flux.units import Duration

_ENOUGH = 100
"""Requests that a p99 needs."""

_WAITING_FACTOR = 2
_WAITING_NS = 10_000_000
"""A response p99 that is so many times that of the service, and so much longer, stands out."""

_LONGEST_NAME = 30
_ONE_STEP = "one step"
_ABOUT_STATUS = (ErrorCode.STATUS.text, ErrorCode.EXPECT_STATUS.text)


def look_at(summary: Summary) -> str:
    """One line; empty if the run is invalid, or nothing was due in it."""
    if failed := [mark.text for mark in summary.marks if mark.kind == "failure"]:
        return failed[0]
    if not summary.is_valid:
        return ""
    found = _missed(summary) or _failures(summary) or _given_up(summary) or _waiting(summary)
    return found or (_slowest(summary) if summary.total.requests else "")


def _missed(summary: Summary) -> str:
    """The threshold that was missed first, when that was, and why."""
    missed = [verdict for verdict in summary.verdicts if verdict.judgement == "failed"]
    if not missed:
        return ""
    first = min(missed, key=_first_failed_ns)
    failed_ns = _first_failed_ns(first)
    when = f" from {_at(failed_ns)} on" if failed_ns < summary.end_ns else ""
    scope = f" [{_cut(first.scope)}]" if first.scope else ""
    return f"{first.metric} {first.expect}{scope} was missed{when}: {_cause(summary, first)}"


def _first_failed_ns(verdict: Verdict) -> int:
    return 2**62 if verdict.first_failed_ns is None else verdict.first_failed_ns


def _cause(summary: Summary, verdict: Verdict) -> str:
    name = verdict.scope.removeprefix("step ")
    scoped = [step for step in summary.steps if step.name == name]
    steps = scoped or list(summary.steps)
    whole = StepSummary(_ONE_STEP if scoped else "all").merge(steps)
    if verdict.metric == "failed" and whole.errors:
        return _reason(whole, summary)
    if verdict.metric != "response" or verdict.reason:
        return verdict.reason or verdict.observed_text
    if waiting := _waiting(whole):
        return waiting
    return f"{verdict.observed_text}; {_service_of(steps, is_max=verdict.expect.startswith('max'))}"


def _service_of(steps: Sequence[StepSummary], *, is_max: bool) -> str:
    """What the server itself took, in the step that took longest."""
    if is_max:
        slowest = max(steps, key=lambda step: step.service.max_ns)
        name, time_ns = "max", slowest.service.max_ns
    else:
        slowest = _slowest_of(steps) or max(steps, key=lambda step: step.requests)
        name, time_ns = "p99", slowest.service.percentile(99)
    step = f" of {_cut(slowest.name)}" if len(steps) > 1 else ""
    return f"service {name}{step} {format_ns(time_ns)}"


def _failures(summary: Summary) -> str:
    total = summary.total
    if not total.failures:
        return ""
    share = f"{100 * total.failures / total.requests:.3g} %"
    return f"{total.failures:,} requests failed, {share}: {_reason(total, summary)}"


def _reason(whole: StepSummary, summary: Summary) -> str:
    """The most frequent one, and the step or target that has most of it."""
    if not whole.errors:
        return "their reason is not known"
    reason = max(whole.errors, key=lambda name: whole.errors[name])
    text = f"{'mostly' if len(whole.errors) > 1 else 'all'} {_named(reason, whole)}"
    steps = [] if whole.name == _ONE_STEP else summary.steps
    for parts, word in ((steps, "in step"), (summary.targets, "at target")):
        most = max(parts, key=lambda part: part.errors.get(reason, 0), default=None)
        if most and len(parts) > 1 and most.errors.get(reason, 0) * 2 > whole.errors[reason]:
            text += f", {word} {_cut(most.name)}"
    return text


def _named(reason: str, whole: StepSummary) -> str:
    """A reason; if that is the status, which."""
    wrong = {status: count for status, count in whole.statuses.items() if status >= 400}
    if reason not in _ABOUT_STATUS or not wrong:
        return reason
    return f"{reason} {max(wrong, key=lambda status: wrong[status])}"


def _given_up(summary: Summary) -> str:
    unhealthy = next((mark.text for mark in summary.marks if mark.kind == "health"), "")
    given_up: Mapping[str, int] = {
        "dropped: they came too late, or had no place": summary.sessions.dropped,
        f"withheld: {unhealthy or 'no target was healthy'}": summary.sessions.withheld,
    }
    return "; ".join(f"{count:,} arrivals were {what}" for what, count in given_up.items() if count)


def _waiting(whole: Summary | StepSummary) -> str:
    total = whole.total if isinstance(whole, Summary) else whole
    response, service = total.response, total.service
    if min(response.count, service.count) < _ENOUGH:
        return ""
    felt_ns, took_ns = response.percentile(99), service.percentile(99)
    if felt_ns < _WAITING_FACTOR * took_ns or felt_ns - took_ns < _WAITING_NS:
        return ""
    felt, took = format_ns(felt_ns), format_ns(took_ns)
    return f"requests waited before they were sent: response p99 {felt}, service p99 {took}"


def _slowest(summary: Summary) -> str:
    slowest = _slowest_of(summary.steps)
    if slowest is None:
        return "nothing stands out"
    p99 = format_ns(slowest.response.percentile(99))
    return f"nothing stands out; the slowest step is {_cut(slowest.name)}, p99 {p99}"


def _slowest_of(steps: Sequence[StepSummary]) -> StepSummary | None:
    """By its p99, of several that have one."""
    known = [step for step in steps if step.response.count >= _ENOUGH]
    if len(known) < 2:
        return None
    return max(known, key=lambda step: step.response.percentile(99))


def _at(time_ns: int) -> str:
    return str(Duration(round(time_ns / 1e9) * 10**9))


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
