"""Requests to a collector, decoded again: sums, both kinds of histogram, both temporalities."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import trio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2

from flux.metrics.meter import Meter
from flux.metrics.otel import otel_dialect
from flux.metrics.otlp import SCALE, Encoder, Temporality, exponential_edges
from flux.summary import Summary
from tests.metrics.rig import context_of, meter_of, total, values
from tests.outcomes import SECOND_NS, STARTED_AT, as_rows, collect_all, request

ROWS = [request(), request(0, 2 * SECOND_NS + 40_000_000, step=1, status=503)]
BEGAN_NS = round(STARTED_AT.timestamp() * 1e9)


def decoded(body: bytes) -> Any:
    message = ExportMetricsServiceRequest()
    message.ParseFromString(body)
    return message


def metric(message: Any, name: str) -> Any:
    (scope,) = message.resource_metrics[0].scope_metrics
    return next(one for one in scope.metrics if one.name == name)


def attributes_of(point: Any) -> dict[str, str | int]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in point.attributes}


async def encoded(
    summaries: Sequence[Summary],
    *,
    temporality: Temporality = "cumulative",
    is_exponential: bool = False,
    taken: Sequence[bool] = (),
) -> tuple[Meter, list[Any]]:
    """A request after each summary; those marked as not taken are as good as never sent."""
    dialect = otel_dialect()
    if is_exponential:
        dialect = attrs.evolve(dialect, edges=dict.fromkeys(dialect.edges, exponential_edges()))
    meter = meter_of(context_of(open_sessions=lambda: 3, planned=lambda: 2), dialect=dialect)
    encoder = Encoder(meter, instance="one", temporality=temporality, is_exponential=is_exponential)
    messages = []
    for index, summary in enumerate(summaries):
        await meter.take(summary)
        message = await encoder.encode(meter.read())
        if index >= len(taken) or taken[index]:
            encoder.note_sent(message)
        messages.append(decoded(message.body))
    return meter, messages


def test_the_resource_says_which_run_it_is() -> None:
    _, (message,) = trio.run(encoded, collect_all([as_rows(ROWS)])[-1:])
    found = attributes_of(message.resource_metrics[0].resource)
    assert found.pop("service.version")
    assert found == {
        "service.name": "flux",
        "service.instance.id": "one",
        "flux.run.id": STARTED_AT.isoformat(),
        "flux.pipeline": "checkout",
    }


def test_a_request_says_all_that_the_meter_knows() -> None:
    meter, (message,) = trio.run(encoded, collect_all([as_rows(ROWS)])[-1:])
    for family in meter.families:
        known = values(meter, family.name)
        if not known:
            continue
        sent = metric(message, family.otel_name)
        data = getattr(sent, sent.WhichOneof("data"))
        assert (sent.unit, sent.description) == (family.unit, family.meaning)
        assert [attributes_of(point) for point in data.data_points] == [one for one, _ in known]
        for point, (_, value) in zip(data.data_points, known):
            if family.kind == "histogram":
                assert (point.count, list(point.bucket_counts)) == (value.count, value.each)
                assert list(point.explicit_bounds) == list(meter.edges[family.latency].edges_s)
            else:
                assert getattr(point, point.WhichOneof("value")) == value


def test_counts_are_monotonic_sums_from_the_begin_of_the_run() -> None:
    _, (message,) = trio.run(encoded, collect_all([as_rows(ROWS)])[-1:])
    requests = metric(message, "flux.requests").sum
    assert requests.is_monotonic
    assert requests.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert {point.start_time_unix_nano for point in requests.data_points} == {BEGAN_NS}
    assert {point.time_unix_nano for point in requests.data_points} == {BEGAN_NS + SECOND_NS}


def sums(message: Any) -> Mapping[str, int]:
    requests = metric(message, "flux.requests").sum.data_points
    durations = metric(message, "flux.response.duration").histogram.data_points
    return {
        "requests": sum(point.as_int for point in requests),
        "responses": sum(point.count for point in durations),
    }


def test_deltas_add_up_to_the_whole_run() -> None:
    delta = partial(encoded, temporality="delta")
    meter, messages = trio.run(delta, collect_all([as_rows(ROWS)]))
    assert [sums(message)["requests"] for message in messages] == [1, 0, 1, 0]
    assert [sums(message)["responses"] for message in messages] == [1, 0, 1, 0]
    assert total(meter, "flux.requests") == 2
    temporality = metric(messages[1], "flux.requests").sum.aggregation_temporality
    assert temporality == metrics_pb2.AGGREGATION_TEMPORALITY_DELTA


def test_what_was_not_taken_is_in_the_next_delta() -> None:
    delta = partial(encoded, temporality="delta", taken=(False, False, True))
    _, messages = trio.run(delta, collect_all([as_rows(ROWS)]))
    assert [sums(message)["requests"] for message in messages] == [1, 1, 2, 0]
    starts = [
        metric(message, "flux.arrivals.started").sum.data_points[0].start_time_unix_nano
        for message in messages
    ]
    assert starts == [BEGAN_NS] * 3 + [BEGAN_NS + SECOND_NS]


def test_exponential_buckets_hold_each_value() -> None:
    exponential = partial(encoded, is_exponential=True)
    _, (message,) = trio.run(exponential, collect_all([as_rows(ROWS)])[-1:])
    points = metric(message, "http.client.request.duration").exponential_histogram.data_points
    for point, value_s in zip(points, (0.005, 2.04)):
        assert (point.count, point.scale, point.zero_count) == (1, SCALE, 0)
        assert list(point.positive.bucket_counts) == [1]
        low_s = 2 ** (point.positive.offset / 2**SCALE)
        assert low_s < value_s <= low_s * 2 ** (1 / 2**SCALE)
    nothing = points[2]
    assert (nothing.count, list(nothing.positive.bucket_counts)) == (0, [])


def test_a_value_of_nothing_counts_as_zero() -> None:
    exponential = partial(encoded, is_exponential=True)
    _, (message,) = trio.run(exponential, collect_all([as_rows([request(0, 0)])])[-1:])
    point = metric(message, "flux.schedule.lag").exponential_histogram.data_points[0]
    assert (point.count, point.zero_count) == (1, 1)
