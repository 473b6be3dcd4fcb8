"""The closed model: how many users, and how long each rests."""

import pytest

from flux.schemas import USERS
from flux.testing import plan_demand
from tests.stages.loading import load, problems

SECOND = 10**9


def test_the_level_is_the_number_of_users() -> None:
    stage = load("users", "users = 12")
    demand = plan_demand([stage], 2 * SECOND)
    assert stage.emits is USERS
    assert set(demand["level"]) == set(demand["end_level"]) == {12.0}
    assert demand["end_ns"][-1] == 2 * SECOND


def test_shapers_change_the_number_of_users() -> None:
    demand = plan_demand([load("users", "users = 10"), load("ramp", 'up = "5s"')], 10 * SECOND)
    halfway = demand[demand["start_ns"] == 2_500_000_000]
    assert halfway["level"].tolist() == [5.0]


def rest_ms(keys: str, elapsed_ms: int) -> float:
    """How long user 0 rests after an iteration that took so long."""
    due_ns: int = load("users", f"users = 1\n{keys}").habits.next_due_ns(
        7, 0, 1, joined_ns=0, start_ns=SECOND, end_ns=SECOND + elapsed_ms * 10**6
    )
    return (due_ns - SECOND) / 10**6 - elapsed_ms


@pytest.mark.parametrize(
    ("keys", "elapsed_ms", "expected_ms"),
    [
        ("", 300, 0),
        ('think = "1s"', 300, 1000),
        ('pace = "1s"', 300, 700),
        ('pace = "1s"', 1300, 0),
        ('think = "1s"\npace = "2s"', 300, 1700),
        ('think = "1s"\npace = "2s"', 1300, 1000),
    ],
)
def test_a_user_rests_until_think_time_and_pace_are_over(
    keys: str, elapsed_ms: int, expected_ms: int
) -> None:
    assert rest_ms(keys, elapsed_ms) == expected_ms


def test_a_user_is_gone_after_its_last_iteration() -> None:
    habits = load("users", "users = 5\niterations = 3").habits
    times = {"joined_ns": 0, "start_ns": 0, "end_ns": 7}
    assert [habits.next_due_ns(7, 0, done, **times) for done in (1, 2, 3)] == [7, 7, None]


def test_wrong_tables_are_told_why() -> None:
    assert problems("users") == ["users is required"]
    assert problems("users", "users = 1\niterations = 0") == ["iterations must be at least 1"]
    assert problems("users", "users = 0") == ["users must be at least 1 and at most 1000000"]
    assert problems("users", "users = 1\nthink = 5") == ["think must be a duration or a table"]
    assert problems(
        "users", 'users = 1\nthink = { use = "uniform", every = "1s", jitter = 2 }'
    ) == ["think.jitter must be at most 1 for uniform"]
