"""What a report opens with: may the numbers be trusted, did the run pass, and why not."""

from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

import attrs

from flux.attention import look_at
from flux.console import format_duration
from flux.errors import FluxError
from flux.report.fields import Fields, count, number, table, tables, text
from flux.result_reading import read_back
from flux.summary import Unit
from flux.thresholds.judge import value_text

Word: TypeAlias = Literal["VALID", "INVALID", "FAILED", "INCOMPLETE", "UNJUDGED"]
"""The gravest that holds: incomplete, invalid, failed, valid; or none, of another tool's run."""

_MEANINGS: dict[Word, str] = {
    "VALID": "The generator kept its plan, and nothing that was asked of the run failed.",
    "INVALID": "The generator could not keep its own plan: these numbers must not be trusted.",
    "FAILED": "The generator kept its plan, and the run did not pass.",
    "INCOMPLETE": "The run did not come to its end, or has not yet: nobody has judged it, and "
    "what it measured last may be missing.",
    "UNJUDGED": "Nobody has judged how this run was made: take its numbers for what they are.",
}


@attrs.frozen
class Reason:
    """One thing that speaks against a run."""

    kind: Literal["incomplete", "invalid", "failed", "note"]
    """What it makes of the run; a note changes nothing."""
    text: str
    """One line."""
    remedy: str = ""
    """What to do about it; maybe nothing."""


@attrs.frozen
class Conclusion:
    """The verdict on a run."""

    word: Word
    reasons: tuple[Reason, ...]
    """The gravest first."""

    @property
    def meaning(self) -> str:
        """What the word means."""
        return _MEANINGS[self.word]


_WORDS: dict[str, Word] = {"incomplete": "INCOMPLETE", "invalid": "INVALID", "failed": "FAILED"}


def conclude(document: Fields) -> Conclusion:
    """The verdict that a result comes to, with every reason."""
    if recorded_by := text(document, "recorded_by"):
        unknown = document.get("unknown")
        notes = [recorded_by, *(unknown if isinstance(unknown, list) else [])]
        return Conclusion("UNJUDGED", tuple(Reason("note", note) for note in notes))
    order = [*_WORDS, "note"]
    reasons = sorted(_reasons(document), key=lambda reason: order.index(reason.kind))
    word = _WORDS.get(reasons[0].kind, "VALID") if reasons else "VALID"
    return Conclusion(word, tuple(reasons))


def advice_on(document: Fields) -> str:
    """Where to look first, see `flux.attention`; empty where the result does not tell."""
    if document.get("complete") is not True:
        return ""
    try:
        summary, _ = read_back(dict(document))
        return look_at(summary)
    except (FluxError, TypeError, ValueError, AttributeError):
        # An odd value may be found out only where it is used.
        return ""


def _reasons(document: Fields) -> Iterator[Reason]:
    validity = table(document, "validity")
    if document.get("complete") is not True:
        yield _unfinished(table(document, "repaired"))
    findings = tables(validity, "findings")
    for finding in findings:
        kind: Literal["invalid", "note"] = "invalid" if finding.get("fatal") is True else "note"
        yield Reason(kind, text(finding, "text"), text(finding, "remedy"))
    if validity.get("valid") is False and not any(one.get("fatal") is True for one in findings):
        yield Reason("invalid", "the result is marked as not valid and does not say why")
    ended_by = table(document, "run", "ended_by")
    if ended_by:
        yield Reason("failed" if count(ended_by, "exit_code") else "note", text(ended_by, "text"))
    for threshold in tables(document, "thresholds"):
        if threshold.get("passed") is False:
            yield Reason("failed", f"threshold {threshold_text(threshold)}")


def _unfinished(repaired: Fields) -> Reason:
    if repaired:
        source, rows = text(repaired, "source"), count(repaired, "rows")
        return Reason(
            "incomplete", f"the run was killed; this was rebuilt from {rows:,} rows of {source}"
        )
    return Reason(
        "incomplete",
        "the result was never finished: flux was killed, or is still running",
        "if it was killed and has rows: flux results repair",
    )


def threshold_title(threshold: Fields) -> str:
    """What a threshold is called: "response p(95) < 250ms [step login]"."""
    scope = text(threshold, "scope")
    title = f"{text(threshold, 'metric')} {text(threshold, 'expect')}"
    return f"{title} [{scope}]" if scope else title


def observed_text(threshold: Fields) -> str:
    """The value that was observed, with its unit."""
    if told := text(threshold, "observed_text"):
        return told
    written = text(threshold, "unit")
    unit: Unit = next((unit for unit in get_args(Unit) if unit == written), "count")
    return value_text(number(threshold, "observed"), unit)


def threshold_text(threshold: Fields) -> str:
    """A threshold and what was observed, in one line."""
    told = f"{threshold_title(threshold)}: {observed_text(threshold)}"
    if reason := text(threshold, "reason"):
        told += f" ({reason})"
    failed_ns = number(threshold, "first_failed_ns")
    return told if failed_ns is None else f"{told}; first failed at {format_duration(failed_ns)}"
