"""The pacer's arithmetic, tested without a clock."""

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.errors import FluxError
from flux.pacing import Pacer, integral, pieces
from flux.schemas import DEMAND, Rows
from flux.stage import Shard

Gaps = npt.NDArray[np.float64]


def ones() -> Iterator[Gaps]:
    while True:
        yield np.ones(100)


def exponentials(seed: int = 7) -> Iterator[Gaps]:
    random = np.random.Generator(np.random.PCG64(seed))
    while True:
        yield -np.log1p(-random.random(100))


def demand(*rows: tuple[float, float, float, float]) -> Rows:
    """Rows of (start s, end s, level, end level)."""
    return DEMAND.rows((round(a * 1e9), round(b * 1e9), c, d) for a, b, c, d in rows)


@pytest.mark.parametrize(
    ("rows", "due_s"),
    [
        # Λ = 2t: the k-th arrival at k/2
        ([(0, 2, 2, 2)], [0.5, 1.0, 1.5, 2.0]),
        # Λ = t²/2: the k-th at √(2k)
        ([(0, 4, 0, 4)], [2**0.5, 2.0, 6**0.5, 8**0.5, 10**0.5, 12**0.5, 14**0.5, 4.0]),
        # Λ = 4t - t²/2: the k-th at 4 - √(16 - 2k)
        ([(0, 4, 4, 0)], [4 - (16 - 2 * k) ** 0.5 for k in range(1, 9)]),
        # nothing is wanted in between, and nothing is sent
        ([(0, 1, 1, 1), (1, 9, 0, 0), (9, 10, 1, 1)], [1.0, 10.0]),
        ([(0, 5, 0, 0)], []),
        ([], []),
    ],
)
def test_arrivals_are_where_the_integral_reaches_them(
    rows: list[tuple[float, float, float, float]], due_s: list[float]
) -> None:
    arrivals = Pacer(ones()).arrivals(demand(*rows))
    assert (arrivals["due_ns"] / 1e9).tolist() == pytest.approx(due_s, abs=1.1e-9)
    assert arrivals["seq"].tolist() == list(range(len(due_s)))


curves = st.lists(
    st.tuples(st.floats(0.01, 5), st.floats(0, 200), st.floats(0, 200)), min_size=1, max_size=12
)


def curve_of(pieces: list[tuple[float, float, float]]) -> Rows:
    ends = list(itertools.accumulate(length for length, _, _ in pieces))
    starts = [0.0, *ends[:-1]]
    return demand(*[(a, b, c, d) for a, b, (_, c, d) in zip(starts, ends, pieces)])


@given(curves)
def test_even_arrivals_never_stray_from_the_integral_by_more_than_one(
    pieces: list[tuple[float, float, float]],
) -> None:
    rows = curve_of(pieces)
    due_ns = Pacer(ones()).arrivals(rows)["due_ns"]
    for upto in range(1, len(rows) + 1):
        by_then = np.searchsorted(due_ns, rows["end_ns"][upto - 1], side="right")
        assert abs(by_then - integral(rows[:upto])) <= 1 + 1e-6


@given(curves, st.lists(st.integers(0, 12), max_size=4))
def test_arrivals_do_not_depend_on_how_rows_are_batched(
    pieces: list[tuple[float, float, float]], cuts: list[int]
) -> None:
    rows = curve_of(pieces)
    whole = Pacer(exponentials()).arrivals(rows)
    pacer = Pacer(exponentials())
    edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [pacer.arrivals(rows[a:b]) for a, b in itertools.pairwise(edges)]
    assert np.concatenate(parts).tolist() == whole.tolist()


@given(curves)
def test_arrivals_ascend_and_lie_within_the_rows(pieces: list[tuple[float, float, float]]) -> None:
    rows = curve_of(pieces)
    due_ns = Pacer(exponentials()).arrivals(rows)["due_ns"]
    assert (np.diff(due_ns) >= 0).all()
    assert due_ns.min(initial=0) >= 0
    assert due_ns.max(initial=0) <= rows["end_ns"][-1]


@settings(max_examples=30)
@given(curves, st.integers(1, 7))
def test_shards_make_up_the_whole(pieces: list[tuple[float, float, float]], count: int) -> None:
    rows = curve_of(pieces)
    whole = Pacer(exponentials()).arrivals(rows)
    parts = [
        Pacer(exponentials(), shard=Shard(index, count)).arrivals(rows) for index in range(count)
    ]
    for index, part in enumerate(parts):
        assert (part["seq"] % count == index).all()
    assert sorted(np.concatenate(parts).tolist()) == whole.tolist()


@pytest.mark.parametrize("count", [1, 5, 40])
def test_ends_at_the_count_over_all_shards(count: int) -> None:
    rows = demand((0, 10, 5, 5))
    whole = Pacer(ones(), count=count)
    assert len(whole.arrivals(rows)) == count
    assert whole.is_finished
    parts = [Pacer(ones(), count=count, shard=Shard(i, 3)).arrivals(rows) for i in range(3)]
    assert sum(map(len, parts)) == count


@given(curves, st.floats(1, 1000))
def test_pieces_are_the_rows_in_turn(
    found: list[tuple[float, float, float]], arrivals: float
) -> None:
    rows = curve_of(found)
    parts = list(pieces(rows, arrivals))
    assert np.concatenate(parts).tolist() == rows.tolist()
    assert all(len(part) == 1 or integral(part) <= arrivals * (1 + 1e-9) for part in parts)


def test_more_arrivals_than_fit_into_memory_are_an_error() -> None:
    with pytest.raises(FluxError, match=r"1e\+12 arrivals are wanted at once"):
        Pacer(ones()).arrivals(demand((0, 1, 1e12, 1e12)))


def test_a_sum_of_levels_that_misses_a_whole_by_rounding_still_reaches_it() -> None:
    # 0.1 of an arrival in each of 30 rows: the running sum is 3 only up to rounding.
    rows = demand(*[(k / 10, (k + 1) / 10, 1.0, 1.0) for k in range(30)])
    assert len(Pacer(ones()).arrivals(rows)) == 3
