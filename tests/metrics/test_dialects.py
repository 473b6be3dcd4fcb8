"""The names that other tools promised: each is there, or is said not to be, and why."""

import pytest

from flux.metrics.names import dialect_of
from flux.schemas import ErrorCode, Flag
from tests.metrics.rig import PHASES, context_of, meter_of, metered_now, values
from tests.outcomes import SECOND_NS, TARGETS, final_of, not_started, request

PROMISED = {
    "kar98k": {
        "kar98k_requests_total": {"target", "status", "protocol"},
        "kar98k_request_duration_seconds": {"target", "protocol"},
        "kar98k_requests_in_flight": set(),
        "kar98k_current_tps": set(),
        "kar98k_target_tps": set(),
        "kar98k_active_workers": set(),
        "kar98k_queued_requests": set(),
        "kar98k_spike_active": set(),
        "kar98k_target_health": {"target"},
        "kar98k_queue_drops_total": set(),
        "kar98k_queue_drop_rate": set(),
        "kar98k_scenario_phase_index": set(),
        "kar98k_scenario_phase_transitions_total": {"from", "to"},
        "kar98k_circuit_breaker_state": set(),
        "kar98k_observed_tps_per_worker": {"worker_id"},
        "kar98k_queue_drops_per_worker_total": {"worker_id"},
        "kar98k_request_latency_p95_ms_per_worker": {"worker_id"},
        "kar98k_error_rate_per_worker": {"worker_id"},
        "kar98k_ha_failover_total": set(),
        "kar98k_ha_failover_percentile_gap_ms": set(),
    },
    "volcanion": {
        # The latencies of a step are not told apart by status: that label is not there.
        "http_request_duration_seconds": {"run_id", "method"},
        "http_requests_total": {"run_id", "method", "status"},
        "http_requests_failed_total": {"run_id", "method"},
        "stress_test_active_tests": set(),
        "stress_test_active_workers": set(),
        "api_http_request_duration_seconds": {"method", "path", "status"},
        "api_http_requests_total": {"method", "path", "status"},
        "api_http_requests_in_flight": set(),
        "websocket_connections_active": set(),
        "websocket_messages_total": {"type", "direction"},
        "go_goroutines_count": set(),
        "go_memory_alloc_bytes": set(),
        "go_memory_sys_bytes": set(),
        "app_gc_duration_seconds": set(),
        "app_build_info": {"version", "go_version", "build_time"},
    },
}

FAILED = Flag.FIRST | Flag.LAST
ROWS = [
    request(),
    request(status=302),
    request(status=404, error=int(ErrorCode.STATUS), flags=FAILED),
    request(step=2, status=0, error=int(ErrorCode.TIMEOUT), flags=FAILED),
    not_started(0, Flag.DROPPED),
]


@pytest.mark.parametrize("names", PROMISED)
def test_every_name_that_was_promised_is_there_or_said_not_to_be(names: str) -> None:
    dialect = dialect_of(names)
    there = {family.prometheus_name: set(family.labels) for family in dialect.families}
    assert there.keys() | dialect.left_out.keys() == PROMISED[names].keys()
    assert there.keys() & dialect.left_out.keys() == set()
    assert there == {name: PROMISED[names][name] for name in there}


def test_the_edges_are_those_that_were_promised() -> None:
    doubled = dialect_of("kar98k").edges["service"].edges_s
    assert doubled == pytest.approx([0.001 * 2**power for power in range(15)])
    assert len(doubled) == 15
    usual = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
    assert dialect_of("volcanion").edges["service"].edges_s == usual
    convention = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert dialect_of("otel").edges["service"].edges_s == convention
    assert dialect_of("otel").edges["response"].edges_s == convention


def test_kar98k_calls_an_error_what_has_a_status_of_400_or_none() -> None:
    meter = metered_now([final_of(ROWS)], names="kar98k")
    shop = {"target": "shop", "protocol": "http"}
    assert values(meter, "kar98k_requests") == [
        ({**shop, "status": "success"}, 2),
        ({**shop, "status": "error"}, 2),
    ]
    ((labels, durations),) = values(meter, "kar98k_request_duration_seconds")
    assert (labels, durations.count) == (shop, 4)


def test_kar98k_tells_targets_apart() -> None:
    context = context_of(targets=TARGETS, target_urls=("http://a", "http://b"))
    rows = [*ROWS, request(target=1)]
    meter = metered_now([final_of(rows, targets=TARGETS)], names="kar98k", context=context)
    counts = {
        (labels["target"], labels["status"]): value
        for labels, value in values(meter, "kar98k_requests")
    }
    assert counts["green", "success"] == 1
    assert sum(counts.values()) == 5


def test_kar98k_knows_requests_in_flight_only_where_a_session_is_one() -> None:
    one = context_of(steps=("ping",), requests=(("GET", "/"),), open_sessions=lambda: 4)
    several = context_of(open_sessions=lambda: 4)
    assert values(meter_of(one, "kar98k"), "kar98k_requests_in_flight") == [({}, 4)]
    assert values(meter_of(several, "kar98k"), "kar98k_requests_in_flight") == []
    assert values(meter_of(several, "kar98k"), "kar98k_active_workers") == [({}, 4)]


def test_kar98k_counts_phases_from_one_and_what_was_dropped() -> None:
    final = final_of([*ROWS, request(3 * SECOND_NS)])
    meter = metered_now([final], names="kar98k", context=context_of(phases=PHASES))
    assert values(meter, "kar98k_scenario_phase_index") == [({}, 0)]  # it is over
    assert values(meter, "kar98k_scenario_phase_transitions") == [
        ({"from": "rise", "to": "rest"}, 1)
    ]
    assert values(meter, "kar98k_queue_drops") == [({}, 1)]
    running = meter_of(context_of(phases=PHASES), "kar98k")
    assert values(running, "kar98k_scenario_phase_index") == [({}, 1)]
    assert values(running, "kar98k_scenario_phase_transitions") == []


def test_volcanion_tells_methods_apart_and_keeps_requests_without_a_response() -> None:
    context = context_of(open_sessions=lambda: 4)
    meter = metered_now([final_of(ROWS)], names="volcanion", context=context)
    run = context.run.started_at.isoformat()
    assert values(meter, "http_requests") == [
        ({"run_id": run, "method": "GET", "status": "200"}, 1),
        ({"run_id": run, "method": "GET", "status": "302"}, 1),
        ({"run_id": run, "method": "GET", "status": "404"}, 1),
        ({"run_id": run, "method": "POST", "status": "0"}, 1),
    ]
    failed = {labels["method"]: value for labels, value in values(meter, "http_requests_failed")}
    assert failed == {"GET": 1, "POST": 1}
    assert values(meter, "stress_test_active_tests") == [({}, 0)]
    assert values(meter_of(names="volcanion"), "stress_test_active_tests") == [({}, 1)]
