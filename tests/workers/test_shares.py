"""What each worker gets, and what the parent knows of it."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.control import Spike
from flux.schemas import ARRIVAL, OUTCOME, Flag, Rows
from flux.stage import Shard
from flux.stages.null import Null
from flux.workers.books import Books
from flux.workers.job import shard_of, share_of
from flux.workers.keys import ONE, Processes
from flux.workers.lost import cut_rows, lost_rows
from flux.workers.steering import Change, SteeredControl, Steering


@settings(max_examples=50)
@given(outer=st.integers(1, 7), index=st.integers(0, 6), count=st.integers(1, 7))
def test_the_shards_of_a_shard_are_the_shard(outer: int, index: int, count: int) -> None:
    whole = Shard(index % outer, outer)
    parts = [shard_of(whole, number, count) for number in range(count)]
    numbers = range(3 * outer * count)
    owned = [seq for one in parts for seq in numbers if seq % one.count == one.index]
    assert sorted(owned) == [seq for seq in numbers if seq % outer == whole.index]


@pytest.mark.parametrize(
    ("whole", "count", "parts"),
    [(10, 3, [4, 3, 3]), (10_000, 2, [5000, 5000]), (1, 1, [1]), (2, 3, [1, 1, 1])],
)
def test_limits_of_the_run_are_divided(whole: int, count: int, parts: list[int]) -> None:
    stage = Null(max_in_flight=whole, processes=Processes(count))
    shares = [share_of(stage, index, count) for index in range(count)]
    assert [share.max_in_flight for share in shares] == parts
    assert all(share.processes == ONE for share in shares)


def rows_of(values: list[tuple[int, int, Flag]]) -> Rows:
    rows = OUTCOME.empty(len(values))
    for row, (seq, session, flags) in zip(rows, values):
        row["seq"], row["session"], row["flags"] = seq, session, flags
    return rows


@settings(max_examples=50)
@given(
    lives=st.lists(st.sampled_from(["unheard", "begun", "over", "dropped"]), max_size=400),
    random=st.randoms(use_true_random=False),
    stretch=st.sampled_from([1, 97]),
)
def test_books_know_what_has_begun_and_what_is_over(
    lives: list[str], random: Random, stretch: int
) -> None:
    books = Books(Shard(2, 5))
    first: list[tuple[int, int, Flag]] = []
    last: list[tuple[int, int, Flag]] = []
    for number, life in enumerate(lives):
        seq = 2 + 5 * number * stretch
        if life in ("begun", "over"):
            first.append((seq, 7000 + number, Flag.FIRST))
        if life == "over":
            last.append((seq, 7000 + number, Flag.LAST))
        if life == "dropped":
            last.append((seq, seq, Flag.DROPPED))
    random.shuffle(first)
    random.shuffle(last)
    for rows in (first[::2], first[1::2], last[::2], last[1::2]):
        books.add(rows_of(rows))
    arrivals = ARRIVAL.empty(len(lives))
    arrivals["seq"] = 2 + 5 * stretch * np.arange(len(lives))
    begun = [number for number, life in enumerate(lives) if life == "begun"]
    open_seq, session = books.open_sessions()
    assert open_seq.tolist() == [2 + 5 * number * stretch for number in begun]
    assert session.tolist() == [7000 + number for number in begun]
    assert books.over == sum(life in ("over", "dropped") for life in lives)
    lost = lost_rows(arrivals, books, 10)["seq"].tolist()
    assert lost == [
        2 + 5 * number * stretch for number, life in enumerate(lives) if life == "unheard"
    ]
    assert len(cut_rows(books, 10)) + books.over + len(lost) == len(lives)


def test_books_forget_what_is_over() -> None:
    books = Books(Shard())
    for start in range(0, 1_000_000, 1000):
        values = OUTCOME.empty(1000)
        values["seq"] = np.arange(start, start + 1000)
        values["flags"] = Flag.FIRST | Flag.LAST
        books.add(values)
    assert books.over == 1_000_000
    assert len(books._states) <= 16384
    assert books.has_begun(np.array([0, 999_999, 1_000_000])).tolist() == [True, True, False]


def test_a_change_holds_after_its_time_and_not_before() -> None:
    steering = Steering([Change(-1)])
    steering.add(Change(100, paused=True))
    steering.add(Change(200, scale=2.0, spike=Spike(0, 3.0, 900)))
    factors = [steering.factor_at(time_ns) for time_ns in (0, 100, 101, 200, 300, 1000)]
    assert factors == [1.0, 1.0, 0.0, 0.0, pytest.approx(6.0), 2.0]


def test_a_steered_control_says_what_the_parent_said() -> None:
    control = SteeredControl()
    control.add(Change(-1, scale=2.0))
    control.add(Change(50, scale=4.0))
    assert (control.factor_at(0), control.factor_at(50), control.factor_at(51)) == (2.0, 2.0, 4.0)
