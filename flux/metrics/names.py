"""Which dialect goes by which name."""

from collections.abc import Sequence

from flux.metrics.buckets import Edges
from flux.metrics.family import Dialect
from flux.metrics.kar98k import kar98k_dialect
from flux.metrics.otel import DURATION_EDGES, otel_dialect
from flux.metrics.volcanion import volcanion_dialect


def dialect_of(name: str, edges_ns: Sequence[int] = ()) -> Dialect:
    """A dialect by its name.

    Args:
        name: otel, kar98k or volcanion.
        edges_ns: of the buckets; the dialect's own if there are none, and always but for otel.
    """
    if name == "kar98k":
        return kar98k_dialect()
    if name == "volcanion":
        return volcanion_dialect()
    return otel_dialect(Edges(tuple(map(int, edges_ns))) if edges_ns else DURATION_EDGES)
