"""Histograms of one column by group, such as response times by step, filled in a single pass.

The counters of all groups are the rows of one table, so a batch is one scatter-add at
row · length + index, whatever the number of groups. There is no overall histogram to record:
`total()` adds the groups up when somebody looks.
"""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from flux.histogram import layout
from flux.histogram.recorder import Histogram, exact_sum

_INT64 = np.iinfo(np.int64)


class HistogramSet:
    """A fixed number of histograms; each is live, and may also be recorded into by itself."""

    def __init__(self, groups: int) -> None:
        self._counts = np.zeros((groups, layout.COUNTS_LENGTH), dtype=np.int64)
        self._flat = self._counts.reshape(-1)
        self._histograms = tuple(Histogram(counts=row) for row in self._counts)

    def __len__(self) -> int:
        return len(self._histograms)

    def __getitem__(self, group: int) -> Histogram:
        return self._histograms[group]

    def __iter__(self) -> Iterator[Histogram]:
        return iter(self._histograms)

    def record(
        self, values_ns: npt.NDArray[np.int64], groups: npt.NDArray[np.integer[Any]]
    ) -> None:
        """Count every value in the histogram of its group.

        Args:
            values_ns: (n,) int64, nanoseconds, as for `Histogram.record`.
            groups: (n,) integers, from 0 to len(self) - 1.

        Raises:
            IndexError: a group is out of range.
            ValueError: the columns differ in length.
        """
        if values_ns.size != groups.size:
            raise ValueError(
                f"columns must be equally long, got {values_ns.size} and {groups.size}"
            )
        if not values_ns.size:
            return
        # All are checked before the first is counted, so that a refused batch leaves no trace.
        self._check_groups(groups)
        for chunk_ns, chunk_groups in zip(layout.chunks(values_ns), layout.chunks(groups)):
            # int64 is what add.at indexes with: other integers would be converted at each use.
            self._record_chunk(chunk_ns, chunk_groups.astype(np.int64))

    def total(self) -> Histogram:
        """All groups in one histogram of its own."""
        total = Histogram()
        for histogram in self:
            total.merge(histogram)
        return total

    def merge(self, other: "HistogramSet") -> None:
        """Add another set, group by group.

        Raises:
            ValueError: the other set has a different number of groups.
        """
        if len(other) != len(self):
            raise ValueError(f"sets must have the same groups, got {len(self)} and {len(other)}")
        for mine, theirs in zip(self, other):
            mine.merge(theirs)

    def __iadd__(self, other: "HistogramSet") -> Self:
        self.merge(other)
        return self

    def copy(self) -> "HistogramSet":
        """A set of its own with the same values."""
        twin = HistogramSet(len(self))
        twin.merge(self)
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HistogramSet):
            return NotImplemented
        return self._histograms == other._histograms

    __hash__ = None  # type: ignore[assignment]  # mutable, so unhashable: the data model's idiom

    def __reduce__(self) -> tuple[Any, ...]:
        # The histograms' counts are rows of one table: unpickled ones must become rows again.
        return _set_of, (self._histograms,)

    def _check_groups(self, groups: npt.NDArray[np.integer[Any]]) -> None:
        low, high = int(groups.min()), int(groups.max())
        if low < 0 or high >= len(self):
            wrong = low if low < 0 else high
            raise IndexError(f"group must be from 0 to {len(self) - 1}, got {wrong}")

    def _record_chunk(self, values_ns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        low_ns, high_ns = int(values_ns.min()), int(values_ns.max())
        self._record_moments(values_ns, rows, low_ns, high_ns)
        if low_ns < 0 or high_ns > layout.HIGHEST_NS:
            self._count_out_of_range(values_ns, rows)
            values_ns = np.clip(values_ns, 0, layout.HIGHEST_NS)
        indexes = layout.indexes_of(values_ns)
        rows *= layout.COUNTS_LENGTH
        indexes += rows
        np.add.at(self._flat, indexes, 1)

    def _record_moments(
        self,
        values_ns: npt.NDArray[np.int64],
        groups: npt.NDArray[np.int64],
        low_ns: int,
        high_ns: int,
    ) -> None:
        """Update count, minimum, maximum and sum of every group that occurs."""
        counts = np.bincount(groups, minlength=len(self))
        lows = np.full(len(self), _INT64.max)
        highs = np.full(len(self), _INT64.min)
        np.minimum.at(lows, groups, values_ns)
        np.maximum.at(highs, groups, values_ns)
        may_wrap = max(high_ns, -low_ns) * values_ns.size >= 2**63
        sums = np.zeros(len(self), dtype=np.int64)
        if not may_wrap:
            np.add.at(sums, groups, values_ns)
        for group in np.flatnonzero(counts).tolist():
            low, high, total = int(lows[group]), int(highs[group]), int(sums[group])
            if may_wrap:
                total = exact_sum(values_ns[groups == group], low, high)
            self[group].add_moments(int(counts[group]), low, high, total)

    def _count_out_of_range(
        self, values_ns: npt.NDArray[np.int64], groups: npt.NDArray[np.int64]
    ) -> None:
        below = np.bincount(groups[values_ns < 0], minlength=len(self))
        over = np.bincount(groups[values_ns > layout.HIGHEST_NS], minlength=len(self))
        for group, histogram in enumerate(self):
            histogram.below_range += int(below[group])
            histogram.over_range += int(over[group])


def _set_of(histograms: tuple[Histogram, ...]) -> HistogramSet:
    made = HistogramSet(len(histograms))
    for mine, theirs in zip(made, histograms):
        mine.merge(theirs)
    return made
