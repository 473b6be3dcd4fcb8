"""What a search has tried and found, as text and as plain data. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from flux.console import format_count, format_percentile, format_share
from flux.engine import RunResult
from flux.errors import ExitCode
from flux.schemas import ErrorCode
from flux.search.bracket import Answer, Verdict
from flux.search.knob import Knob
from flux.summary import Summary

_COLUMNS = ("load", "requests/s", "failed", "p50", "p95", "p99", "")


@attrs.frozen
class Try:
    """A load that was tried."""

    load: float
    verdict: Verdict
    reason: str
    """Why it did not pass; empty if it did."""
    folder: str
    """Of the run, below that of the search."""
    summary: Summary

    def line(self, knob: Knob) -> str:
        """It in one row of the table."""
        total = self.summary.total
        mark = "✓" if self.verdict is Verdict.PASSED else f"✗ {self.reason}"
        cells = (
            load_text(self.load, knob),
            format_count(self.summary.rate_per_s),
            format_share(total.failures, total.requests) if total.requests else "-",
            *(format_percentile(total.response, percent) for percent in (50, 95, 99)),
        )
        return f"{cells[0]:>14}" + "".join(f"{cell:>11}" for cell in cells[1:]) + f"  {mark}"

    def document(self) -> dict[str, Any]:
        """It as plain data: loads in arrivals per second or users, times in nanoseconds."""
        total = self.summary.total
        percentiles = total.response.percentiles((50, 95, 99)).tolist()
        known = percentiles if total.response.count else (None,) * 3
        return {
            "load": self.load,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "folder": self.folder,
            "requests": total.requests,
            "failures": total.failures,
            "requests_per_s": self.summary.rate_per_s,
            **dict(zip(("p50_ns", "p95_ns", "p99_ns"), known)),
        }


def heading() -> str:
    """The head of the table."""
    return f"{_COLUMNS[0]:>14}" + "".join(f"{name:>11}" for name in _COLUMNS[1:])


def load_text(load: float, knob: Knob) -> str:
    """A load with its unit."""
    return f"{load:,.0f}{knob.unit}" if knob.is_users else f"{format_count(load)}{knob.unit}"


def verdict_of(code: ExitCode, result: RunResult, max_lag_p99_ns: int) -> tuple[Verdict, str]:
    """How a run went, and why it did not pass.

    A run that dropped arrivals, though its generator was not late, is the target's doing: it did
    not answer fast enough for the places there were.
    """
    summary = result.summary
    if code is ExitCode.OK:
        return Verdict.PASSED, ""
    if code is ExitCode.GUARD and result.ending is not None:
        return Verdict.FAILED, result.ending.text
    if code is ExitCode.INVALID_RUN and summary is not None:
        reason = next((one.text for one in summary.findings if one.is_fatal), "")
        own = sum(summary.total.errors.get(one.text, 0) for one in _OWN_ERRORS)
        is_late = summary.total.lag.percentile(99) > max_lag_p99_ns
        if summary.sessions.dropped and not is_late and not own:
            return Verdict.FAILED, reason
        return Verdict.INVALID, f"invalid: {reason}"
    failed = [one for one in summary.verdicts if one.judgement != "passed"] if summary else []
    return Verdict.FAILED, failed[0].title if failed else ""


_OWN_ERRORS = (ErrorCode.DESCRIPTORS, ErrorCode.PORTS)


def answer_lines(answer: Answer, knob: Knob) -> Iterator[str]:
    """The answer for people."""
    if answer.sustained is None:
        breaking = "" if answer.breaking is None else load_text(answer.breaking, knob)
        yield f"not even {breaking} was sustained; search lower with --min"
        return
    yield f"sustained    {load_text(answer.sustained, knob)}{_confirmed(answer)}"
    if answer.breaking is not None:
        yield f"breaking     {load_text(answer.breaking, knob)}, by {answer.limit.value}"
    else:
        yield "breaking     nothing broke up to there; search higher with --max"
    yield f"recommended  {load_text(answer.base or 0, knob)} as base, four fifths of it"
    yield f"             {load_text(answer.peak or 0, knob)} as the highest of peaks"


def _confirmed(answer: Answer) -> str:
    return ", confirmed by a second run" if answer.is_confirmed else ", not confirmed"


def document(tries: Sequence[Try], answer: Answer, knob: Knob) -> dict[str, Any]:
    """All of it as plain data."""
    return {
        "schema": "flux.search/1",
        "key": knob.key,
        "unit": "users" if knob.is_users else "arrivals/s",
        "sustained": answer.sustained,
        "breaking": answer.breaking,
        "limit": answer.limit.name.lower(),
        "confirmed": answer.is_confirmed,
        "recommended": {"base": answer.base, "peak": answer.peak},
        "tries": [one.document() for one in tries],
    }
