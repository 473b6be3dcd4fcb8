"""Reading Locust's stats_history.csv: counts by step, and rows of time; it has no histograms.

Percentiles in a line are those of the last ten seconds or so, as Locust has them. Of the whole run
the last line of each name quotes the median, the mean, the smallest and the largest.

Source: Locust, locust/stats.py (StatsCSVFileWriter).
"""

import csv
import math
import pathlib
from typing import Any, Final

import attrs
import numpy as np

from flux.formats.clock_times import SECOND_NS, moment_of
from flux.formats.detect import Found
from flux.formats.line_blocks import BrokenFile, Notes, line_blocks
from flux.formats.locust import LATENCY
from flux.formats.reading import LATENCY_OF
from flux.formats.recording import TOTAL as ALL
from flux.formats.recording import Recording
from flux.rows import Basis
from flux.series import EMPTY_SKETCH, ROW, Series
from flux.summary import LATENCIES, StepSummary

TOTAL: Final = "Aggregated"

_QUOTED: Final = {
    "p50": "Total Median Response Time",
    "mean": "Total Average Response Time",
    "min": "Total Min Response Time",
    "max": "Total Max Response Time",
}
_PERCENTILES: Final = {"p50_ns": "50%", "p95_ns": "95%", "p99_ns": "99%", "max_ns": "100%"}

_COLUMNS: Final = frozenset(
    {"start_ns", "requests", "successes", "failures", "users", "peak_users", *_PERCENTILES}
)


@attrs.frozen
class _Line:
    """A line, with names as in the header."""

    path: pathlib.Path
    number: int
    fields: dict[str, str]

    @property
    def name(self) -> str:
        """Of the step."""
        method, name = self.fields.get("Type", ""), self.fields["Name"]
        return name if name == TOTAL or not method else f"{method} {name}"

    def whole(self, column: str) -> int:
        """A whole number."""
        return int(self.decimal(column))

    def decimal(self, column: str) -> float:
        """A number; 0 where there is none."""
        return self.known(column) or 0.0

    def known(self, column: str) -> float | None:
        """A number; None where there is none."""
        text = self.fields.get(column, "")
        if text in ("", "N/A"):
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < 2**63:
            problem = f"has {column} {text!r}, which must be a number, 0 or more"
            raise BrokenFile(self.path, self.number, problem)
        return value

    def milliseconds(self, column: str) -> int | None:
        """A time, nanoseconds; None where there is none."""
        value = self.known(column)
        return None if value is None else round(value * 1e6)


def read_locust_history(path: pathlib.Path, found: Found, basis: Basis | None = None) -> Recording:
    """The run that the file is of.

    Args:
        path: the file.
        found: what it is.
        basis: what its times are counted from, if flux has not said so in it.

    Raises:
        BrokenFile: a line has other fields, or a field that is no number.
    """
    notes = Notes([f"{path} has no histograms: of the whole run it tells the median, not the tail"])
    lines = list(_lines(path, found, notes))
    totals = [line for line in lines if line.name == TOTAL]
    if not totals:
        raise BrokenFile(path, 1, f"must be followed by lines named {TOTAL}")
    last = {line.name: line for line in lines}
    named = {name: line for name, line in last.items() if name != TOTAL}
    chosen = named or {TOTAL: last[TOTAL]}
    own_latency = totals[-1].fields.get(LATENCY)
    latency = own_latency if own_latency in LATENCIES else LATENCY_OF[basis or "start"]
    begin_s, end_s = totals[0].whole("Timestamp"), totals[-1].whole("Timestamp")
    return Recording(
        path=path,
        format=found.format,
        name="",
        started_at=moment_of(begin_s * SECOND_NS),
        duration_ns=(end_s - begin_s + 1) * SECOND_NS,
        steps=tuple(_step(name, line) for name, line in chosen.items()),
        series=_series(totals, begin_s),
        latencies=(),
        is_own=own_latency is not None,
        resolution_ns=10**6,
        peak_users=max(line.whole("User Count") for line in totals),
        quoted_ns={
            name: {latency: quoted} if (quoted := _quoted(line)) else {}
            for name, line in {**named, ALL: last[TOTAL]}.items()
        },
        columns=_COLUMNS,
        warnings=tuple(notes.warnings),
    )


def _lines(path: pathlib.Path, found: Found, notes: Notes) -> Any:
    for block in line_blocks(path, notes, is_csv=True, skip_lines=1):
        reader = csv.reader(block.text.decode("utf-8", errors="replace").splitlines(keepends=True))
        for fields in reader:
            number = block.line + reader.line_num - 1
            if len(fields) != len(found.columns):
                problem = f"must have {len(found.columns)} fields, got {len(fields)}"
                raise BrokenFile(path, number, problem)
            yield _Line(path, number, dict(zip(found.columns, fields)))


def _step(name: str, line: _Line) -> StepSummary:
    requests, failures = line.whole("Total Request Count"), line.whole("Total Failure Count")
    size = line.decimal("Total Average Content Size")
    return StepSummary(
        name=name,
        requests=requests,
        successes=requests - failures,
        failures=failures,
        bytes_in=round(size * requests),
    )


def _quoted(line: _Line) -> dict[str, int]:
    """Figures of the whole run; Locust writes N/A for what it does not know."""
    known = {name: line.milliseconds(column) for name, column in _QUOTED.items()}
    return {name: value for name, value in known.items() if value is not None}


def _series(totals: list[_Line], begin_s: int) -> Series:
    """A row per second, of what the totals grew by since the line before."""
    seconds = np.array([line.whole("Timestamp") - begin_s for line in totals])
    rows = np.zeros(int(seconds.max()) + 1, ROW)
    rows["start_ns"] = np.arange(len(rows)) * SECOND_NS
    requests = failures = 0
    for line, second in zip(totals, seconds.tolist()):
        row = rows[max(second, 0)]
        now, failed = line.whole("Total Request Count"), line.whole("Total Failure Count")
        row["requests"] += max(now - requests, 0)
        row["failures"] += max(failed - failures, 0)
        row["successes"] = row["requests"] - row["failures"]
        row["users"] = row["peak_users"] = line.whole("User Count")
        for name, column in _PERCENTILES.items():
            row[name] = line.milliseconds(column) or 0
        requests, failures = now, failed
    return Series(SECOND_NS, rows, (EMPTY_SKETCH,) * len(rows))
