"""A run row by row of time: what charts are drawn from.

Rows are as long as a collector's interval, from 0 without gaps. A run that is too long for that
many rows gets longer ones: pairs of rows become one, again and again. To give percentiles of rows
that were put together, each row keeps a `Sketch` of its response times.
"""

from collections.abc import Iterable, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from flux.histogram import Histogram
from flux.histogram.layout import middle_us
from flux.schemas import Rows

PERCENTS = (50.0, 95.0, 99.0)
"""Which percentiles of the response time a row has."""

COUNTS = (
    "due",  # sessions that were to start in this row
    "started",  # sessions that did
    "dropped",  # of those due, given up
    "withheld",  # of those due, given up because no target was healthy
    "cancelled",  # of those due, not started because the run was stopped
    "requests",  # requests that ended in this row
    "successes",
    "failures",
    "bytes_out",
    "bytes_in",
)
"""Columns that add up, over rows as over shards."""

LEVELS = ("in_flight", "users")
"""Columns with how many requests and sessions were under way at the end of the row."""

PEAKS = ("peak_in_flight", "peak_users")
"""Columns with how many were under way at once at the most."""

QUANTILES = ("p50_ns", "p95_ns", "p99_ns", "max_ns")
"""Columns with the response times of the requests that ended in this row."""

ROW = np.dtype([(name, np.int64) for name in ("start_ns", *COUNTS, *LEVELS, *PEAKS, *QUANTILES)])
"""Columns of a row."""

_MANTISSA_BITS = 5  # 32 steps per doubling: a bucket is at most 3.1 % wide, its middle 1.6 % off
_SHIFT = 52 - _MANTISSA_BITS


@attrs.frozen(eq=False)
class Sketch:
    """A histogram that is small enough to be kept for every row: right within 1.6 %."""

    codes: npt.NDArray[np.int64]
    """(n,) buckets that are not empty, ascending: the leading bits of a double in microseconds."""
    counts: npt.NDArray[np.int64]
    """(n,) how many values fell into each."""

    @classmethod
    def of(cls, histogram: Histogram) -> "Sketch":
        """The sketch of a histogram."""
        indexes, counts = histogram.filled()
        values_us = np.maximum(middle_us(indexes), 1).astype(np.float64)
        return cls.of_codes(values_us.view(np.int64) >> _SHIFT, counts)

    @classmethod
    def of_codes(cls, codes: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> "Sketch":
        """The sketch of these counts; the same code may come several times."""
        unique, places = np.unique(codes, return_inverse=True)
        sums = np.zeros(unique.size, np.int64)
        np.add.at(sums, places, counts)
        return cls(unique, sums)

    @classmethod
    def merged(cls, parts: Sequence["Sketch"]) -> "Sketch":
        """All of them together."""
        if len(parts) == 1:
            return parts[0]
        codes = np.concatenate([part.codes for part in parts])
        return cls.of_codes(codes, np.concatenate([part.counts for part in parts]))

    def percentiles_ns(self, percents: Sequence[float]) -> npt.NDArray[np.int64]:
        """The middles of the buckets that hold the values of these ranks; 0 if there are none."""
        if not self.codes.size:
            return np.zeros(len(percents), np.int64)
        running = np.cumsum(self.counts)
        ranks = np.maximum(np.ceil(np.asarray(percents) / 100 * running[-1]), 1)
        codes = self.codes[np.searchsorted(running, ranks)]
        low_us, next_us = ((code << _SHIFT).view(np.float64) for code in (codes, codes + 1))
        middles_us = (low_us + np.maximum(next_us - 1, low_us)) / 2  # of the whole microseconds
        middles_ns: npt.NDArray[np.int64] = np.rint(1000 * middles_us).astype(np.int64)
        return middles_ns


def worth_a_rate(lengths: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Lengths of rows, NaN for one that is not half as long as the others.

    So little time says nothing about a rate: one request in the last millisecond of a run would be
    a thousand per second.
    """
    usual = np.nanmax(lengths, initial=0.0)
    kept: npt.NDArray[np.float64] = np.where(
        (lengths > 0) & (lengths >= usual / 2), lengths, np.nan
    )
    return kept


EMPTY_SKETCH = Sketch(np.empty(0, np.int64), np.empty(0, np.int64))
"""No values."""


def _no_rows() -> Rows:
    return np.zeros(0, ROW)


@attrs.frozen(eq=False)
class Series:
    """Rows of time, each as long as the others."""

    width_ns: int = 10**9
    """How long a row is."""
    rows: Rows = attrs.field(factory=_no_rows, repr=False)
    """(n,) with the columns of ROW, in order and without gaps."""
    sketches: tuple[Sketch, ...] = attrs.field(default=(), repr=False)
    """(n,) response times of each row."""

    def __len__(self) -> int:
        return len(self.rows)

    def ends_ns(self, run_end_ns: int) -> npt.NDArray[np.int64]:
        """(n,) where each row ends: with the run, if that ended within it."""
        starts_ns: npt.NDArray[np.int64] = self.rows["start_ns"]
        ends_ns = starts_ns + self.width_ns
        # What was due after the end of a run that was stopped has rows that nobody came to.
        return np.where(starts_ns < run_end_ns, np.minimum(ends_ns, run_end_ns), ends_ns)

    def whole_rows(
        self, run_end_ns: int, left_out_ns: Iterable[tuple[int, int]] = ()
    ) -> npt.NDArray[np.bool_]:
        """Which rows the run went through from their beginning to their end: (n,) bool.

        Args:
            run_end_ns: when the run ended.
            left_out_ns: from when to when there was what is not wanted, such as warm-up; rows that
                have a part of it are not among them.
        """
        starts_ns, ends_ns = self.rows["start_ns"], self.rows["start_ns"] + self.width_ns
        is_whole: npt.NDArray[np.bool_] = ends_ns <= run_end_ns
        for begin_ns, end_ns in left_out_ns:
            is_whole &= (starts_ns >= end_ns) | (ends_ns <= begin_ns)
        return is_whole

    def widen(self, width_ns: int) -> "Series":
        """The same run with longer rows.

        Raises:
            ValueError: the new width is no multiple of this one.
        """
        if width_ns == self.width_ns or not len(self):
            return attrs.evolve(self, width_ns=width_ns)
        if width_ns % self.width_ns:
            raise ValueError(f"width must be a multiple of {self.width_ns} ns, got {width_ns}")
        wide, places = _blank(width_ns, self.rows["start_ns"])
        for name in COUNTS:
            np.add.at(wide[name], places, self.rows[name])
        for name in (*PEAKS, "max_ns"):
            np.maximum.at(wide[name], places, self.rows[name])
        for name in LEVELS:
            wide[name][places] = self.rows[name]  # of several for one place, the last one stays
        return _with_sketches(width_ns, wide, [(self, places)])

    def merge(self, others: Iterable["Series"]) -> "Series":
        """This and the others, row by row; all stay as they are.

        Levels and peaks are added: in two shards the peaks of a row need not fall on the same
        instant, so their sum is an upper bound.
        """
        parts = [part for part in (self, *others) if len(part)]
        if not parts:
            return self
        width_ns = max(part.width_ns for part in parts)
        parts = [part.widen(width_ns) for part in parts]
        starts_ns = np.concatenate([part.rows["start_ns"] for part in parts])
        merged, all_places = _blank(width_ns, starts_ns)
        splits = np.cumsum([len(part) for part in parts])[:-1]
        placed = list(zip(parts, np.split(all_places, splits)))
        for part, places in placed:
            for name in (*COUNTS, *LEVELS, *PEAKS):
                merged[name][places] += part.rows[name]
            merged["max_ns"][places] = np.maximum(merged["max_ns"][places], part.rows["max_ns"])
        return _with_sketches(width_ns, merged, placed)


def _blank(width_ns: int, starts_ns: npt.NDArray[np.int64]) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Rows for these times without gaps, and which row is for which time."""
    numbers = starts_ns // width_ns
    first, last = int(numbers.min()), int(numbers.max())
    rows = np.zeros(last - first + 1, ROW)
    rows["start_ns"] = np.arange(first, last + 1) * width_ns
    return rows, numbers - first


def _with_sketches(
    width_ns: int, rows: Rows, parts: Sequence[tuple[Series, npt.NDArray[np.int64]]]
) -> Series:
    """Give each row the sketches of the rows that went into it, and percentiles by them."""
    found: list[list[tuple[Series, int]]] = [[] for _ in rows]
    for part, places in parts:
        for number, place in enumerate(places.tolist()):
            if part.sketches[number].codes.size:
                found[place].append((part, number))
    sketches = []
    for row, sources in zip(rows, found):
        sketches.append(_merged_sketch(row, sources))
    return Series(width_ns, rows, tuple(sketches))


def _merged_sketch(row: np.void, sources: Sequence[tuple[Series, int]]) -> Sketch:
    if not sources:
        return EMPTY_SKETCH
    names = QUANTILES[: len(PERCENTS)]
    if len(sources) == 1:  # nothing was put together: the exact percentiles still hold
        part, number = sources[0]
        for name in names:
            row[name] = part.rows[name][number]
        return part.sketches[number]
    sketch = Sketch.merged([part.sketches[number] for part, number in sources])
    for name, value_ns in zip(names, sketch.percentiles_ns(PERCENTS)):
        row[name] = min(value_ns, row["max_ns"])
    return sketch
