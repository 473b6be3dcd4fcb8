"""Charts of distributions: the percentile spectrum, and latency against time as a heat map."""

from collections.abc import Sequence

import numpy as np

from flux.console import format_ns, format_percentile
from flux.errors import FluxError
from flux.histogram import Histogram, decode
from flux.report.charts import Chart, Floats, TimeAxis, log_axis, rounded
from flux.report.fields import Fields, count, number, table, tables, text
from flux.report.grid import Grid, edges_ms

SPECTRUM_POINTS = 240
"""Points of a line of the spectrum."""

_HEAT_ROWS_PER_DOUBLING = 4
_HEAT_COLUMNS = 160
_FEWEST_FOR_HEAT = 20
"""Fewer requests make no picture."""
_TABLE_PERCENTS = (50, 75, 90, 95, 99, 99.9, 99.99, 99.999)
_DASHES = {"response": "solid", "service": "dash", "lag": "dot"}


def merged_histograms(document: Fields) -> dict[str, Histogram]:
    """Response, service and lag of all steps together; those that cannot be read are left out."""
    found: dict[str, Histogram] = {}
    for step in tables(document, "histograms"):
        for name in _DASHES:
            try:
                histogram = decode(text(step, name)) if text(step, name) else Histogram()
            except FluxError:
                continue
            found.setdefault(name, Histogram()).merge(histogram)
    for name, histogram in found.items():
        _know_extremes(histogram, table(document, "latency", name))
    return {name: histogram for name, histogram in found.items() if histogram.count}


def _know_extremes(histogram: Histogram, latency: Fields) -> None:
    """Encoded histograms know the extremes to three digits; the result has them exactly."""
    low_ns, high_ns = number(latency, "min"), number(latency, "max")
    if histogram.count == count(latency, "count") and low_ns is not None and high_ns is not None:
        histogram.min_ns, histogram.max_ns = int(low_ns), int(high_ns)


def spectrum(histograms: dict[str, Histogram], *, is_all: bool = True) -> Chart | None:
    """Each latency by percentile, on an axis that spreads the tail: 90 %, 99 %, 99.9 % …

    Args:
        histograms: by the name of the latency.
        is_all: whether there was no warm-up, whose requests are not in them.
    """
    if not histograms:
        return None
    traces, told = [], []
    drawn_ms: list[float] = []
    for name, histogram in histograms.items():
        percents = _percents(histogram.count)
        values_ms = np.maximum(histogram.percentiles(percents) / 1e6, 1e-3)
        drawn_ms += (float(values_ms.min()), float(values_ms.max()))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": [float(f"{100 / (100 - percent):.6g}") for percent in percents.tolist()],
                "y": rounded(values_ms),
                "customdata": [f"{percent:.6g} %" for percent in percents.tolist()],
                "line": {"color": f"var(--{name})", "width": 2, "dash": _DASHES[name]},
                "hovertemplate": "%{customdata}: %{y:.4~g} ms",
            }
        )
        p50, p99 = (format_percentile(histogram, percent) for percent in (50, 99))
        told.append(f"{name} p50 {p50}, p99 {p99}, max {format_ns(histogram.max_ns)}")
    most = max(histogram.count for histogram in histograms.values())
    ticks = [value for value in (1, 2, 10, 100, 10**3, 10**4, 10**5, 10**6) if value <= most]
    names = [f"{100 - 100 / value:.6g} %" for value in ticks]
    layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "percentile, spread as 1/(1 − q)"},
            "tickvals": ticks,
            "ticktext": names,
        },
        "yaxis": {"title": {"text": "ms"}, **log_axis(min(drawn_ms), max(drawn_ms))},
        "hovermode": "closest",
    }
    caption = "What share of requests took no longer than that."
    if {"response", "service"} <= set(histograms):
        caption += (
            " The gap between response and service is the time that requests waited to be sent; "
            "lag is the generator's own part in it."
        )
    heads = ("percentile", *(f"{name}, ms" for name in histograms))
    return Chart(
        "spectrum",
        "Latency by percentile",
        caption,
        ("All requests: " if is_all else "Without warm-up: ") + "; ".join(told) + ".",
        traces,
        layout,
        heads,
        _spectrum_rows(histograms),
    )


def _percents(total: int) -> Floats:
    """Evenly spaced on the axis, up to the last that has a value above it."""
    inverse = np.geomspace(1, max(total, 2), SPECTRUM_POINTS)
    percents: Floats = 100 * (1 - 1 / inverse)
    return percents


def _spectrum_rows(histograms: dict[str, Histogram]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for percent in _TABLE_PERCENTS:
        values = [
            f"{histogram.percentile(percent) / 1e6:,.4g}"
            if histogram.count * (100 - percent) / 100 >= 1 - 1e-9
            else "-"
            for histogram in histograms.values()
        ]
        rows.append((f"{percent:g} %", *values))
    return [*rows, ("max", *(f"{one.max_ns / 1e6:,.4g}" for one in histograms.values()))]


def heat_map(grid: Grid, axis: TimeAxis, latency: str = "response") -> Chart | None:
    """How many requests ended when with which latency."""
    grid = grid.coarser(_HEAT_COLUMNS)
    counts = grid.latencies[latency]
    filled = np.flatnonzero(counts.any(axis=0))
    if counts.sum() < _FEWEST_FOR_HEAT:
        return None
    per_row = 32 // _HEAT_ROWS_PER_DOUBLING
    first, last = filled[0] // per_row, filled[-1] // per_row + 1
    chosen = counts[:, first * per_row : last * per_row]
    cells = chosen.reshape(grid.bins, last - first, per_row).sum(axis=2).T
    with np.errstate(divide="ignore"):
        shades = np.where(cells > 0, np.log10(cells), np.nan)
    times_s = np.arange(grid.bins + 1, dtype=np.float64) * grid.width_ns / 1e9
    edges = edges_ms(np.arange(first, last + 1) * per_row)
    trace = {
        "type": "heatmap",
        "x": axis.of(times_s),
        "y": rounded(edges),
        "z": [rounded(row) for row in shades],
        "text": [[f"{cell:,}" if cell else "" for cell in row] for row in cells.tolist()],
        "hovertemplate": "%{x} " + axis.unit + ", %{y:.3~g} ms: %{text} requests<extra></extra>",
        "hoverongaps": False,
        "colorscale": [[0, "var(--heat0)"], [0.5, "var(--heat1)"], [1, "var(--heat2)"]],
        **_shade_bar(int(cells.max())),
    }
    layout = {
        "xaxis": {"title": {"text": f"time, {axis.unit}"}, "range": [0, axis.end_s / axis.unit_s]},
        "yaxis": {
            "title": {"text": f"{latency} time, ms"},
            **log_axis(edges[0], edges[-1], has_room=False),
        },
        "shapes": [
            {**shape, "layer": "above", "fillcolor": "rgba(0,0,0,0)"} for shape in axis.shapes
        ],
        "hovermode": "closest",
    }
    caption = (
        f"Each cell counts the requests that ended then with that {latency} time; what stands out "
        "more has more. Two bands are two kinds of answers, which no percentile shows."
    )
    busiest = np.argmax(cells.sum(axis=1))
    low_ns, high_ns = grid.extremes_ns[latency]
    told = (
        f"{int(cells.sum()):,} requests in all, of {format_ns(low_ns)} to {format_ns(high_ns)}. "
        f"The band with the most of them is that from {format_ns(1e6 * edges[busiest])} to "
        f"{format_ns(1e6 * edges[busiest + 1])}."
    )
    rows = [
        (f"{low:,.4g} to {high:,.4g}", f"{int(row.sum()):,}", f"{int(row.max()):,}")
        for low, high, row in zip(edges[:-1], edges[1:], cells)
    ]
    heads = (f"{latency} time, ms", "requests", "most in one cell")
    title = f"{latency.capitalize()} time, request by request"
    return Chart("heat", title, caption, told, [trace], layout, heads, rows)


def _shade_bar(most: int) -> dict[str, object]:
    ticks = list(range(len(str(most))))
    names = [f"{10**tick:,}" for tick in ticks]
    bar = {"title": {"text": "requests"}, "tickvals": ticks, "ticktext": names, "thickness": 12}
    return {"zmin": -0.3, "zmax": max(float(np.log10(most)), 0.1), "colorbar": bar}
