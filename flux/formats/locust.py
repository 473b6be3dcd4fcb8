"""Locust's CSV files: stats, failures and stats_history, written from a recording.

Times are whole milliseconds, as Locust's; sizes are bytes, rates per second over the whole run
without warm-up, which only the history has.

Source: Locust, locust/stats.py (StatsCSV, StatsCSVFileWriter).
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flux.formats.recording import Recording
from flux.histogram import Histogram
from flux.series import worth_a_rate
from flux.summary import StepSummary

PERCENTS: Final = (50, 66, 75, 80, 90, 95, 98, 99, 99.9, 99.99, 100)
"""Percentiles of a line."""

_PERCENT_NAMES: Final = tuple(f"{percent:g}%" for percent in PERCENTS)

STATS: Final = (
    *("Type", "Name", "Request Count", "Failure Count", "Median Response Time"),
    *("Average Response Time", "Min Response Time", "Max Response Time", "Average Content Size"),
    *("Requests/s", "Failures/s"),
    *_PERCENT_NAMES,
)
FAILURES: Final = ("Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen")
HISTORY: Final = (
    *("Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"),
    *_PERCENT_NAMES,
    *("Total Request Count", "Total Failure Count", "Total Median Response Time"),
    *("Total Average Response Time", "Total Min Response Time", "Total Max Response Time"),
    "Total Average Content Size",
)
LATENCY: Final = "Latency"
"""A column of the history that Locust does not have, after its own: which latency the times are."""

_NOT_KNOWN: Final = "N/A"


def stats_csv(recording: Recording, latency: str, methods: Mapping[str, str]) -> str:
    """A line per step, and one of all.

    Args:
        recording: of the run.
        latency: which latency the times are.
        methods: of each step, as far as known.
    """
    lines = [_stats_line(recording, step, latency, methods) for step in recording.steps]
    total = recording.total
    lines.append(["", "Aggregated", *_stats_line(recording, total, latency, {})[2:]])
    return _text(STATS, lines)


def failures_csv(recording: Recording, methods: Mapping[str, str]) -> str:
    """A line per step and error; when it was first seen is not known."""
    return _text(
        FAILURES,
        [
            [methods.get(step.name, ""), step.name, error, str(count), _NOT_KNOWN, _NOT_KNOWN]
            for step in recording.steps
            for error, count in step.errors.items()
        ],
    )


def history_csv(recording: Recording, latency: str) -> str:
    """A line per row of the series, of all steps together.

    Percentiles are those of the row, of the response time; totals are those so far. The mean, the
    smallest and the size so far are not known.
    """
    lines = []
    rows = recording.series.rows
    ends_ns = recording.series.ends_ns(recording.duration_ns)
    lengths_s = worth_a_rate((ends_ns - rows["start_ns"]) / 1e9)
    began_s = recording.started_at.timestamp() if recording.started_at else 0.0
    requests = failures = most_ns = 0
    for row, length_s in zip(rows, lengths_s.tolist()):
        requests += int(row["requests"])
        failures += int(row["failures"])
        most_ns = max(most_ns, int(row["max_ns"]))
        known: dict[float, Any] = {
            50: row["p50_ns"],
            95: row["p95_ns"],
            99: row["p99_ns"],
            100: row["max_ns"],
        }
        has_times = row["requests"] > 0 and latency == "response"
        percentiles = [
            _ms(int(known[percent])) if percent in known and has_times else _NOT_KNOWN
            for percent in PERCENTS
        ]
        lines.append(
            [
                str(int(began_s + (int(row["start_ns"]) + recording.series.width_ns) / 1e9)),
                str(row["users"]),
                *("", "Aggregated"),
                *(_rate(int(row[name]), length_s) for name in ("requests", "failures")),
                *percentiles,
                *(str(requests), str(failures)),
                *(_NOT_KNOWN, _NOT_KNOWN, _NOT_KNOWN),
                _ms(most_ns) if latency == "response" else _NOT_KNOWN,
                _NOT_KNOWN,
                latency,
            ]
        )
    return _text((*HISTORY, LATENCY), lines)


def _stats_line(
    recording: Recording, step: StepSummary, latency: str, methods: Mapping[str, str]
) -> list[str]:
    histogram: Histogram = getattr(step, latency)
    seconds = recording.measured_s or 1.0
    size = step.bytes_in / step.requests if step.requests else 0.0
    return [
        *(methods.get(step.name, ""), step.name, str(step.requests), str(step.failures)),
        _ms(histogram.percentile(50)),
        f"{histogram.mean_ns / 1e6:.6f}",
        f"{histogram.min_ns / 1e6:.6f}",
        f"{histogram.max_ns / 1e6:.6f}",
        f"{size:.6f}",
        f"{step.requests / seconds:.6f}",
        f"{step.failures / seconds:.6f}",
        *(_ms(int(value_ns)) for value_ns in histogram.percentiles(PERCENTS)),
    ]


def _rate(count: int, length_s: float) -> str:
    return _NOT_KNOWN if math.isnan(length_s) else f"{count / length_s:.6f}"


def _ms(duration_ns: int) -> str:
    return str((duration_ns + 500_000) // 1_000_000)


def _text(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()
