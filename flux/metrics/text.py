"""Metrics as Prometheus reads them, a piece at a time so that nobody has to wait for all of it.

The text is prometheus-client's. A collector for its registry is here too; it gives the same
metrics, all at once.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import attrs
from prometheus_client import exposition
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from flux.metrics.buckets import Buckets
from flux.metrics.family import Family, Point, label_name
from flux.metrics.meter import Meter
from flux.metrics.turns import Turns

LINES_AT_ONCE: Final = 20
"""As many become text without a look at the time: some hundred microseconds."""

_EOF: Final = b"# EOF\n"


@attrs.frozen
class Format:
    """A format of text."""

    content_type: str
    encode: Callable[[Any], bytes]
    """Makes text of a collector."""
    ending: bytes = b""
    """What stands at the end of it, once."""


PLAIN: Final = Format("text/plain; version=0.0.4; charset=utf-8", exposition.generate_latest)
OPEN_METRICS: Final = Format(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    openmetrics.generate_latest,
    _EOF,
)


def format_for(accept: str) -> Format:
    """What a scraper that sends this header gets: OpenMetrics only if it likes that best."""
    wanted = dict(_wanted(accept))
    plain = max((wanted.get(name, 0.0) for name in ("text/plain", "text/*", "*/*")), default=0.0)
    liked = wanted.get("application/openmetrics-text", 0.0)
    return OPEN_METRICS if liked > 0 and liked >= plain else PLAIN


def _wanted(accept: str) -> Iterator[tuple[str, float]]:
    """Types and how much each is wanted, the least last."""
    found = []
    for part in accept.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        weights = [text.removeprefix("q=") for text in parameters if text.startswith("q=")]
        found.append((name, _weight(weights[0]) if weights else 1.0))
    return iter(sorted(found, key=lambda one: one[1]))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if math.isfinite(weight) else 0.0


async def render(meter: Meter, form: Format) -> bytes:
    """All metrics as they are now, as text."""
    reading, turns = meter.read(), Turns()
    parts: list[bytes] = []
    for family in meter.families:
        points = meter.points(family, reading)
        is_first = True
        while piece := list(islice(points, _points_at_once(family, meter))):
            text = form.encode(_Only(metric_of(family, piece, meter))).removesuffix(form.ending)
            parts.append(text if is_first else _without_head(text))
            is_first = False
            await turns.give_way()
    return b"".join((*parts, form.ending))


class RunCollector(Collector):
    """The metrics of a run for a registry of prometheus-client."""

    def __init__(self, meter: Meter) -> None:
        """Read off this meter, whenever somebody collects."""
        self._meter = meter

    def collect(self) -> Iterator[Metric]:
        """Every metric that has a value now."""
        reading = self._meter.read()
        for family in self._meter.families:
            points = list(self._meter.points(family, reading))
            if points:
                yield metric_of(family, points, self._meter)


def metric_of(family: Family, points: Iterable[Point], meter: Meter) -> Metric:
    """Points of a metric as prometheus-client has them."""
    metric = Metric(family.stem, family.meaning, family.kind, family.unit_word)
    for point in points:
        labels = {label_name(name): str(value) for name, value in point.attributes.items()}
        if isinstance(point.value, Buckets):
            edges_s = meter.edges[family.latency].edges_s
            for suffix, more, value in _histogram_lines(point.value, edges_s):
                metric.add_sample(metric.name + suffix, {**labels, **more}, value)
        else:
            metric.add_sample(family.prometheus_name, labels, point.value)
    return metric


def _histogram_lines(
    buckets: Buckets, edges_s: Sequence[float]
) -> Iterator[tuple[str, dict[str, str], float]]:
    for edge_s, count in zip(edges_s, buckets.below.tolist()):
        yield "_bucket", {"le": repr(edge_s)}, count
    yield "_bucket", {"le": "+Inf"}, buckets.count
    yield "_count", {}, buckets.count
    yield "_sum", {}, buckets.sum_ns / 1e9


def _points_at_once(family: Family, meter: Meter) -> int:
    is_histogram = family.kind == "histogram"
    lines = len(meter.edges[family.latency].edges_s) + 3 if is_histogram else 1
    return max(1, LINES_AT_ONCE // lines)


def _without_head(text: bytes) -> bytes:
    """The samples alone: a metric's description stands before the first of them."""
    while text.startswith(b"# "):
        text = text.partition(b"\n")[2]
    return text


@attrs.frozen
class _Only(Collector):
    """A collector of one metric."""

    metric: Metric

    def collect(self) -> list[Metric]:
        """It."""
        return [self.metric]
