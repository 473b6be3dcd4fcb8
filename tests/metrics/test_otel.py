"""What each metric is read off, and that attributes are those that are declared."""

import pathlib

import attrs
import pytest

from flux.collection import Collection
from flux.control import Control, Spike
from flux.metrics.family import Family, label_name
from flux.metrics.names import dialect_of
from flux.schemas import ErrorCode, Flag
from flux.summary import Judgement, Summary, Verdict
from tests.metrics.rig import (
    PHASES,
    context_of,
    meter_of,
    metered,
    metered_now,
    total,
    values,
)
from tests.outcomes import (
    SECOND_NS,
    STEPS,
    TARGETS,
    as_rows,
    collect_all,
    final_of,
    not_started,
    request,
)

FAILED = Flag.FIRST | Flag.LAST
ROWS = [
    request(),
    request(step=1, status=503, error=int(ErrorCode.STATUS), flags=FAILED, bytes_out=7),
    request(step=1, status=0, error=int(ErrorCode.TIMEOUT), flags=FAILED, retries=2),
    request(step=2, flags=FAILED, bytes_in=5),
    not_started(0, Flag.DROPPED),
    not_started(0, Flag.WITHHELD),
]
LOGIN = {
    "flux.step": "login",
    "http.request.method": "GET",
    "url.template": "/login",
    "server.address": "shop.test",
    "server.port": 443,
}


def test_requests_are_told_apart_by_step_and_status() -> None:
    meter = metered_now([final_of(ROWS)])
    found = values(meter, "flux.requests")
    assert (LOGIN | {"http.response.status_code": 200}, 1) in found
    statuses = [
        attributes.get("http.response.status_code")
        for attributes, _ in found
        if attributes["flux.step"] == "list"
    ]
    assert statuses == [None, 503]


def test_failures_add_up_even_where_one_has_no_error() -> None:
    meter = metered_now([final_of(ROWS)])
    failures = {
        (attributes["flux.step"], attributes["error.type"]): value
        for attributes, value in values(meter, "flux.requests.failed")
    }
    assert failures == {("list", "status"): 1, ("list", "timeout"): 1, ("buy", "_OTHER"): 1}


def test_service_counts_from_the_start_and_response_from_the_intended_time() -> None:
    late = request(0, 30_000_000, start_ns=20_000_000)
    meter = metered_now([final_of([late])])
    for name, sum_ns in (
        ("http.client.request.duration", 10_000_000),
        ("flux.response.duration", 30_000_000),
        ("flux.schedule.lag", 20_000_000),
    ):
        (_, first), *_ = values(meter, name)
        assert (first.count, first.sum_ns) == (1, sum_ns)


def test_sessions_are_those_of_the_result() -> None:
    meter = metered_now([final_of(ROWS, planned=6)])
    names = ("planned", "started", "dropped", "withheld", "cancelled", "lost", "repeated")
    found = [total(meter, f"flux.arrivals.{name}") for name in names]
    assert found == [6, 4, 1, 1, 0, 0, 0]
    assert total(meter, "flux.sessions.ended", flux__outcome="succeeded") == 1
    assert total(meter, "flux.sessions.ended") == 4


def test_bytes_and_retries_are_counted() -> None:
    meter = metered_now([final_of(ROWS)])
    assert total(meter, "flux.request.body") == 7
    assert total(meter, "flux.response.body") == 5
    assert total(meter, "flux.retries") == 2


def test_in_the_closed_model_nothing_is_planned() -> None:
    context = context_of(planned=lambda: None)
    assert values(meter_of(context), "flux.arrivals.planned") == []
    assert values(meter_of(context_of(planned=lambda: 3)), "flux.arrivals.planned") == [({}, 3)]


def test_tags_are_attributes() -> None:
    context = context_of(step_tags=({"team": "blue"}, {}, {}))
    found = values(meter_of(context), "flux.retries")
    assert [attributes.get("flux.tag.team") for attributes, _ in found] == ["blue", None, None]


def test_a_method_without_a_name_is_called_as_the_convention_says() -> None:
    meter = meter_of(context_of(requests=(("", ""),), steps=("ping",)))
    ((attributes, _),) = values(meter, "flux.retries")
    assert attributes["http.request.method"] == "_OTHER"
    assert "url.template" not in attributes


def test_of_several_targets_each_has_metrics_and_no_step_names_one() -> None:
    urls = ("http://10.0.0.1:8080", "http://10.0.0.2:8080")
    context = context_of(targets=TARGETS, target_urls=urls)
    rows = [request(), request(target=1, status=404), request(target=1)]
    meter = metered_now([final_of(rows, targets=TARGETS)], context=context)
    assert total(meter, "flux.target.requests", flux__target="green") == 2
    assert total(meter, "flux.target.requests", server__address="10.0.0.2") == 2
    assert total(meter, "flux.requests", server__address="10.0.0.2") == 0
    assert total(meter, "flux.requests") == 3


def test_phases_are_attributes_and_warm_up_is_told() -> None:
    collection = Collection(STEPS, SECOND_NS, phases=PHASES)
    collection.add(as_rows([request(), request(SECOND_NS), request(3 * SECOND_NS)]))
    *intervals, final = collection.finish(0, None)
    for summaries in (intervals, [final]):
        meter = metered_now(summaries, context=context_of(phases=PHASES))
        assert total(meter, "flux.requests", flux__warmup="true", flux__phase="rise") == 2
        assert total(meter, "flux.requests", flux__warmup="false", flux__phase="rest") == 1
        lags = values(meter, "flux.schedule.lag")
        assert [(one["flux.phase"], lag.count) for one, lag in lags] == [("rise", 2), ("rest", 1)]


def test_the_phase_that_is_on_is_told() -> None:
    found = values(meter_of(context_of(phases=PHASES)), "flux.phase.active")
    assert [(one["flux.phase"], value) for one, value in found] == [("rise", 1), ("rest", 0)]


def test_gauges_are_what_the_run_tells_now() -> None:
    status = {
        "level_per_s": 40.0,
        "spike_factor": 2.5,
        "breaker": {"state": "half_open", "trips": 2},
        "targets": [
            {"name": "a", "healthy": False, "last_probe_ms": 3.0},
            {"name": "b", "healthy": True, "last_probe_ms": None},
        ],
    }
    meter = meter_of(context_of(status=status, open_sessions=lambda: 9))
    for name, value in (
        ("flux.rate.target", 40.0),
        ("flux.inflight", 9),
        ("flux.spike.active", 1),
        ("flux.breaker.open", 1),
        ("flux.breaker.trips", 2),
        ("flux.control.factor", 1.0),
    ):
        assert values(meter, name) == [({}, value)]
    assert values(meter, "flux.target.healthy") == [({"flux.target": "a"}, 0)]


def test_what_nobody_knows_is_left_out() -> None:
    meter = meter_of()
    for name in (
        "flux.rate.target",
        "flux.inflight",
        "flux.breaker.open",
        "flux.target.healthy",
        "flux.run.valid",
        "flux.threshold.passed",
        "flux.phase.active",
    ):
        assert values(meter, name) == []


def test_a_spike_that_somebody_asked_for_counts() -> None:
    context = context_of()
    control = Control()
    control.spike = Spike(0, 3.0, 2 * SECOND_NS)
    context = attrs.evolve(context, run=attrs.evolve(context.run, control=control))
    assert values(meter_of(context), "flux.spike.active") == [({}, 1)]


async def test_at_the_end_nothing_is_wanted_and_the_verdicts_are_known() -> None:
    def verdict(metric: str, judgement: Judgement) -> Verdict:
        return Verdict(
            metric=metric,
            expect="p(95) < 1s",
            scope="",
            judgement=judgement,
            observed=None,
            observed_text="",
            limit=1.0,
            unit="ns",
            samples=1,
        )

    verdicts = (
        verdict("response", "passed"),
        verdict("service", "failed"),
        verdict("lag", "not judged"),
    )
    final = attrs.evolve(final_of(ROWS), verdicts=verdicts)
    meter = await metered([final], context=context_of(status={"level_per_s": 40.0}))
    assert values(meter, "flux.rate.target") == [({}, 0.0)]
    assert values(meter, "flux.run.valid") == [({}, 1)]
    assert total(meter, "flux.run.state", flux__state="ended") == 1
    assert total(meter, "flux.run.state") == 1
    assert values(meter, "flux.threshold.passed") == [
        ({"flux.threshold": "response p(95) < 1s"}, 1),
        ({"flux.threshold": "service p(95) < 1s"}, 0),
    ]


def test_a_run_is_named_by_its_folder(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "result_7"
    ((attributes, _),) = values(meter_of(context_of(folder=folder)), "flux.run")
    assert attributes == {"flux.run.id": "result_7", "flux.pipeline": "checkout", "flux.seed": "7"}


# The names.


@pytest.mark.parametrize(
    ("name", "kind", "unit", "prometheus"),
    [
        ("http.client.request.duration", "histogram", "s", "http_client_request_duration_seconds"),
        ("flux.arrivals.planned", "counter", "{session}", "flux_arrivals_planned_total"),
        ("flux.request.body", "counter", "By", "flux_request_body_bytes_total"),
        ("flux.rate.target", "gauge", "{session}/s", "flux_rate_target_per_second"),
        ("flux.inflight", "gauge", "{session}", "flux_inflight"),
        ("flux.run", "info", "", "flux_run_info"),
        ("kar98k_request_duration_seconds", "histogram", "s", "kar98k_request_duration_seconds"),
    ],
)
def test_a_name_is_spelled_by_the_rules_of_both_projects(
    name: str, kind: str, unit: str, prometheus: str
) -> None:
    family = Family(name, kind, unit, "", lambda _: [])  # type: ignore[arg-type]  # a table of text
    assert family.prometheus_name == prometheus


def full_summaries() -> list[Summary]:
    return collect_all([as_rows([*ROWS, request(target=1)])], targets=TARGETS, planned=7)


@pytest.mark.parametrize("names", ["otel", "kar98k", "volcanion"])
def test_no_point_has_an_attribute_that_is_not_declared(names: str) -> None:
    status = {"targets": [{"name": "a", "healthy": True, "last_probe_ms": 1.0}]}
    context = context_of(
        status=status, phases=PHASES, targets=TARGETS, step_tags=({"team": "x"}, {}, {})
    )
    meter = metered_now(full_summaries(), names=names, context=context)
    reading = meter.read()
    for family in meter.families:
        for point in meter.points(family, reading):
            undeclared = set(point.attributes) - set(family.labels)
            assert {name for name in undeclared if not name.startswith("flux.tag.")} == set()


@pytest.mark.parametrize("names", ["otel", "kar98k", "volcanion"])
def test_no_two_metrics_have_one_name_and_no_two_labels_either(names: str) -> None:
    families = dialect_of(names).families
    spelled = [family.prometheus_name for family in families]
    assert len(set(spelled)) == len(spelled)
    for family in families:
        labels = [label_name(label) for label in family.labels]
        assert len(set(labels)) == len(labels)
