"""Durations counted by a few fixed edges, from HdrHistograms. Pure.

How right it is. A histogram of flux knows a value to one part in 1024 or to half a microsecond. So
a duration that is longer than an edge by less than that may be counted as not above it, and none
that is longer by more is. Counts and sums are exact.
"""

import attrs
import numpy as np
import numpy.typing as npt

from flux.histogram import Histogram
from flux.histogram.layout import index_of

Counts = npt.NDArray[np.int64]


@attrs.frozen(eq=False)
class Edges:
    """Upper edges of buckets; above the last one is one more."""

    edges_ns: tuple[int, ...]
    """Ascending, none of them twice."""
    _indexes: Counts = attrs.field(init=False, repr=False)

    @_indexes.default
    def _find_indexes(self) -> Counts:
        return np.array([index_of(edge_ns) for edge_ns in self.edges_ns], np.int64)

    @classmethod
    def of_seconds(cls, *edges_s: float) -> "Edges":
        """Edges given in seconds."""
        return cls(tuple(round(edge_s * 1e9) for edge_s in edges_s))

    @property
    def edges_s(self) -> tuple[float, ...]:
        """The same in seconds."""
        return tuple(edge_ns / 1e9 for edge_ns in self.edges_ns)

    def count(self, histogram: Histogram) -> "Buckets":
        """The values of a histogram by these edges."""
        if not histogram.count:
            return self.empty()
        filled = histogram.filled_slice()
        running = np.cumsum(histogram.counts[filled])
        places = np.clip(self._indexes - filled.start, -1, running.size - 1)
        below = np.where(places < 0, 0, running[places])
        return Buckets(below, histogram.count, histogram.sum_ns)

    def empty(self) -> "Buckets":
        """No values."""
        return Buckets(np.zeros(len(self.edges_ns), np.int64), 0, 0)


@attrs.frozen(eq=False)
class Buckets:
    """How many values there are, and how many of them are not above each edge."""

    below: Counts
    """(n,) running counts, one for each edge; not to be written to."""
    count: int
    sum_ns: int

    def __add__(self, other: "Buckets") -> "Buckets":
        """Both together."""
        return Buckets(
            self.below + other.below, self.count + other.count, self.sum_ns + other.sum_ns
        )

    def __sub__(self, other: "Buckets") -> "Buckets":
        """What has come since the other."""
        return Buckets(
            self.below - other.below, self.count - other.count, self.sum_ns - other.sum_ns
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Buckets):
            return NotImplemented
        same = self.count == other.count and self.sum_ns == other.sum_ns
        return same and np.array_equal(self.below, other.below)

    __hash__ = None  # type: ignore[assignment]  # an array cannot be hashed

    @property
    def each(self) -> list[int]:
        """How many fell into each bucket, what is above the last edge included."""
        return np.diff(self.below, prepend=0, append=self.count).tolist()  # type: ignore[no-any-return]  # tolist is Any
