"""`roster` lets users in and out when the level says so, and everybody out at the end."""

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from flux.control import Control
from flux.phases import Phase
from flux.release import TICKS_AHEAD
from flux.schemas import NOBODY, USERS, Rows
from flux.stage import Shard
from tests.stages.driving import SECOND, TICK_NS, context_of, drive, rows_of
from tests.stages.loading import load, load_sample

RISE = [(k * TICK_NS, (k + 1) * TICK_NS, k / 2, (k + 1) / 2) for k in range(10)]
"""From 0 to 5 users in a second."""


def changes(levels: Rows, **context: Any) -> list[tuple[int, Rows]]:
    """When which changes are let through, under virtual time."""

    async def main() -> list[tuple[int, Rows]]:
        told = context_of(load("users", "users = 5"), duration_ns=SECOND, **context)
        return await drive(load_sample("roster"), told, [levels])

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def test_users_join_evenly_on_a_ramp_and_leave_at_the_end() -> None:
    rows = rows_of(changes(USERS.rows(RISE)))
    joins, leaves = rows[rows["change"] > 0], rows[rows["change"] < 0]
    assert joins["user"].tolist() == [0, 1, 2, 3, 4]
    assert joins["due_ns"].tolist() == [SECOND * (2 * user + 1) // 10 for user in range(5)]
    assert sorted(leaves["user"].tolist()) == [0, 1, 2, 3, 4]
    assert set(leaves["due_ns"]) == {SECOND}


def test_changes_are_released_two_ticks_ahead() -> None:
    for sent_ns, rows in changes(USERS.rows(RISE))[:-1]:
        tick_ns = (int(rows["due_ns"][0]) - 1) // TICK_NS * TICK_NS
        assert sent_ns == pytest.approx(max(0, tick_ns - TICKS_AHEAD * TICK_NS), abs=1)


def test_the_last_to_join_is_the_first_to_leave() -> None:
    fall = [(0, TICK_NS, 3.0, 3.0), (TICK_NS, 2 * TICK_NS, 3.0, 0.0)]
    rows = rows_of(changes(USERS.rows(fall)))
    assert rows["user"][rows["change"] < 0].tolist() == [2, 1, 0]


def test_each_user_of_a_shard_joins_and_leaves_once() -> None:
    parts = [rows_of(changes(USERS.rows(RISE), shard=Shard(index, 2))) for index in range(2)]
    for index, rows in enumerate(parts):
        assert set(rows["user"] % 2) == {index}
        assert rows["change"].sum() == 0
    assert sum(int((rows["change"] > 0).sum()) for rows in parts) == 5


@pytest.mark.parametrize(
    ("keys", "shapers", "told_ns"),
    [
        ("", (), None),
        ("iterations = 2", (), 0),
        ("iterations = 2", (("ramp", 'up = "500ms"'),), SECOND // 2),
        ("iterations = 2", (("ramp", 'up = "500ms"'), ("limit", "max = 2")), SECOND // 2),
        ("iterations = 2", (("ramp", 'up = "500ms"\nfrom = 3'),), 0),
        ("iterations = 2", (("ramp", 'up = "500ms"\nfrom = 3\ndown = "1ms"'),), None),
        ("iterations = 2", (("noise", "amplitude = 0.1"),), None),
    ],
    ids=["unbounded", "constant", "ramp", "capped", "falling", "falling-then-rising", "noise"],
)
def test_says_when_nobody_else_will_join_if_that_is_known(
    keys: str, shapers: tuple[tuple[str, str], ...], told_ns: int | None
) -> None:
    above = (load("users", f"users = 5\n{keys}"), *(load(*one) for one in shapers))

    async def main() -> list[tuple[int, Rows]]:
        told = attrs.evolve(context_of(above[0], duration_ns=SECOND), upstream=above)
        return await drive(load_sample("roster"), told, [USERS.rows(RISE)])

    rows = rows_of(trio.run(main, clock=MockClock(autojump_threshold=0)))
    said = [(due_ns, user) for due_ns, user, change in rows.tolist() if change == 0]
    assert said == ([] if told_ns is None else [(told_ns, NOBODY)])


@pytest.mark.parametrize("changes_users", [False, True])
def test_a_phase_with_other_users_leaves_open_when_the_last_one_joins(changes_users: bool) -> None:
    source = load("users", "users = 5\niterations = 2")
    stages = {"users": load("users", "users = 9")} if changes_users else {}
    phase = Phase("peak", 0, None, stages=stages)

    async def main() -> list[tuple[int, Rows]]:
        told = context_of(source, duration_ns=SECOND, phases=(phase,))
        return await drive(load_sample("roster"), told, [USERS.rows(RISE)])

    rows = rows_of(trio.run(main, clock=MockClock(autojump_threshold=0)))
    assert (NOBODY in rows["user"].tolist()) is not changes_users


def test_nobody_joins_once_the_run_is_stopped() -> None:
    control = Control()
    control.stop()
    assert changes(USERS.rows(RISE), control=control) == []
