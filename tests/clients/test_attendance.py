"""Who is in, and when a run of users is over."""

import pytest

from flux.clients.attendance import Attendance, IterationNumbers
from flux.habits import Habits
from flux.stage import Shard


class Watched(Attendance):
    """Notes whether it was said that it is over."""

    def __init__(self, habits: Habits) -> None:
        self.told: list[bool] = []
        super().__init__(habits, lambda: self.told.append(True))

    def has_ended(self) -> bool:
        return bool(self.told)


def test_bounded_users_are_over_once_the_last_has_begun_its_last_iteration() -> None:
    watched = Watched(Habits(iterations=2))
    assert [watched.join(user) for user in (0, 1)] == [0, 0]
    watched.nobody_joins()
    for user, done in ((0, 1), (0, 2), (1, 1)):
        watched.begin(user, done)
        assert not watched.has_ended()
    watched.begin(1, 2)
    assert watched.has_ended()


def test_nobody_is_through_before_all_have_joined() -> None:
    watched = Watched(Habits(iterations=1))
    watched.join(0)
    watched.begin(0, 1)
    assert not watched.has_ended()
    watched.nobody_joins()
    assert watched.has_ended()


def test_a_shard_without_users_is_over_when_nobody_will_join() -> None:
    watched = Watched(Habits(iterations=1))
    watched.nobody_joins()
    assert watched.has_ended()


def test_who_was_sent_away_may_come_back_and_goes_on() -> None:
    watched = Watched(Habits(iterations=3))
    watched.join(0)
    watched.begin(0, 1)
    watched.leave(0, 1)
    watched.nobody_joins()
    assert not watched.has_ended()
    assert watched.join(0) == 1
    watched.begin(0, 2)
    watched.begin(0, 3)
    assert watched.has_ended()
    assert watched.join(0) is None


def test_who_comes_back_is_not_taken_for_who_is_still_leaving() -> None:
    watched = Watched(Habits(iterations=2))
    watched.join(0)
    watched.begin(0, 1)
    watched.leave(0, 1)
    watched.join(0)
    watched.leave(0, 1)
    watched.begin(0, 2)  # of nobody who is in
    watched.nobody_joins()
    assert not watched.has_ended()


def test_unbounded_users_are_over_once_all_were_sent_away() -> None:
    watched = Watched(Habits())
    watched.join(0)
    watched.begin(0, 1)
    watched.end()
    assert not watched.has_ended()
    watched.leave(0, 1)
    assert watched.has_ended()


def test_visitors_are_over_once_nobody_arrives_and_none_stays() -> None:
    watched = Watched(Habits(stay_ns=5, are_arrivals=True))
    watched.join(0)
    watched.begin(0, 1)
    watched.end()
    assert not watched.has_ended()
    watched.stop_early(0)
    assert watched.has_ended()


@pytest.mark.parametrize(
    ("shard", "count", "numbers"),
    [
        (Shard(), 3, [0, 1, 2, None]),
        (Shard(1, 2), 4, [1, 3, None, None]),
        (Shard(2, 3), None, [2, 5, 8, 11]),
        (Shard(2, 3), 2, [None] * 4),
    ],
)
def test_iterations_are_numbered_as_they_begin(
    shard: Shard, count: int | None, numbers: list[int | None]
) -> None:
    taken = IterationNumbers(shard, count)
    assert [taken.take() for _ in range(4)] == numbers
