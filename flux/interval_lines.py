"""Summaries of intervals as lines of CSV: what `stdout` prints with `format = "interval"`. Pure.

A line shows the load as it is, warm-up included.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from flux.histogram import Histogram
from flux.summary import Summary


def _milliseconds(histogram: Histogram, percent: float) -> str:
    return f"{histogram.percentile(percent) / 1e6:.3f}" if histogram.count else ""


def _response(percent: float) -> Callable[[Summary], str]:
    return lambda summary: _milliseconds(summary.load.response, percent)


COLUMNS: Final[Mapping[str, Callable[[Summary], str]]] = MappingProxyType(
    {
        "end_s": lambda summary: f"{summary.end_ns / 1e9:.3f}",
        "requests": lambda summary: str(summary.load.requests),
        "successes": lambda summary: str(summary.load.successes),
        "failures": lambda summary: str(summary.load.failures),
        "dropped": lambda summary: str(summary.sessions.dropped),
        "rate_per_s": lambda summary: f"{summary.load_per_s:.1f}",
        "response_p50_ms": _response(50),
        "response_p95_ms": _response(95),
        "response_p99_ms": _response(99),
        "response_max_ms": _response(100),
        "lag_p99_ms": lambda summary: _milliseconds(summary.load.lag, 99),
    }
)
"""Name of each column, and its text; a percentile of nothing is empty."""

HEADER: Final = ",".join(COLUMNS) + "\n"


def interval_line(summary: Summary) -> str:
    """The line of one interval."""
    return ",".join(text(summary) for text in COLUMNS.values()) + "\n"
