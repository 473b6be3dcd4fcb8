"""The metrics of a run by the names that kar98k had, as far as flux has a true value for them.

Counts and latencies are without warm-up, as in `result.json`.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import pairwise

from flux.metrics.book import Counted
from flux.metrics.buckets import Edges
from flux.metrics.family import Dialect, Family, Point
from flux.metrics.reading import Reading, TargetFacts

EDGES = Edges.of_seconds(*(0.001 * 2**power for power in range(15)))
"""A millisecond, doubled fourteen times: up to 16.384 s."""

_LOWEST_ERROR = 400


def kar98k_dialect() -> Dialect:
    """These names."""
    return Dialect(_FAMILIES, {"service": EDGES}, _LEFT_OUT)


def _by_target(reading: Reading) -> Iterator[tuple[TargetFacts, Counted]]:
    """Of one target alone, the book has nothing but the steps."""
    targets = reading.facts.targets
    if len(targets) == 1:
        steps = (reading.measured(number) for number in range(len(reading.facts.steps)))
        yield targets[0], reduce(Counted.__add__, steps)
        return
    for number, counted in reading.page.targets.items():
        yield targets[number], counted


def _labels(target: TargetFacts) -> dict[str, str | int]:
    return {"target": target.name, "protocol": target.protocol}


def _requests(reading: Reading) -> Iterator[Point]:
    """An error is a status of 400 or more, or none; flux's own rule is in its own metrics."""
    for target, counted in _by_target(reading):
        errors = sum(
            count
            for status, count in counted.statuses.items()
            if status >= _LOWEST_ERROR or not status
        )
        yield Point(counted.requests - errors, {**_labels(target), "status": "success"})
        yield Point(errors, {**_labels(target), "status": "error"})


def _durations(reading: Reading) -> Iterator[Point]:
    for target, counted in _by_target(reading):
        yield Point(counted.latencies["service"], _labels(target))


def _requests_in_flight(reading: Reading) -> Iterator[Point]:
    """A session is a request where it has one step and begins when that does."""
    if len(reading.facts.steps) == 1 and not reading.facts.has_users:
        yield from _sessions_in_flight(reading)


def _sessions_in_flight(reading: Reading) -> Iterator[Point]:
    if reading.open_sessions is not None:
        yield Point(reading.open_sessions)


def _target_tps(reading: Reading) -> Iterator[Point]:
    if reading.level_per_s is not None:
        yield Point(reading.level_per_s)


def _drop_rate(reading: Reading) -> Iterator[Point]:
    page = reading.page
    seen = page.recent_drops + page.recent_starts
    yield Point(page.recent_drops / seen if seen else 0.0)


def _phase_index(reading: Reading) -> Iterator[Point]:
    if reading.facts.phases:
        yield Point(0 if reading.phase is None else reading.phase + 1)


def _transitions(reading: Reading) -> Iterator[Point]:
    for before, after in pairwise(reading.facts.phases):
        if after.start_ns <= reading.reached_ns:
            yield Point(1, {"from": before.name, "to": after.name})


def _health(reading: Reading) -> Iterator[Point]:
    for target in reading.health:
        yield Point(int(target.is_healthy), {"target": target.name})


def _breaker(reading: Reading) -> Iterator[Point]:
    if reading.breaker is not None:
        yield Point(int(reading.breaker.state != "closed"))


_FAMILIES = (
    Family(
        "kar98k_requests",
        "counter",
        "",
        "Requests that ended; an error is a status of 400 or more, or none.",
        _requests,
        ("target", "status", "protocol"),
    ),
    Family(
        "kar98k_request_duration_seconds",
        "histogram",
        "s",
        "From the start of a request to its end, failures included.",
        _durations,
        ("target", "protocol"),
        "service",
    ),
    Family(
        "kar98k_requests_in_flight",
        "gauge",
        "",
        "Requests under way; only where a session is one request: one step, open model.",
        _requests_in_flight,
    ),
    Family(
        "kar98k_current_tps",
        "gauge",
        "",
        "Requests per second that ended in the collector's last interval.",
        lambda reading: [Point(reading.page.requests_per_s)],
    ),
    Family("kar98k_target_tps", "gauge", "", "Sessions per second wanted now.", _target_tps),
    Family(
        "kar98k_active_workers",
        "gauge",
        "",
        "Sessions under way now; not with worker processes.",
        _sessions_in_flight,
    ),
    Family(
        "kar98k_spike_active",
        "gauge",
        "",
        "1 while a spike is on, else 0.",
        lambda reading: [Point(int(reading.is_spiking))],
    ),
    Family(
        "kar98k_target_health",
        "gauge",
        "",
        "1 if the target answers its probes, else 0; only where there are probes.",
        _health,
        ("target",),
    ),
    Family(
        "kar98k_queue_drops",
        "counter",
        "",
        "Arrivals that could not start in time and were given up.",
        lambda reading: [Point(reading.page.sessions.dropped)],
    ),
    Family(
        "kar98k_queue_drop_rate",
        "gauge",
        "",
        "Their share of those that started or were dropped in the last minute.",
        _drop_rate,
    ),
    Family(
        "kar98k_scenario_phase_index",
        "gauge",
        "",
        "Number of the phase, from 1; 0 for none.",
        _phase_index,
    ),
    Family(
        "kar98k_scenario_phase_transitions",
        "counter",
        "",
        "Phases that were entered from the one before.",
        _transitions,
        ("from", "to"),
    ),
    Family(
        "kar98k_circuit_breaker_state",
        "gauge",
        "",
        "0 if the breaker is closed, else 1; only where there is one.",
        _breaker,
    ),
)

_OF_WORKERS = "worker processes send rows, and these are counted together, not by process"
_NO_FAILOVER = "flux has no failover"

_LEFT_OUT: Mapping[str, str] = {
    "kar98k_queued_requests": "arrivals wait in batches, which are not counted one by one",
    "kar98k_observed_tps_per_worker": _OF_WORKERS,
    "kar98k_queue_drops_per_worker_total": _OF_WORKERS,
    "kar98k_request_latency_p95_ms_per_worker": _OF_WORKERS,
    "kar98k_error_rate_per_worker": _OF_WORKERS,
    "kar98k_ha_failover_total": _NO_FAILOVER,
    "kar98k_ha_failover_percentile_gap_ms": _NO_FAILOVER,
}
