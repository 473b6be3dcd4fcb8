"""Which charts a run gets: from the series of its result, and from its rows where it has them."""

from collections.abc import Iterator

import numpy as np

from flux.report.charts import Chart, Floats, Line, TimeAxis, over_time, time_axis
from flux.report.distributions import heat_map, merged_histograms, spectrum
from flux.report.fields import Fields, count, main_latency, number, table, tables
from flux.report.grid import Grid
from flux.schemas import ERROR_TEXTS
from flux.series import worth_a_rate

_PERCENTS = (("p50", 50.0), ("p95", 95.0), ("p99", 99.0))
_ERROR_COLOURS = 5
_ROW_POINTS = 250
"""Points of a line that is made from rows: with more, each would stand for few requests."""


def charts(document: Fields, grid: Grid | None) -> list[Chart]:
    """Every chart that there is data for."""
    return [chart for chart in _charts(document, grid) if chart is not None]


def end_s_of(document: Fields, grid: Grid | None) -> float:
    """Where the axis of time ends."""
    end_ns = number(table(document, "run"), "duration_ns") or 0.0
    rows = tables(document, "series")
    if rows and end_ns <= (number(rows[-1], "start_ns") or 0.0):
        end_ns = number(rows[-1], "end_ns") or 0.0  # the rows know more than the run says
    if grid and not (rows and end_ns):
        end_ns = max(end_ns, grid.end_ns)
    return end_ns / 1e9


def _charts(document: Fields, grid: Grid | None) -> Iterator[Chart | None]:
    if document.get("complete") is True and not count(document, "Total"):
        return  # the page says so
    axis = time_axis(document, end_s_of(document, grid))
    load_end_ns = number(table(document, "run"), "load_end_ns")
    load_end_s = None if load_end_ns is None else load_end_ns / 1e9
    series = _Series(tables(document, "series"), axis.end_s, load_end_s)
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
    has_warmup = any(phase.get("warmup") is True for phase in tables(document, "phases"))
    yield spectrum(merged_histograms(document), is_all=not has_warmup)
    if rows:
        yield heat_map(rows, axis, main)
    yield _errors(series, grid, axis)
    yield _under_way(document, series, axis)
    if grid and "lag" in grid.latencies:
        yield _of_rows("lag", "Lag over time", _LAG, grid, axis)


_SERVICE = "From when a request was sent until its end."
_BESIDE = " If the response time rises and this does not, requests waited before they were sent."
_LAG = (
    "From when a session was due until its first request was sent: the generator's own delay, and "
    "a part of the response time. Sessions that waited for a place are not in it."
)


class _Series:
    """Columns of the rows of time, the last of which is as long as the run was in it."""

    def __init__(self, rows: list[Fields], end_s: float, load_end_s: float | None = None) -> None:
        """Look at the rows.

        Args:
            rows: as the result has them.
            end_s: when the run ended.
            load_end_s: when arrivals did, if that is known.
        """
        self._rows = rows
        starts_s, ends_s = self.column("start_ns") / 1e9, self.column("end_ns") / 1e9
        ends_s = np.minimum(ends_s, max(end_s, starts_s[-1])) if rows else ends_s
        self.middles_s: Floats = (starts_s + ends_s) / 2
        self._lengths_s = worth_a_rate(ends_s - starts_s)
        # In the row in which arrivals ended, there were some for a part of it only.
        if load_end_s is not None:
            ends_s = np.where(starts_s < load_end_s, np.minimum(ends_s, load_end_s), ends_s)
        self._load_s = worth_a_rate(ends_s - starts_s)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def column(self, name: str) -> Floats:
        """NaN where it is missing."""
        found = [number(row, name) for row in self._rows]
        return np.array([np.nan if one is None else one for one in found], np.float64)

    def per_s(self, name: str) -> Floats:
        """A count of requests as a rate."""
        return self.column(name) / self._lengths_s

    def sessions_per_s(self, name: str) -> Floats:
        """A count of sessions that were due, or of what became of them then, as a rate."""
        return self.column(name) / self._load_s

    def due_per_s(self) -> Floats:
        """Sessions whose time came: to stop a run is no fault of those that were due after that."""
        return self.sessions_per_s("due") - np.nan_to_num(self.sessions_per_s("cancelled"))

    def ms(self, name: str) -> Floats:
        """A time in milliseconds."""
        return self.column(name) / 1e6


def _parting(sessions: Fields) -> str:
    """Why sessions that were due did not begin at once, as far as the counts tell."""
    told, causes = "", []
    if held := count(sessions, "held"):
        causes.append(f"sessions waited for a place ({held:,} did)")
    if given_up := sum(count(sessions, name) for name in ("dropped", "withheld", "lost")):
        causes.append(f"arrivals were given up ({given_up:,} were)")
    causes.append("the generator was late")
    if cancelled := count(sessions, "cancelled"):
        told = f" The {cancelled:,} that were not due yet when the run was stopped are left out."
    return f"Where due and begun part, {' or '.join(causes)}.{told}"


def _load(document: Fields, series: _Series, grid: Grid | None, axis: TimeAxis) -> Chart | None:
    if series:
        title, caption = "Achieved rate", "Requests that ended, per second."
        # Those that waited for a place began after arrivals had ended, too.
        is_held = count(table(document, "sessions"), "held") > 0
        begun = series.per_s("started") if is_held else series.sessions_per_s("started")
        lines = [
            Line("requests ended", "ended", series.per_s("requests")),
        ]
        if np.isfinite(begun).any():
            title = "Demand and achieved rate"
            caption = "Sessions that began, and requests that ended, per second."
            lines.append(Line("sessions begun", "begun", begun))
        if number(table(document, "sessions"), "planned") is not None:
            # On top of the others: it is seen where it is what came of it, too.
            lines.append(Line("sessions due", "due", series.due_per_s(), dash="dash"))
            caption = (
                "Sessions that were due, those that began, and requests that ended, per second. "
                + _parting(table(document, "sessions"))
            )
        if tables(document, "marks") and axis.labels:
            caption += " Dotted lines are marks; here they have their names."
        return over_time(
            "load", title, caption, axis, series.middles_s, lines, unit="/s", has_labels=True
        )
    if not grid:
        return None
    ended = grid.ended[: grid.bins, 0] / worth_a_rate(grid.lengths_s(axis.end_s))
    lines = [Line("requests ended", "ended", ended)]
    caption = "Requests that ended, per second, counted from the rows."
    return over_time("load", "Achieved rate", caption, axis, grid.middles_s(), lines, unit="/s")


def _response(series: _Series, grid: Grid | None, axis: TimeAxis) -> Chart | None:
    title, caption = (
        "Response time over time",
        "From when a request was due until its end, by when it ended: what a user would have felt. "
        "Where fewer than 100 ended in a row of time, its p99 is the longest of them.",
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
                Line(f"arrivals {name}", colour, series.sessions_per_s(name), dash="dash")
                for name, colour in (("dropped", "error1"), ("withheld", "error2"))
                if np.nansum(series.column(name))
            ),
        ]
        caption = "Requests that failed, and arrivals that were given up, per second."
        times_s = series.middles_s
        values = np.array([line.values for line in lines])
        chart: Chart | None = None
        if np.nansum(values):
            chart = over_time("errors", title, caption, axis, times_s, lines, unit="/s")
        elif np.isfinite(values).any():  # else nobody knows
            caption = "No request failed, and no arrival was given up."
            chart = Chart("errors", title, caption, "", [], {})
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
    per_s = errors / worth_a_rate(grid.lengths_s(axis.end_s))[:, np.newaxis]
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


def _under_way(document: Fields, series: _Series, axis: TimeAxis) -> Chart | None:
    is_open = number(table(document, "sessions"), "planned") is not None
    who = "sessions" if is_open else "users"
    lines = [
        Line("requests", "ended", series.column("in_flight")),
        Line("most requests", "ended", series.column("peak_in_flight"), dash="dot"),
        Line(who, "begun", series.column("users")),
        Line(f"most {who}", "begun", series.column("peak_users"), dash="dot"),
    ]
    caption = (
        f"Requests and {who} under way at the end of each row of time, and the most at once within "
        "it."
    )
    if is_open:
        caption += " Both grow when the server gets slower."
    return over_time(
        "under-way", "Under way", caption, axis, series.middles_s, lines, unit="under way"
    )
