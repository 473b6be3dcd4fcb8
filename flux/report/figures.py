"""Which charts a run gets: from the series of its result, and from its rows where it has them."""

from collections.abc import Iterator

import numpy as np

from flux.report.charts import Chart, Floats, Line, TimeAxis, over_time, time_axis
from flux.report.distributions import heat_map, merged_histograms, spectrum
from flux.report.fields import Fields, main_latency, number, table, tables
from flux.report.grid import Grid
from flux.schemas import ERROR_TEXTS

_PERCENTS = (("p50", 50.0), ("p95", 95.0), ("p99", 99.0))
_ERROR_COLOURS = 5
_ROW_POINTS = 250
"""Points of a line that is made from rows: with more, each would stand for few requests."""


def charts(document: Fields, grid: Grid | None) -> list[Chart]:
    """Every chart that there is data for."""
    return [chart for chart in _charts(document, grid) if chart is not None]


def end_s_of(document: Fields, grid: Grid | None) -> float:
    """Where the axis of time ends."""
    ends_ns = [number(table(document, "run"), "duration_ns") or 0.0]
    ends_ns += [number(row, "end_ns") or 0.0 for row in tables(document, "series")[-1:]]
    if grid:
        ends_ns.append(grid.bins * grid.width_ns)
    return max(ends_ns) / 1e9


def _charts(document: Fields, grid: Grid | None) -> Iterator[Chart | None]:
    axis = time_axis(document, end_s_of(document, grid))
    series = _Series(tables(document, "series"))
    rows, grid = grid, grid and grid.coarser(_ROW_POINTS)
    main = main_latency(document)
    yield _load(document, series, grid, axis)
    if main == "response":
        yield _response(series, grid, axis)
    if grid and "service" in grid.latencies:
        caption = _SERVICE + _BESIDE if main == "response" else _SERVICE
        yield _of_rows("service", "Service time over time", caption, grid, axis)
    elif main == "service":
        yield _of_series("service", "Service time over time", _SERVICE, series, axis)
    yield spectrum(merged_histograms(document))
    if rows:
        yield heat_map(rows, axis, main)
    yield _errors(series, grid, axis)
    yield _under_way(series, axis)
    if grid and "lag" in grid.latencies:
        yield _of_rows("lag", "Lag over time", _LAG, grid, axis)


_SERVICE = "From when a request was sent until its end."
_BESIDE = " If the response time rises and this does not, requests waited before they were sent."
_LAG = (
    "From when a request was due until it was sent: the generator's own delay. It is a part of the "
    "response time."
)


class _Series:
    """Columns of the rows of time."""

    def __init__(self, rows: list[Fields]) -> None:
        self._rows = rows
        starts_ns, ends_ns = self.column("start_ns"), self.column("end_ns")
        self.middles_s: Floats = (starts_ns + ends_ns) / 2e9
        self._lengths_s: Floats = (ends_ns - starts_ns) / 1e9

    def __bool__(self) -> bool:
        return bool(self._rows)

    def column(self, name: str) -> Floats:
        """NaN where it is missing."""
        found = [number(row, name) for row in self._rows]
        return np.array([np.nan if one is None else one for one in found], np.float64)

    def per_s(self, name: str) -> Floats:
        """A count as a rate."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rates: Floats = self.column(name) / self._lengths_s
        return rates

    def ms(self, name: str) -> Floats:
        """A time in milliseconds."""
        return self.column(name) / 1e6


def _load(document: Fields, series: _Series, grid: Grid | None, axis: TimeAxis) -> Chart | None:
    caption = (
        "Sessions that were due, those that began, and requests that ended, per second. Where due "
        "and begun part, the generator was late or gave arrivals up."
    )
    if series:
        is_open = number(table(document, "sessions"), "planned") is not None
        due = [Line("sessions due", "due", series.per_s("due"), dash="dash")] if is_open else []
        begun = series.per_s("started")
        lines = [
            *due,
            Line("sessions begun", "begun", begun),
            Line("requests ended", "ended", series.per_s("requests")),
        ]
        title = "Demand and achieved rate"
        if not np.isfinite(begun).any():
            title, caption = "Achieved rate", "Requests that ended, per second."
        return over_time("load", title, caption, axis, series.middles_s, lines, unit="/s")
    if not grid:
        return None
    ended = grid.ended[: grid.bins, 0] / (grid.width_ns / 1e9)
    lines = [Line("requests ended", "ended", ended)]
    caption = "Requests that ended, per second, counted from the rows."
    return over_time("load", "Achieved rate", caption, axis, grid.middles_s(), lines, unit="/s")


def _response(series: _Series, grid: Grid | None, axis: TimeAxis) -> Chart | None:
    title, caption = (
        "Response time over time",
        "From when a request was due until its end, by when it ended: what a user would have felt.",
    )
    if not series:
        return _of_rows("response", title, caption, grid, axis) if grid else None
    return _of_series("response", title, caption, series, axis)


def _of_series(key: str, title: str, caption: str, series: _Series, axis: TimeAxis) -> Chart | None:
    lines = [Line(name, name, series.ms(f"{name}_ns")) for name in ("p50", "p95", "p99", "max")]
    return over_time(key, title, caption, axis, series.middles_s, lines, unit="ms", is_log=True)


def _of_rows(key: str, title: str, caption: str, grid: Grid, axis: TimeAxis) -> Chart | None:
    found = grid.percentiles_ms(key, [percent for _, percent in _PERCENTS])
    lines = [Line(name, name, values) for (name, _), values in zip(_PERCENTS, found)]
    caption += " Counted from the rows, right within 1.6 %."
    return over_time(key, title, caption, axis, grid.middles_s(), lines, unit="ms", is_log=True)


def _errors(series: _Series, grid: Grid | None, axis: TimeAxis) -> Chart | None:
    title = "Errors over time"
    lines: list[Line] = []
    if series:
        lines = [
            Line("requests failed", "error0", series.per_s("failures")),
            *(
                Line(f"arrivals {name}", colour, series.per_s(name), dash="dash")
                for name, colour in (("dropped", "error1"), ("withheld", "error2"))
                if np.nansum(series.column(name))
            ),
        ]
        caption = "Requests that failed, and arrivals that were given up, per second."
        times_s = series.middles_s
        if not np.nansum([line.values for line in lines]):
            caption = "No request failed, and no arrival was given up."
        chart = over_time("errors", title, caption, axis, times_s, lines, unit="/s")
        return chart if grid is None or not grid.errors.any() else _errors_of(grid, axis, chart)
    return _errors_of(grid, axis, None) if grid else None


def _errors_of(grid: Grid, axis: TimeAxis, instead: Chart | None) -> Chart | None:
    """The most frequent errors by name, if there are any."""
    errors = grid.errors[: grid.bins]
    order = [
        code for code in np.argsort(-errors.sum(axis=0), kind="stable") if errors[:, code].any()
    ]
    if not order:
        return instead
    per_s = errors / (grid.width_ns / 1e9)
    lines = [
        Line(ERROR_TEXTS[code] or "failed", f"error{rank}", per_s[:, code])
        for rank, code in enumerate(order[:_ERROR_COLOURS])
    ]
    caption = "Requests that failed, per second and by reason, counted from the rows."
    if len(order) > _ERROR_COLOURS:
        caption += f" The {len(order) - _ERROR_COLOURS} rarest reasons are in the table only."
    return over_time(
        "errors", "Errors over time", caption, axis, grid.middles_s(), lines, unit="/s"
    )


def _under_way(series: _Series, axis: TimeAxis) -> Chart | None:
    lines = [
        Line("requests", "ended", series.column("in_flight")),
        Line("most requests", "ended", series.column("peak_in_flight"), dash="dot"),
        Line("users", "begun", series.column("users")),
        Line("most users", "begun", series.column("peak_users"), dash="dot"),
    ]
    caption = (
        "Requests and users (open sessions) under way at the end of each row of time, and the most "
        "at once within it. In the open model both grow when the server gets slower."
    )
    return over_time(
        "under-way", "Under way", caption, axis, series.middles_s, lines, unit="under way"
    )
