"""Comparisons as one page of HTML that needs nothing else: tables and curves (SVG). Pure."""

import html
import math
from collections.abc import Iterator, Sequence

import numpy as np

from flux.compare.comparison import Comparison, Difference, differing_names
from flux.compare.intervals import LEVEL_PERCENT
from flux.compare.limits import Verdict
from flux.compare.recorded import COMPARED, Recorded
from flux.compare.text import figure_name, format_change, format_value, said
from flux.console import format_duration, format_ns
from flux.histogram import Histogram

_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7d4e9e", "#b8860b", "#444444")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 300, 70, 30
_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)

_UNSURE = ("too few", "no interval", "not told")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 2rem }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child, td:last-child { text-align: left }
.higher, .lower, .missed { font-weight: 600 } .few { color: #777 }
svg text { font-size: 11px; fill: #444 }
"""


def comparison_page(comparisons: Sequence[Comparison], verdicts: Sequence[Verdict]) -> str:
    """The page."""
    runs = [comparisons[0].ours, *(one.theirs for one in comparisons)]
    title = f"flux: {', '.join(one.name for one in runs)}"
    body = [
        f"<h1>{_text(runs[0].run.name)}: runs compared</h1>",
        *_runs(runs),
        *_limits(verdicts),
    ]
    for name in differing_names(comparisons):
        body += [f"<h2>{_text(name)}</h2>", _curves(name, runs)]
        for one in comparisons:
            body += _table(name, one)
    for one in comparisons:
        body += [f"<p>{_text(one.theirs.name)}: {_text(note)}</p>" for note in one.notes]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(title)}</title>"
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _runs(runs: Sequence[Recorded]) -> Iterator[str]:
    heads = ("run", "started", "measured", "requests", "valid")
    yield f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"
    for number, one in enumerate(runs):
        valid = {True: "yes", False: "no", None: "not known"}[one.is_valid]
        mark = f'<span style="color:{_colour(number)}">━</span>'
        yield (
            f"<tr><td>{mark} {_text(one.name)}{' (baseline)' if not number else ''}</td>"
            f"<td>{_text(_started(one))}</td>"
            f"<td>{format_duration(1e9 * one.summary.measured_s)}</td>"
            f"<td>{one.summary.total.requests:,}</td><td>{valid}</td></tr>"
        )
    yield "</table>"


def _started(one: Recorded) -> str:
    began = one.run.started_at
    return began.isoformat(timespec="seconds") if began.timestamp() else "not known"


def _limits(verdicts: Sequence[Verdict]) -> Iterator[str]:
    if verdicts:
        yield "<table><tr><th>limit</th><th>run</th><th></th></tr>"
        for one in verdicts:
            kind = "missed" if one.judgement == "missed" else ""
            yield (
                f"<tr><td>{_text(one.limit.text)}</td><td>{_text(one.run)}</td>"
                f'<td class="{kind}">{one.judgement}</td></tr>'
            )
        yield "</table>"


def _table(name: str, comparison: Comparison) -> Iterator[str]:
    yield (
        f"<table><tr><th></th><th>{_text(comparison.ours.name)}</th>"
        f"<th>{_text(comparison.theirs.name)}</th><th>difference</th>"
        f"<th>{LEVEL_PERCENT} % interval</th><th></th></tr>"
    )
    yield from (_row(one) for one in comparison.differences if one.step == name)
    yield "</table>"


def _row(one: Difference) -> str:
    change = ends = "–"
    if one.change is not None:
        change = format_change(one.figure, one.change)
    if one.interval:
        low, high = (
            format_change(one.figure, end) for end in (one.interval.low, one.interval.high)
        )
        ends = f"{low} … {high}"
    kind = "few" if one.certainty in _UNSURE else one.certainty.split(" ")[0]
    values = "".join(
        f"<td>{format_value(one.figure, value)}</td>" for value in (one.ours, one.theirs)
    )
    return (
        f"<tr><td>{figure_name(one)}</td>{values}<td>{change}</td><td>{ends}</td>"
        f'<td class="{kind}">{said(one)}</td></tr>'
    )


def _curves(name: str, runs: Sequence[Recorded]) -> str:
    """Times by percentile, of a kind that all tell; each nine more is as far again to the right."""
    shared = [one for one in COMPARED if all(one in run.latencies for run in runs)]
    if not shared:
        return ""
    steps = [(number, one.step(name)) for number, one in enumerate(runs)]
    found = [(number, getattr(step, shared[0])) for number, step in steps if step]
    histograms = [(number, histogram) for number, histogram in found if histogram.count]
    if not histograms:
        return ""
    top_ns = max(histogram.max_ns for _, histogram in histograms) or 1
    most = max(histogram.count for _, histogram in histograms)
    right = max(1.0, math.log10(most))
    shapes = [*_axes(right, top_ns)]
    for number, histogram in histograms:
        points = " ".join(_points(histogram, right, top_ns))
        shapes.append(
            f'<polyline points="{points}" fill="none" stroke="{_colour(number)}" '
            'stroke-width="1.5"/>'
        )
    label = f"{shared[0].capitalize()} time of {name} by percentile"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'aria-label="{_text(label)}"><title>{_text(label)}</title>{"".join(shapes)}</svg>'
    )


def _axes(right: float, top_ns: int) -> Iterator[str]:
    for percent in _TICKS:
        if (nines := _nines(percent)) <= right:
            x = _x(nines, right)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="5" y2="{_HEIGHT - _BOTTOM}" stroke="#eee"/>'
            yield f'<text x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">p{percent:g}</text>'
    for part in range(5):
        y = _y(top_ns * part / 4, top_ns)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>'
        yield (
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{format_ns(top_ns * part / 4)}</text>"
        )


def _points(histogram: Histogram, right: float, top_ns: int) -> Iterator[str]:
    """A curve up to where one value is left above it."""
    nines = np.linspace(0, min(right, math.log10(max(histogram.count, 2))), 200)
    values_ns = histogram.percentiles(100 * (1 - 10.0**-nines))
    for one, value_ns in zip(nines.tolist(), values_ns.tolist()):
        yield f"{_x(one, right):.1f},{_y(value_ns, top_ns):.1f}"


def _nines(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _x(nines: float, right: float) -> float:
    return _LEFT + (_WIDTH - 10 - _LEFT) * nines / right


def _y(value_ns: float, top_ns: int) -> float:
    return 5 + (_HEIGHT - _BOTTOM - 5) * (1 - value_ns / top_ns)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
