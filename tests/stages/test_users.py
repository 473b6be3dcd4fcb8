"""The closed model: how many users, and how long each rests."""

import numpy as np
import pytest

from flux.schemas import USERS
from flux.testing import plan_demand
from tests.stages.loading import load, load_sample, problems

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


@pytest.mark.parametrize(
    ("keys", "elapsed_ms", "rest_ms"),
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
    keys: str, elapsed_ms: int, rest_ms: int
) -> None:
    stage = load("users", f"users = 1\n{keys}")
    assert stage.rest_ns(7, 0, elapsed_ms * 10**6) == rest_ms * 10**6


def test_rest_depends_on_seed_and_iteration_only() -> None:
    stage = load_sample("users")
    rests = [stage.rest_ns(7, seq, 0) for seq in range(50)]
    assert [stage.rest_ns(7, seq, 0) for seq in reversed(range(50))] == rests[::-1]
    assert len(set(rests)) == 50
    assert np.mean([stage.rest_ns(8, seq, 0) == rests[seq] for seq in range(50)]) == 0


def test_wrong_tables_are_told_why() -> None:
    assert problems("users") == ["users is required"]
    assert problems("users", "users = 0") == ["users must be at least 1 and at most 1000000"]
    assert problems("users", "users = 1\nthink = 5") == ["think must be a duration or a table"]
    assert problems(
        "users", 'users = 1\nthink = { use = "uniform", every = "1s", jitter = 2 }'
    ) == ["think.jitter must be at most 1 for uniform"]
