"""The metrics of a run by the names that volcanion had, as far as flux has a true value for them.

Counts and latencies are without warm-up, as in `result.json`. Requests without a response are in
them, with status 0.
"""

from collections.abc import Iterator, Mapping
from functools import reduce

from flux.metrics.book import Counted
from flux.metrics.buckets import Edges
from flux.metrics.family import Dialect, Family, Point
from flux.metrics.otel_requests import UNNAMED
from flux.metrics.reading import Reading

EDGES = Edges.of_seconds(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""What Prometheus clients have where nobody says otherwise."""


def volcanion_dialect() -> Dialect:
    """These names."""
    return Dialect(_FAMILIES, {"service": EDGES}, _LEFT_OUT)


def _by_method(reading: Reading) -> Iterator[tuple[dict[str, str | int], Counted]]:
    by_method: dict[str, list[Counted]] = {}
    for number, step in enumerate(reading.facts.steps):
        by_method.setdefault(step.method or UNNAMED, []).append(reading.measured(number))
    for method, parts in by_method.items():
        labels: dict[str, str | int] = {"run_id": reading.facts.run_id, "method": method}
        yield labels, reduce(Counted.__add__, parts)


def _durations(reading: Reading) -> Iterator[Point]:
    for labels, counted in _by_method(reading):
        yield Point(counted.latencies["service"], labels)


def _requests(reading: Reading) -> Iterator[Point]:
    for labels, counted in _by_method(reading):
        for status, count in counted.statuses.items():
            yield Point(count, {**labels, "status": str(status)})


def _failed(reading: Reading) -> Iterator[Point]:
    for labels, counted in _by_method(reading):
        yield Point(counted.failures, labels)


def _active_workers(reading: Reading) -> Iterator[Point]:
    if reading.open_sessions is not None:
        yield Point(reading.open_sessions)


_FAMILIES = (
    Family(
        "http_request_duration_seconds",
        "histogram",
        "s",
        "From the start of a request to its end, failures included; not told apart by status.",
        _durations,
        ("run_id", "method"),
        "service",
    ),
    Family(
        "http_requests",
        "counter",
        "",
        "Requests that ended, by status; 0 if there was no response.",
        _requests,
        ("run_id", "method", "status"),
    ),
    Family(
        "http_requests_failed",
        "counter",
        "",
        "Requests that failed.",
        _failed,
        ("run_id", "method"),
    ),
    Family(
        "stress_test_active_tests",
        "gauge",
        "",
        "1 while the run goes on, then 0.",
        lambda reading: [Point(int(not reading.has_ended))],
    ),
    Family(
        "stress_test_active_workers",
        "gauge",
        "",
        "Sessions, in the closed model users, under way now; not with worker processes.",
        _active_workers,
    ),
)

_NO_SERVER = "they are of the server that ran the tests; a run of flux has no API"
_NO_GO = "flux is not written in Go"

_LEFT_OUT: Mapping[str, str] = {
    "api_http_request_duration_seconds": _NO_SERVER,
    "api_http_requests_total": _NO_SERVER,
    "api_http_requests_in_flight": _NO_SERVER,
    "websocket_connections_active": _NO_SERVER,
    "websocket_messages_total": _NO_SERVER,
    "go_goroutines_count": _NO_GO,
    "go_memory_alloc_bytes": _NO_GO,
    "go_memory_sys_bytes": _NO_GO,
    "app_gc_duration_seconds": _NO_GO,
    "app_build_info": "its labels are the version of Go and the time of the build",
}
