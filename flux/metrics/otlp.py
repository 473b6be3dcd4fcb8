"""Metrics as the OpenTelemetry protocol has them, a piece at a time.

Of a message only its own classes are used, none of an SDK: what is to be sent is known already, and
needs no instruments to be measured again.

Source: OpenTelemetry protocol 1.x, metrics data model: sums, gauges, histograms.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

import attrs
import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from flux.metrics.buckets import Buckets, Edges
from flux.metrics.family import Family, Point, Value
from flux.metrics.meter import Meter
from flux.metrics.reading import Facts, Reading
from flux.metrics.turns import Turns

Temporality: TypeAlias = Literal["cumulative", "delta"]

POINTS_AT_ONCE: Final = 10
"""As many are encoded without a look at the time: some hundred microseconds."""

SCALE: Final = 3
"""Of exponential histograms: eight buckets for each doubling, each 9 % wide."""

_FIRST: Final = -160
_LAST: Final = 95
"""Exponents of the first edge and the last: 2^(-160/8) s, a microsecond, to 2^(95/8) s, an hour."""

_TEMPORALITIES: Mapping[Temporality, Any] = {
    "cumulative": pb.AGGREGATION_TEMPORALITY_CUMULATIVE,
    "delta": pb.AGGREGATION_TEMPORALITY_DELTA,
}

Sent: TypeAlias = dict[tuple[object, ...], Value]
"""What a series was, by its metric and its attributes."""


def exponential_edges() -> Edges:
    """The edges of the buckets of exponential histograms."""
    exponents = np.arange(_FIRST, _LAST + 1)
    return Edges(tuple(np.rint(1e9 * 2.0 ** (exponents / 2**SCALE)).astype(np.int64).tolist()))


@attrs.frozen
class Message:
    """A request to a collector, and what it says, to be remembered if it is taken."""

    body: bytes
    time_ns: int
    sent: Sent


class Encoder:
    """Makes requests of readings."""

    def __init__(
        self,
        meter: Meter,
        *,
        instance: str,
        temporality: Temporality,
        is_exponential: bool,
    ) -> None:
        """Begin with nothing sent.

        Args:
            meter: what is read off.
            instance: tells this run from every other one.
            temporality: whether a point counts from the run's begin, or from what was sent last.
            is_exponential: whether the meter's edges are `exponential_edges`.
        """
        self._meter = meter
        self._instance = instance
        self._temporality = temporality
        self._is_exponential = is_exponential
        self._sent: Sent = {}
        self._sent_until_ns: int | None = None

    async def encode(self, reading: Reading) -> Message:
        """All metrics as they were when it was taken."""
        facts, meter = reading.facts, self._meter
        began_ns = round(facts.started_at_s * 1e9)
        time_ns = began_ns + reading.now_ns
        is_delta = self._temporality == "delta"
        since_ns = self._sent_until_ns if is_delta and self._sent_until_ns else began_ns
        times = {"start_time_unix_nano": since_ns, "time_unix_nano": time_ns}
        request, sent, turns = ExportMetricsServiceRequest(), Sent(), Turns()
        resource = request.resource_metrics.add()
        resource.resource.attributes.extend(_attributes(_resource(facts, self._instance)))
        scope = resource.scope_metrics.add()
        scope.scope.name, scope.scope.version = "flux", facts.version
        for family in meter.families:
            points = meter.points(family, reading)
            metric: Any = None
            while piece := list(islice(points, POINTS_AT_ONCE)):
                if metric is None:
                    metric = scope.metrics.add(
                        name=family.otel_name, description=family.meaning, unit=family.unit
                    )
                for point in piece:
                    self._add(metric, family, point, times, sent)
                await turns.give_way()
        return Message(request.SerializeToString(), time_ns, sent)

    def note_sent(self, message: Message) -> None:
        """The collector has taken it."""
        self._sent, self._sent_until_ns = message.sent, message.time_ns

    def _add(
        self, metric: Any, family: Family, point: Point, times: Mapping[str, int], sent: Sent
    ) -> None:
        attributes, value = _attributes(point.attributes), point.value
        if family.kind in ("gauge", "info"):
            data = metric.gauge.data_points.add(
                time_unix_nano=times["time_unix_nano"], attributes=attributes
            )
            _set_number(data, value)
            return
        key = (family.name, *point.attributes.items())
        sent[key] = value
        if self._temporality == "delta" and key in self._sent:
            value = _less(value, self._sent[key])
        if isinstance(value, Buckets):
            self._add_histogram(metric, family, value, {**times, "attributes": attributes})
            return
        metric.sum.aggregation_temporality = _TEMPORALITIES[self._temporality]
        metric.sum.is_monotonic = True
        _set_number(metric.sum.data_points.add(**times, attributes=attributes), value)

    def _add_histogram(
        self, metric: Any, family: Family, value: Buckets, head: Mapping[str, Any]
    ) -> None:
        amounts = {"count": value.count, "sum": value.sum_ns / 1e9}
        if not self._is_exponential:
            metric.histogram.aggregation_temporality = _TEMPORALITIES[self._temporality]
            metric.histogram.data_points.add(
                **head,
                **amounts,
                bucket_counts=value.each,
                explicit_bounds=self._meter.edges[family.latency].edges_s,
            )
            return
        histogram = metric.exponential_histogram
        histogram.aggregation_temporality = _TEMPORALITIES[self._temporality]
        # What is not above the first edge is as good as zero; above the last one there is nothing.
        zeros, *counts = value.each
        point = histogram.data_points.add(**head, **amounts, scale=SCALE, zero_count=zeros)
        point.zero_threshold = self._meter.edges[family.latency].edges_s[0]
        filled = np.flatnonzero(counts)
        if filled.size:
            first, last = int(filled[0]), int(filled[-1])
            point.positive.offset = _FIRST + first
            point.positive.bucket_counts.extend(counts[first : last + 1])


def _resource(facts: Facts, instance: str) -> dict[str, str | int]:
    shard = {"flux.shard": facts.shard} if facts.shard else {}
    return {
        "service.name": "flux",
        "service.version": facts.version,
        "service.instance.id": instance,
        "flux.run.id": facts.run_id,
        "flux.pipeline": facts.pipeline,
        **shard,
    }


def _attributes(attributes: Mapping[str, str | int]) -> list[KeyValue]:
    return [
        KeyValue(
            key=name,
            value=AnyValue(int_value=value)
            if isinstance(value, int)
            else AnyValue(string_value=value),
        )
        for name, value in attributes.items()
    ]


def _set_number(point: Any, value: Value) -> None:
    if isinstance(value, int):
        point.as_int = value
    elif isinstance(value, float):
        point.as_double = value


def _less(value: Value, before: Value) -> Value:
    if isinstance(value, Buckets) and isinstance(before, Buckets):
        return value - before
    if isinstance(value, Buckets) or isinstance(before, Buckets):
        raise TypeError("a metric has values of one kind")
    return value - before
