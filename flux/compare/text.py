"""A comparison as text of about 80 columns, and as data for JSON. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from flux.compare.comparison import Comparison, Difference, differing_names
from flux.compare.figures import TIMES
from flux.compare.intervals import LEVEL_PERCENT
from flux.compare.limits import Verdict
from flux.compare.recorded import Recorded
from flux.console import WIDTH, format_count, format_duration, format_ns, format_share
from flux.summary import Summary


def format_comparison(comparison: Comparison, verdicts: Sequence[Verdict] = ()) -> str:
    """The table of one comparison, ending in a line break."""
    ours, theirs = comparison.ours, comparison.theirs
    lines = [
        f"baseline {_told(ours)}",
        f"     run {_told(theirs)}",
        "",
    ]
    lines += _tables(comparison)
    for note in comparison.notes:
        lines += _wrapped("note", note)
    for verdict in verdicts:
        if verdict.run == theirs.name:
            lines += _wrapped(verdict.judgement, f"{verdict.limit.text}: {_why(verdict)}")
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _told(one: Recorded) -> str:
    summary = one.summary
    length = f"{_length(summary)}, " if summary.measured_s > 0 else ""
    name = one.run.name if one.is_judged_by_flux else f"written by {one.tool}"
    return f"{one.name}: {name}, {length}{summary.total.requests:,} requests"


def _length(summary: Summary) -> str:
    text = format_duration(1e9 * summary.measured_s)
    return f"{text} without warm-up" if summary.warmups_ns else text


def figure_name(one: Difference) -> str:
    """Of the response time the figure alone, of the service time both."""
    return f"service {one.figure}" if one.latency == "service" else one.figure


def format_value(figure: str, value: float | None) -> str:
    """A figure with its unit."""
    if value is None:
        return "-"
    if figure in TIMES:
        return format_ns(value)
    return format_share(value, 1) if figure == "errors" else f"{format_count(value)}/s"


def format_change(figure: str, change: float) -> str:
    """A difference in per cent, or of shares in points."""
    unit = "pt" if figure == "errors" else "%"
    return f"{100 * change:+,.{2 if figure == 'errors' else 1}f} {unit}"


def said(one: Difference) -> str:
    """What may be said of a difference, in words."""
    if one.without == "value":
        return "not told by both"
    if one.certainty == "too few":
        return f"too few: {min(one.our_count, one.their_count):,} of {one.fewest:,}"
    return one.certainty


_WIDTHS = (10, 10, 11, 22)
"""Of the columns of numbers, at the least: all tables of most comparisons look the same."""


def _tables(comparison: Comparison) -> Iterator[str]:
    """A table for each step, all with columns as wide as what is in them takes."""
    heads = ("baseline", "run", "difference", f"{LEVEL_PERCENT} % interval")
    cells = {number: _cells(one) for number, one in enumerate(comparison.differences)}
    widths = [
        max(least, 2 + max(len(row[column]) for row in (heads, *cells.values())))
        for column, least in enumerate(_WIDTHS)
    ]
    for name in differing_names([comparison]):
        yield _row(name, heads, widths)
        for number, one in enumerate(comparison.differences):
            if one.step == name:
                yield _row(f"  {figure_name(one)}", cells[number], widths, said(one))
        yield ""


def _cells(one: Difference) -> tuple[str, str, str, str]:
    ours, theirs = (format_value(one.figure, value) for value in (one.ours, one.theirs))
    change, ends = "-", "-"
    if one.change is not None:
        change = format_change(one.figure, one.change)
    if one.interval is not None:
        both = (one.interval.low, one.interval.high)
        ends = " … ".join(format_change(one.figure, end) for end in both)
    return ours, theirs, change, ends


def _row(name: str, cells: Sequence[str], widths: Sequence[int], certainty: str = "") -> str:
    name = name if len(name) <= 15 else name[:14] + "…"
    numbers = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths))
    return f"{name:<15}{numbers}  {certainty}"


def _wrapped(name: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=f"{name + ' ':<10}", subsequent_indent=" " * 10
    )


def _why(verdict: Verdict) -> str:
    interval, figure = verdict.difference.interval, verdict.difference.figure
    if interval is None:
        return said(verdict.difference)
    low, high = (format_change(figure, end) for end in (interval.low, interval.high))
    return f"{format_change(figure, interval.difference)} ({low} … {high})"


def comparison_document(
    comparisons: Sequence[Comparison], verdicts: Sequence[Verdict]
) -> dict[str, Any]:
    """All comparisons with one baseline: nanoseconds, per second and shares."""
    return {
        "schema": "flux.comparison/1",
        "baseline": comparisons[0].ours.name,
        "level_percent": LEVEL_PERCENT,
        "comparisons": [
            {
                "run": one.theirs.name,
                "latencies": list(one.latencies),
                "notes": list(one.notes),
                "widened": dict(one.factors),
                "differences": [_difference(difference) for difference in one.differences],
            }
            for one in comparisons
        ],
        "limits": [
            {
                "limit": verdict.limit.text,
                "run": verdict.run,
                "step": verdict.difference.step,
                "judgement": verdict.judgement,
            }
            for verdict in verdicts
        ],
    }


def _difference(one: Difference) -> dict[str, Any]:
    interval = one.interval
    return {
        "step": one.step,
        "latency": one.latency or None,
        "figure": one.figure,
        "baseline": one.ours,
        "run": one.theirs,
        "baseline_count": one.our_count,
        "run_count": one.their_count,
        "fewest": one.fewest,
        "difference": one.change,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "certainty": one.certainty,
    }
