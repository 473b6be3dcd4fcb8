"""k6's end-of-test summary as JSON, from a recording.

Two shapes of k6's, for what reads them: that of `handleSummary`, and that of `--summary-export`,
in which a metric is its values, and a rate is `value`. Times are milliseconds.

Source: k6, js/summary.go, lib/summary (legacy data).
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from flux.formats.k6_points import METRICS, RESPONSE_METRIC
from flux.formats.recording import Recording
from flux.histogram import Histogram

TREND_STATS: Final = ("avg", "min", "med", "max", "p(90)", "p(95)")

_PERCENTS: Final = {"med": 50.0, "p(90)": 90.0, "p(95)": 95.0}
_TRENDS: Final = {
    "http_req_duration": "service",
    "http_req_waiting": "first_byte",
    RESPONSE_METRIC: "response",
}
_GROUP: Final[Mapping[str, Any]] = {
    "name": "",
    "path": "",
    "id": "d41d8cd98f00b204e9800998ecf8427e",
}
"""k6's root group; the id is the MD5 of its path, which is empty."""


def k6_summary(recording: Recording) -> str:
    """What `handleSummary` is given."""
    document = {
        "root_group": {**_GROUP, "groups": [], "checks": []},
        "options": {"summaryTrendStats": TREND_STATS, "summaryTimeUnit": "", "noColor": False},
        "state": {
            "isStdOutTTY": False,
            "isStdErrTTY": False,
            "testRunDurationMs": recording.measured_ns / 1e6,
        },
        "metrics": {
            name: {"type": kind, "contains": contains, "values": values}
            for name, (kind, contains, values) in _metrics(recording).items()
        },
    }
    return json.dumps(document, indent=2) + "\n"


def k6_summary_export(recording: Recording) -> str:
    """What `--summary-export` writes."""
    document = {
        "root_group": {**_GROUP, "groups": {}, "checks": {}},
        "metrics": {
            name: {
                "value" if key == "rate" and kind == "rate" else key: one
                for key, one in values.items()
            }
            for name, (kind, _, values) in _metrics(recording).items()
        },
    }
    return json.dumps(document, indent=4, sort_keys=True) + "\n"


def _metrics(recording: Recording) -> dict[str, tuple[str, str, dict[str, float]]]:
    """Type, contents and values of each metric that the recording knows."""
    total, seconds = recording.total, recording.measured_s or 1.0
    values: dict[str, dict[str, float]] = {
        "data_received": _counter(total.bytes_in, seconds),
        "data_sent": _counter(total.bytes_out, seconds),
        "http_reqs": _counter(total.requests, seconds),
    }
    if recording.has_failures:
        values["http_req_failed"] = {
            "rate": total.failures / total.requests if total.requests else 0.0,
            "passes": total.failures,  # of the statement that it failed
            "fails": total.successes,
        }
    for name, latency in _TRENDS.items():
        if latency in recording.latencies:
            values[name] = _trend(getattr(total, latency))
    if recording.measured_sessions:
        values["iterations"] = _counter(recording.measured_sessions.ended, seconds)
        values["dropped_iterations"] = _counter(recording.measured_sessions.dropped, seconds)
    metrics = {name: (*METRICS[name], one) for name, one in values.items()}
    if recording.peak_users is not None:
        peak: dict[str, float] = {"value": recording.peak_users, "min": 0.0}
        metrics["vus_max"] = ("gauge", "default", {**peak, "max": recording.peak_users})
    return metrics


def _counter(count: int, seconds: float) -> dict[str, float]:
    return {"count": count, "rate": count / seconds}


def _trend(histogram: Histogram) -> dict[str, float]:
    """Milliseconds."""
    extremes = {
        "avg": histogram.mean_ns,
        "min": histogram.min_ns,
        "max": histogram.max_ns,
        **{name: histogram.percentile(percent) for name, percent in _PERCENTS.items()},
    }
    return {name: extremes[name] / 1e6 for name in TREND_STATS}
