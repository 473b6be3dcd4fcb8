"""Rows of requests, counted by time and latency: what a result itself cannot say over time.

The memory is bounded whatever the length of the run. Time is cut into at most 512 bins, and when
they are used up, each two become one. Latencies have 32 bins per doubling, 3 % wide.
"""

from collections.abc import Iterable, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from flux.schemas import ERROR_TEXTS, NOT_STARTED, Flag, Rows

TIME_BINS = 512
"""Bins of time, at most."""

FIRST_WIDTH_NS = 10**8
"""How long a bin of time is at first."""

PER_DOUBLING = 32
_SHIFT = 52 - 5  # of a double's digits, five after the leading 1 tell 32 steps per doubling
_BASE = 1023 * PER_DOUBLING  # the code of 1 µs
CODES = 32 * PER_DOUBLING
"""Bins of latency: 2³² µs is more than an hour."""

LATENCIES = (("response", "due_ns", "end_ns"), ("service", "start_ns", "end_ns"))
"""Each latency, from which column to which."""
LAG = ("lag", "due_ns", "start_ns")

Counts = npt.NDArray[np.int64]


def _counts(columns: int) -> Counts:
    return np.zeros((TIME_BINS, columns), np.int64)


@attrs.define(eq=False)
class Grid:
    """How many requests ended in each bin of time with which latency."""

    width_ns: int = FIRST_WIDTH_NS
    """How long a bin of time is."""
    bins: int = 0
    """How many of them are in use."""
    requests: int = 0
    """Requests in all."""
    end_ns: int = 0
    """When the last of them ended."""
    ended: Counts = attrs.field(factory=lambda: _counts(1), repr=False)
    """(TIME_BINS, 1) requests that ended."""
    errors: Counts = attrs.field(factory=lambda: _counts(len(ERROR_TEXTS)), repr=False)
    """(TIME_BINS, errors) those that failed, by reason."""
    latencies: dict[str, Counts] = attrs.field(
        factory=lambda: {name: _counts(CODES) for name, *_ in (*LATENCIES, LAG)}, repr=False
    )
    """(TIME_BINS, CODES) of each latency."""
    extremes_ns: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    """The shortest and the longest of each latency that has any: exact, where bins are not."""

    def add_all(self, batches: Iterable[Rows]) -> "Grid":
        """Count every batch."""
        for rows in batches:
            self.add(rows)
        return self

    def add(self, rows: Rows) -> None:
        """Count the requests of a batch of OUTCOME."""
        rows = rows[((rows["flags"] & int(NOT_STARTED)) == 0) & (rows["step"] >= 0)]
        if not rows.size:
            return
        self.end_ns = max(self.end_ns, int(rows["end_ns"].max()))
        self._make_room(int(rows["end_ns"].max()))
        places = np.maximum(rows["end_ns"] // self.width_ns, 0)
        self.requests += rows.size
        np.add.at(self.ended, (places, 0), 1)
        failed = (rows["flags"] & int(Flag.SUCCESS)) == 0
        codes = np.clip(rows["error"][failed], 0, len(ERROR_TEXTS) - 1)
        np.add.at(self.errors, (places[failed], codes), 1)
        measured = (rows["flags"] & int(Flag.ABORTED)) == 0
        for latency in LATENCIES:
            self._add_latency(latency, rows[measured], places[measured])
        # A session that waited for a place was not late by the generator, nor is a later request.
        prompt = (rows["flags"] & int(Flag.FIRST | Flag.HELD)) == int(Flag.FIRST)
        self._add_latency(LAG, rows[prompt], places[prompt])

    def _add_latency(self, latency: tuple[str, str, str], rows: Rows, places: Counts) -> None:
        if not rows.size:
            return
        name, since, until = latency
        durations_ns = rows[until] - rows[since]
        shortest_ns, longest_ns = int(durations_ns.min()), int(durations_ns.max())
        low_ns, high_ns = self.extremes_ns.get(name, (shortest_ns, longest_ns))
        self.extremes_ns[name] = (min(low_ns, shortest_ns), max(high_ns, longest_ns))
        np.add.at(self.latencies[name], (places, codes_of(durations_ns)), 1)

    def _make_room(self, end_ns: int) -> None:
        while end_ns // self.width_ns >= TIME_BINS:
            self.width_ns *= 2
            self.bins = (self.bins + 1) // 2
            for counts in (self.ended, self.errors, *self.latencies.values()):
                counts[: TIME_BINS // 2] = counts[0::2] + counts[1::2]
                counts[TIME_BINS // 2 :] = 0
        self.bins = max(self.bins, end_ns // self.width_ns + 1)

    def coarser(self, most_bins: int, least_width_ns: int = 10**9) -> "Grid":
        """The same requests in at most so many bins of time, each at least as long as that."""
        per_bin = max(-(-self.bins // most_bins), -(-least_width_ns // self.width_ns), 1)
        starts = np.arange(0, self.bins, per_bin)

        def merged(counts: Counts) -> Counts:
            return np.add.reduceat(counts[: self.bins], starts, axis=0)

        return Grid(
            width_ns=self.width_ns * per_bin,
            bins=starts.size,
            requests=self.requests,
            end_ns=self.end_ns,
            extremes_ns=self.extremes_ns,
            ended=merged(self.ended),
            errors=merged(self.errors),
            latencies={name: merged(counts) for name, counts in self.latencies.items()},
        )

    def lengths_s(self, run_end_s: float) -> npt.NDArray[np.float64]:
        """(bins,) how long each bin of time is, seconds: the last one ends with the run.

        Args:
            run_end_s: when the run ended, if that was after the last request.
        """
        starts_s = np.arange(self.bins, dtype=np.float64) * (self.width_ns / 1e9)
        end_s = max(run_end_s, self.end_ns / 1e9)
        return np.minimum(self.width_ns / 1e9, end_s - starts_s)

    def middles_s(self) -> npt.NDArray[np.float64]:
        """(bins,) the middle of each bin of time, seconds."""
        return (np.arange(self.bins, dtype=np.float64) + 0.5) * (self.width_ns / 1e9)

    def percentiles_ms(self, name: str, percents: Sequence[float]) -> list[npt.NDArray[np.float64]]:
        """Each percentile of a latency over time, right within 1.6 %; NaN where there is none."""
        running = self.latencies[name][: self.bins].cumsum(axis=1)
        totals = running[:, -1]
        found = []
        for percent in percents:
            ranks = np.maximum(np.ceil(totals * (percent / 100)), 1)
            codes = (running >= ranks[:, np.newaxis]).argmax(axis=1)
            found.append(np.where(totals > 0, middles_ms(codes), np.nan))
        return found


def codes_of(durations_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The bin of latency of each duration; what is shorter than 1 µs shares the first."""
    values_us: npt.NDArray[np.float64] = np.maximum(durations_ns / 1000.0, 1.0)
    codes: npt.NDArray[np.int64] = (values_us.view(np.int64) >> _SHIFT) - _BASE
    return np.minimum(codes, CODES - 1)


def edges_ms(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Where these bins begin, milliseconds."""
    lows: npt.NDArray[np.float64] = ((codes.astype(np.int64) + _BASE) << _SHIFT).view(np.float64)
    return lows / 1000


def middles_ms(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The middles of these bins, milliseconds."""
    middles: npt.NDArray[np.float64] = (edges_ms(codes) + edges_ms(codes + 1)) / 2
    return middles
