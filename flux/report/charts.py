"""The charts of a report as data: what plotly draws, and the same in words and in a table.

Colours are names such as "var(--p50)": the page's own script puts in what its style sheet has for
them, in the light, in the dark and on paper. Names that people gave are escaped, as plotly takes a
part of HTML in texts.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from flux.report.fields import Fields, count, number, tables, text
from flux.report.thin import evenly, thin

Floats: TypeAlias = npt.NDArray[np.float64]
Node: TypeAlias = dict[str, Any]

TABLE_ROWS = 60
"""Rows of a chart's table, at most."""

MOST_MARKS = 40
"""Marks in a chart, at most; the table of marks has all."""

_LONGEST_LABEL = 36
_MOST_TICKS = 9
_AXIS_TITLES = {"/s": "per second"}


@attrs.frozen
class Line:
    """One line of a chart."""

    name: str
    colour: str
    """Name of a colour of the style sheet."""
    values: Floats = attrs.field(repr=False)
    """(n,) NaN where there is none."""
    dash: str = "solid"
    steps: bool = False
    """Each value holds until the next."""


@attrs.frozen
class Chart:
    """One chart."""

    key: str
    """Name within the page."""
    title: str
    caption: str
    """What it shows and how to read it."""
    alternative: str
    """What there is to be seen, in a sentence."""
    traces: list[Node] = attrs.field(repr=False)
    """As plotly has them."""
    layout: Node = attrs.field(repr=False)
    columns: Sequence[str] = ()
    """Heads of the table of its data."""
    rows: Sequence[Sequence[str]] = attrs.field(default=(), repr=False)

    @property
    def is_drawn(self) -> bool:
        """False where the caption says all that there is."""
        return bool(self.traces)


@attrs.frozen
class TimeAxis:
    """Time of the run, in the unit that suits its length; with its phases and marks."""

    unit: str
    unit_s: float
    end_s: float
    shapes: list[Node] = attrs.field(repr=False)
    """Bands of phases, and lines of marks."""
    labels: list[Node] = attrs.field(repr=False)
    """Texts of the marks."""

    def of(self, times_s: Floats) -> list[float | None]:
        """The same times in this unit."""
        return rounded(times_s / self.unit_s)


def time_axis(document: Fields, end_s: float) -> TimeAxis:
    """The axis of all charts over time."""
    unit, unit_s = (
        ("h", 3600.0) if end_s > 36_000 else ("min", 60.0) if end_s > 1200 else ("s", 1.0)
    )
    phases = tables(document, "phases")
    bands = list(_bands(phases, unit_s))
    # Where phases begin is seen by their bands.
    marks = [
        mark for mark in tables(document, "marks") if not (phases and text(mark, "kind") == "phase")
    ]
    shown = [marks[index] for index in evenly(len(marks), MOST_MARKS)] if marks else []
    times = [(number(mark, "time_ns") or 0.0) / 1e9 / unit_s for mark in shown]
    lines = [_upright(time) for time in times]
    labels = list(_labels(times, [text(mark, "text") for mark in shown], end_s / unit_s))
    return TimeAxis(unit, unit_s, end_s, [*bands, *lines], labels)


def _bands(phases: Sequence[Fields], unit_s: float) -> Iterator[Node]:
    for index, phase in enumerate(phases):
        start, end = count(phase, "start_ns") / 1e9, count(phase, "end_ns") / 1e9
        warmup = phase.get("warmup") is True
        yield {
            "type": "rect",
            "layer": "below",
            "xref": "x",
            "yref": "paper",
            "x0": start / unit_s,
            "x1": end / unit_s,
            "y0": 0,
            "y1": 1,
            "line": {"width": 0},
            "fillcolor": f"var(--{'warmup' if warmup else f'band{index % 2}'})",
            "label": {
                "text": label(text(phase, "name")),
                "textposition": "top left",
                "font": {"size": 11, "color": "var(--muted)"},
            },
        }


def _upright(time: float) -> Node:
    line = {"width": 1, "dash": "dot", "color": "var(--mark)"}
    ends = {"x0": time, "x1": time, "y0": 0, "y1": 1}
    return {"type": "line", "xref": "x", "yref": "paper", **ends, "line": line}


def _labels(times: Sequence[float], texts: Sequence[str], end: float) -> Iterator[Node]:
    """Texts beside their lines; one that would cover the text before it is left out."""
    last = -np.inf
    for time, written in zip(times, texts):
        if time - last < 0.025 * end:
            continue
        last = time
        yield {
            "x": time,
            "xref": "x",
            "xanchor": "left",
            "y": 0.02,
            "yref": "paper",
            "yanchor": "bottom",
            "textangle": -90,
            "showarrow": False,
            "text": label(written),
            "hovertext": html.escape(written, quote=False),
            "font": {"size": 10, "color": "var(--mark)"},
        }


def label(written: str) -> str:
    """A text that plotly shows as it is; a long one is cut."""
    short = written if len(written) <= _LONGEST_LABEL else written[: _LONGEST_LABEL - 1] + "…"
    return html.escape(" ".join(short.split()), quote=False)


def over_time(
    key: str,
    title: str,
    caption: str,
    axis: TimeAxis,
    times_s: Floats,
    lines: Sequence[Line],
    *,
    unit: str,
    is_log: bool = False,
    has_labels: bool = False,
) -> Chart | None:
    """Lines over the time of the run; None if not one has a value.

    Args:
        key: name of the chart within the page.
        title: for people.
        caption: what it shows.
        axis: of the run's time.
        times_s: (n,) of the values of the lines.
        lines: each with n values.
        unit: of the values.
        is_log: whether their axis is logarithmic.
        has_labels: whether marks are named in it: their texts cover a part of it.
    """
    lines = [line for line in lines if np.isfinite(line.values).any()]
    if not lines:
        return None
    layout = {
        "xaxis": {
            "title": {"text": f"time, {axis.unit}"},
            "range": [0, max(axis.end_s, 1e-3) / axis.unit_s],
        },
        "yaxis": {"title": {"text": _AXIS_TITLES.get(unit, unit)}, **_value_axis(lines, is_log)},
        "shapes": axis.shapes,
        "annotations": axis.labels if has_labels else [],
        "hovermode": "x unified",
    }
    traces = [_trace(line, axis, times_s, unit) for line in lines]
    shown = evenly(times_s.size, TABLE_ROWS)
    stacked = [rounded(times_s[shown]), *(rounded(line.values[shown]) for line in lines)]
    rows = [["-" if cell is None else f"{cell:,}" for cell in row] for row in zip(*stacked)]
    heads = ("time, s", *(f"{line.name}, {unit}" for line in lines))
    return Chart(key, title, caption, _told(lines, unit), traces, layout, heads, rows)


def _value_axis(lines: Sequence[Line], is_log: bool) -> Mapping[str, Any]:
    if not is_log:
        return {"rangemode": "tozero"}
    values = np.concatenate([line.values for line in lines])
    values = values[values > 0]
    return log_axis(values.min(), values.max()) if values.size else {"rangemode": "tozero"}


def log_axis(low: float, high: float, *, has_room: bool = True) -> Node:
    """A logarithmic axis from one value to another, with whole numbers at its ticks.

    Plotly by itself writes 2 and 5 beside 100, and means 200 and 500.

    Args:
        low: the least value, above 0.
        high: the greatest one.
        has_room: leave some room above and below, and show a decade at the least: a line that
            hardly moves must not fill the chart with its noise.
    """
    start, end = np.log10(low), np.log10(high)
    room = max(0.06 * (end - start), (1 - (end - start)) / 2) if has_room else 0.0
    start, end = start - room, end + room
    decades = range(int(np.floor(start)), int(np.ceil(end)) + 1)
    for mantissas in (range(1, 10), (1, 2, 5), (1,)):
        ticks = [float(f"{m}e{power}") for power in decades for m in mantissas]
        ticks = [tick for tick in ticks if start <= np.log10(tick) <= end]
        if len(ticks) <= _MOST_TICKS:
            break
    ticks = [ticks[index] for index in evenly(len(ticks), _MOST_TICKS)] if ticks else []
    texts = [f"{tick:,.10g}" for tick in ticks]
    return {"type": "log", "range": [start, end], "tickvals": ticks, "ticktext": texts}


def _trace(line: Line, axis: TimeAxis, times_s: Floats, unit: str) -> Node:
    kept = thin(line.values)
    return {
        "type": "scatter",
        "mode": "lines" if kept.size > 1 else "markers",
        "name": label(line.name),
        "x": axis.of(times_s[kept]),
        "y": rounded(line.values[kept]),
        "line": {
            "color": f"var(--{line.colour})",
            "width": 1.6,
            "dash": line.dash,
            "shape": "hv" if line.steps else "linear",
        },
        "hovertemplate": f"%{{y:.4~g}} {unit}",
    }


def _told(lines: Sequence[Line], unit: str) -> str:
    told = []
    for line in lines:
        low, high = np.nanmin(line.values), np.nanmax(line.values)
        told.append(f"{line.name} from {low:.4g} to {high:.4g} {unit}")
    return "Over the run: " + "; ".join(told) + "."


def rounded(values: Floats) -> list[float | None]:
    """Five significant digits, as JSON has them; None for NaN."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values.tolist()]
