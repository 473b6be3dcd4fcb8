"""`visitors` lets each arrival join as a user, at its due time."""

import trio
from trio.testing import MockClock

from flux.habits import Habits
from flux.schemas import Rows
from tests.stages.driving import SECOND, arrivals_at, context_of, drive, rows_of
from tests.stages.loading import load, load_sample, problems


def test_each_arrival_joins_as_the_user_of_its_number_and_nobody_is_sent_away() -> None:
    async def main() -> Rows:
        told = context_of(load("constant", 'rate = "1/s"'))
        return rows_of(
            await drive(load_sample("visitors"), told, [arrivals_at(0.5, 0.7), arrivals_at()])
        )

    rows = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert rows.tolist() == [(500_000_000, 0, 1), (700_000_000, 1, 1)]


def test_users_who_arrive_are_held_to_the_limits_of_arrivals() -> None:
    habits = load("visitors", 'iterations = 3\nstay = "5s"\npace = "1s"').habits
    assert habits == Habits(iterations=3, stay_ns=5 * SECOND, pace_ns=SECOND, are_arrivals=True)


def test_a_visit_ends_before_the_iteration_that_would_begin_too_late() -> None:
    habits = load("visitors", 'stay = "5s"\nthink = "1s"').habits
    ends_s = (1.0, 12.999, 13.0)
    dues = [
        habits.next_due_ns(7, 0, 1, joined_ns=9 * SECOND, start_ns=0, end_ns=int(end_s * SECOND))
        for end_s in ends_s
    ]
    assert dues == [2 * SECOND, 13_999_000_000, None]


def test_wrong_tables_are_told_why() -> None:
    assert problems("visitors") == ["needs iterations or stay"]
    assert problems("visitors", 'stay = "0s"') == ["stay must be longer than 0s"]
    assert problems("visitors", "iterations = 0") == ["iterations must be at least 1"]
