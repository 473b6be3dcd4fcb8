"""A metric: what it is called, what it counts, and what reads it off a reading.

Names are OpenTelemetry's, with dots; how Prometheus spells them follows from that by the rules of
the two projects: dots become underscores, the unit is written out at the end, and a counter ends in
`_total`. So a series has the same name whether it was scraped or came by way of a collector.

Source: OpenTelemetry specification, Prometheus and OpenMetrics Compatibility.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

import attrs

from flux.metrics.buckets import Buckets, Edges
from flux.metrics.reading import Reading

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]
"""A counter never falls; an info is 1, and its labels are what it says."""

Value: TypeAlias = int | float | Buckets

_SUFFIXES: Mapping[str, str] = {"s": "seconds", "By": "bytes", "/s": "per_second"}


@attrs.frozen
class Point:
    """A value and its attributes, which Prometheus calls labels."""

    value: Value
    attributes: Mapping[str, str | int] = attrs.field(factory=dict)


@attrs.frozen
class Family:
    """A metric."""

    name: str
    """With dots, without what its kind and unit add."""
    kind: Kind
    unit: str
    """By UCUM: "s", "By", "{request}", "{request}/s"; empty where it has none."""
    meaning: str
    """One sentence."""
    read: Callable[[Reading], Iterable[Point]]
    """What it is now; nothing where that is not known."""
    labels: tuple[str, ...] = ()
    """Attributes that its points may have."""
    latency: str = ""
    """Of a histogram: which latency it is."""

    @property
    def prometheus_name(self) -> str:
        """As samples have it, but for `_bucket`, `_sum` and `_count`."""
        ending = {"counter": "_total", "info": "_info"}.get(self.kind, "")
        return self.stem + ending

    @property
    def otel_name(self) -> str:
        """As the OpenTelemetry protocol has it."""
        return f"{self.name}.info" if self.kind == "info" else self.name

    @property
    def stem(self) -> str:
        """The same without what its kind adds."""
        stem, suffix = label_name(self.name), self.unit_word
        return stem if not suffix or stem.endswith(f"_{suffix}") else f"{stem}_{suffix}"

    @property
    def unit_word(self) -> str:
        """Its unit written out; what stands in braces is for people alone."""
        return _SUFFIXES.get(re.sub(r"\{.*?\}", "", self.unit), "")


@attrs.frozen
class Dialect:
    """Metrics by the names that somebody expects."""

    families: tuple[Family, ...]
    edges: Mapping[str, Edges]
    """Of the buckets, by latency."""
    left_out: Mapping[str, str] = attrs.field(factory=dict)
    """Names that were promised and are not there, and why."""


def label_name(attribute: str) -> str:
    """An attribute's name as Prometheus spells it."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", attribute)
    return f"_{name}" if name[:1].isdigit() else name
