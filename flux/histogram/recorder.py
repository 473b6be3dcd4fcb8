"""A histogram of durations that records whole columns and merges bucket for bucket.

Counts follow HdrHistogram's layout (see `flux.histogram.layout`); beside them the exact minimum,
maximum and sum are kept, so that only percentiles carry the layout's error of 1/1024 or 0.5 µs.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, Self

import attrs
import numpy as np
import numpy.typing as npt

from flux.histogram import layout

# p·n/100 goes through three roundings, each off by at most 2⁻⁵³ of it. Taking 2⁻⁵¹ of it off makes
# sure that a whole rank never turns into the next one: 99.9 % of 1000 values is the 999th.
_RANK_SLACK = 1 - 2.0**-51


_NO_COUNTS: Final = np.broadcast_to(np.int64(0), (layout.COUNTS_LENGTH,))
"""What empty histograms share, read-only: to make 184 KiB of zeros takes 50 µs."""


@attrs.define(eq=False)
class Histogram:
    """Durations in nanoseconds, counted by the nearest microsecond up to one hour.

    An empty histogram answers 0 everywhere, as HdrHistogram does; look at `count` first.
    """

    counts: npt.NDArray[np.int64] = attrs.field(default=_NO_COUNTS, repr=False)
    """(23552,) int64: how many values fell into each bucket of the layout. Not to be written to."""
    count: int = 0
    """How many values were recorded."""
    min_ns: int = 0
    """The smallest of them, exact."""
    max_ns: int = 0
    """The largest of them, exact, even when it is above the layout's range."""
    sum_ns: int = 0
    """Their sum, exact; a Python integer, so that it never wraps around."""
    below_range: int = 0
    """How many were negative: counted in the bucket of 0."""
    over_range: int = 0
    """How many were longer than one hour: counted in the bucket of one hour."""

    def record(self, values_ns: npt.NDArray[np.int64]) -> None:
        """Count every value.

        Args:
            values_ns: (n,) int64, nanoseconds, in any order. Those outside 0 to 1 h are counted in
                the bucket at that end and in `below_range` or `over_range`; minimum, maximum and
                sum still see them as they are.
        """
        for chunk_ns in layout.chunks(values_ns):
            self._record_chunk(chunk_ns)

    def add_moments(self, count: int, low_ns: int, high_ns: int, total_ns: int) -> None:
        """Take note of values whose buckets are counted elsewhere; count must be above 0."""
        self.min_ns = min(self.min_ns, low_ns) if self.count else low_ns
        self.max_ns = max(self.max_ns, high_ns) if self.count else high_ns
        self.sum_ns += total_ns
        self.count += count

    def merge(self, other: "Histogram") -> None:
        """Add another histogram: the result is as if all values had been recorded here."""
        if not other.count:
            return
        self.add_moments(other.count, other.min_ns, other.max_ns, other.sum_ns)
        self.below_range += other.below_range
        self.over_range += other.over_range
        filled = other.filled_slice()
        self._writable()[filled] += other.counts[filled]

    def __iadd__(self, other: "Histogram") -> Self:
        self.merge(other)
        return self

    def copy(self) -> "Histogram":
        """A histogram of its own with the same values."""
        twin = Histogram()
        twin.merge(self)
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self._moments() == other._moments() and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # mutable, so unhashable: the data model's idiom

    @property
    def mean_ns(self) -> float:
        """The exact mean."""
        return self.sum_ns / self.count if self.count else 0.0

    def standard_deviation_ns(self) -> float:
        """Standard deviation of the population, from the middles of the buckets."""
        if not self.count:
            return 0.0
        indexes, counts = self.filled()
        middles_us = layout.middle_us(indexes).astype(np.float64)
        mean_us = float(middles_us @ counts) / self.count
        return 1000.0 * math.sqrt(float((middles_us - mean_us) ** 2 @ counts) / self.count)

    def percentile(self, percent: float) -> int:
        """The duration, in nanoseconds, that `percent` per cent of all values do not exceed."""
        return int(self.percentiles([percent])[0])

    def percentiles(
        self, percents: Sequence[float] | npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        """The durations that the given shares of all values do not exceed.

        It is HdrHistogram's definition: the highest value of the bucket that holds the value of
        rank ⌈p/100·count⌉. It is never above the exact maximum nor below the exact minimum, 0 gives
        the minimum, and any other share that falls into the last bucket gives the maximum.

        Args:
            percents: (n,) from 0 to 100, in any order; outside, the nearer end is meant.

        Returns:
            (n,) int64, nanoseconds.
        """
        shares = np.clip(np.asarray(percents, dtype=np.float64), 0.0, 100.0)
        if not self.count:
            return np.zeros(shares.shape, dtype=np.int64)
        filled = self.filled_slice()
        running = np.cumsum(self.counts[filled])
        ranks = np.maximum(np.ceil(shares * self.count / 100.0 * _RANK_SLACK), 1.0)
        indexes = np.searchsorted(running, ranks.astype(np.int64)) + filled.start
        highest_ns = np.clip(layout.highest_us(indexes) * 1000, self.min_ns, self.max_ns)
        highest_ns[indexes == filled.stop - 1] = self.max_ns
        highest_ns[shares == 0.0] = self.min_ns
        return highest_ns

    def count_at_or_below(self, value_ns: int) -> int:
        """How many values were not above this one, as far as its bucket can tell."""
        if not self.count or value_ns < self.min_ns:
            return 0
        if value_ns >= self.max_ns:
            return self.count
        return int(self.counts[: layout.index_of(value_ns) + 1].sum())

    def filled(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The buckets that are not empty, in order.

        Returns:
            Their indexes in the layout and their counts, both (n,) int64.
        """
        filled = self.filled_slice()
        indexes = np.flatnonzero(self.counts[filled]) + filled.start
        return indexes, self.counts[indexes]

    def filled_slice(self) -> slice:
        """From the bucket of the minimum to that of the maximum; empty without values."""
        if not self.count:
            return slice(0, 0)
        return slice(layout.index_of(self.min_ns), layout.index_of(self.max_ns) + 1)

    @classmethod
    def from_counts(cls, counts: npt.NDArray[np.int64]) -> "Histogram":
        """A histogram of which only counts are known; minimum, maximum and sum are estimated.

        Args:
            counts: (n,) int64, n ≤ 23552, none of them negative. Buckets past one hour, which other
                recorders may fill, are over the range here.
        """
        histogram = cls()
        indexes = np.flatnonzero(counts)
        if not indexes.size:
            return histogram
        total_ns = 1000 * round(float(layout.middle_us(indexes).astype(float) @ counts[indexes]))
        low_ns = 1000 * int(layout.lowest_us(indexes[:1])[0])
        high_ns = 1000 * int(layout.highest_us(indexes[-1:])[0])
        histogram.add_moments(int(counts.sum()), low_ns, high_ns, total_ns)
        last = layout.index_of(layout.HIGHEST_NS)
        histogram.over_range = int(counts[last + 1 :].sum())
        copied = histogram._writable()
        copied[: min(counts.size, last + 1)] = counts[: last + 1]
        copied[last] += histogram.over_range
        return histogram

    # Pickles carry the buckets that are not empty: some kilobytes instead of 184 KiB.
    def __getstate__(self) -> tuple[Any, ...]:
        indexes, counts = self.filled()
        smallest = np.min_scalar_type(int(counts.max(initial=0)))
        return (*self._moments(), indexes.astype(np.uint16), counts.astype(smallest))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *moments, indexes, counts = state
        self.count, self.min_ns, self.max_ns, self.sum_ns, self.below_range, self.over_range = (
            moments
        )
        self.counts = _NO_COUNTS
        if indexes.size:
            self._writable()[indexes] = counts

    def _writable(self) -> npt.NDArray[np.int64]:
        """The counts, of this histogram's own from now on."""
        if self.counts is _NO_COUNTS:
            self.counts = np.zeros(layout.COUNTS_LENGTH, np.int64)
        return self.counts

    def _record_chunk(self, values_ns: npt.NDArray[np.int64]) -> None:
        low_ns, high_ns = int(values_ns.min()), int(values_ns.max())
        self.add_moments(values_ns.size, low_ns, high_ns, exact_sum(values_ns, low_ns, high_ns))
        if low_ns < 0 or high_ns > layout.HIGHEST_NS:
            self.below_range += int(np.count_nonzero(values_ns < 0))
            self.over_range += int(np.count_nonzero(values_ns > layout.HIGHEST_NS))
            values_ns = np.clip(values_ns, 0, layout.HIGHEST_NS)
        # add.at with an int64 array and one scalar is a plain compiled loop (numpy ≥ 1.25): as
        # quick as bincount for large batches and quicker for small ones, with nothing allocated.
        np.add.at(self._writable(), layout.indexes_of(values_ns), 1)

    def _moments(self) -> tuple[int, int, int, int, int, int]:
        return (
            self.count,
            self.min_ns,
            self.max_ns,
            self.sum_ns,
            self.below_range,
            self.over_range,
        )


def exact_sum(values: npt.NDArray[np.int64], low: int, high: int) -> int:
    """The sum of values between low and high, right even where 64 bits would wrap around."""
    if max(high, -low) * values.size < 2**63:
        return int(values.sum())
    # Either half of the digits adds up within 64 bits: x = 2³²·(x >> 32) + (x & (2³² - 1)).
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFF_FFFF).sum())
