"""How many are under way at once, against counting at every instant at which something changes."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.occupancy import HOLD_EVENTS, Occupancy

WIDTH_NS = 10**9

spans = st.lists(
    st.tuples(st.integers(0, 4 * WIDTH_NS), st.integers(0, 2 * WIDTH_NS)).map(
        lambda pair: (pair[0], pair[0] + pair[1])
    ),
    min_size=1,
    max_size=40,
)


def naive_rows(pairs: list[tuple[int, int]], count: int) -> tuple[list[int], list[int]]:
    """The number at the end of each row and its peak, by asking at each instant: [begin, end)."""
    levels, peaks = [], []
    for row in range(count):
        low, high = row * WIDTH_NS, (row + 1) * WIDTH_NS
        instants = {low, *(begin for begin, _ in pairs if low <= begin < high)}
        peaks.append(max(under_way(pairs, instant) for instant in instants))
        # What ends at the very boundary has not ended within the row.
        levels.append(sum(begin < high <= end for begin, end in pairs))
    return levels, peaks


def under_way(pairs: list[tuple[int, int]], instant: int) -> int:
    return sum(begin <= instant < end for begin, end in pairs)


def columns(pairs: list[tuple[int, int]]) -> list[npt.NDArray[np.int64]]:
    return [np.array(column, dtype=np.int64) for column in zip(*pairs)]


@given(spans, st.integers(1, 7))
def test_peaks_are_exact_whatever_the_order_of_completion(
    pairs: list[tuple[int, int]], size: int
) -> None:
    occupancy = Occupancy(WIDTH_NS)
    for start in range(0, len(pairs), size):
        occupancy.add(*columns(pairs[start : start + size]))
    levels, peaks = occupancy.rows(7)
    naive_levels, naive_peaks = naive_rows(pairs, 7)
    assert levels.tolist() == naive_levels
    # At the start of a row, what ended there is gone: the row's own level there may be higher.
    assert peaks.max() == max(naive_peaks)
    assert all(ours >= naive for ours, naive in zip(peaks.tolist(), naive_peaks))


@given(spans)
def test_longer_rows_have_the_same_peak(pairs: list[tuple[int, int]]) -> None:
    occupancy, wide = Occupancy(WIDTH_NS), Occupancy(WIDTH_NS)
    for one in (occupancy, wide):
        one.add(*columns(pairs))
        one.rows(8)
    wide.widen()
    assert wide.rows(4)[1].max() == occupancy.rows(8)[1].max()
    assert wide.rows(4)[0].tolist() == occupancy.rows(8)[0][1::2].tolist()


def test_peaks_stay_exact_while_older_events_are_settled() -> None:
    """Two per millisecond, each 3.5 ms long, in batches: 7 are under way at once."""
    begins_ns = np.arange(100_000) * 500_000
    occupancy = Occupancy(WIDTH_NS)
    for start in range(0, begins_ns.size, 1000):
        batch_ns = begins_ns[start : start + 1000]
        occupancy.add(batch_ns, batch_ns + 3_500_000)
    assert occupancy._first_open > 0, "nothing was settled: the test needs more events"
    levels, peaks = occupancy.rows(51)
    assert set(peaks[:50].tolist()) == {7}
    assert levels[-1] == 0


def test_a_begin_that_comes_in_late_counts_from_the_next_row_on() -> None:
    begins_ns = np.arange(2 * HOLD_EVENTS) * 100_000
    occupancy = Occupancy(WIDTH_NS)
    occupancy.add(begins_ns, begins_ns)
    end_ns = int(begins_ns[-1])
    occupancy.add(np.array([500_000_000]), np.array([end_ns]))
    levels, peaks = occupancy.rows(end_ns // WIDTH_NS + 1)
    assert levels.tolist() == [1] * (len(levels) - 1) + [0]
    assert peaks.tolist()[1:] == [1] * (len(peaks) - 1)


@pytest.mark.parametrize("count", [1, 5, 200])
def test_rows_without_events_keep_the_level(count: int) -> None:
    occupancy = Occupancy(WIDTH_NS)
    occupancy.add(np.array([10]), np.empty(0, np.int64))
    levels, peaks = occupancy.rows(count)
    assert levels.tolist() == peaks.tolist() == [1] * count
