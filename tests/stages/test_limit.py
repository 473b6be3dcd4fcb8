"""The cap is exact, also where the level crosses it within a tick."""

import pytest

from flux.errors import FluxError
from flux.schemas import DEMAND
from flux.stages.limit import LimitProfile
from flux.testing import plan_contexts, plan_demand
from tests.stages.loading import load, problems

SECOND = 10**9


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((0, 100, 0.0, 4.0), [(0, 100, 0.0, 4.0)]),
        ((0, 100, 0.0, 10.0), [(0, 100, 0.0, 10.0)]),
        ((0, 100, 0.0, 40.0), [(0, 25, 0.0, 10.0), (25, 100, 10.0, 10.0)]),
        ((0, 100, 40.0, 0.0), [(0, 75, 10.0, 10.0), (75, 100, 10.0, 0.0)]),
        ((0, 100, 20.0, 30.0), [(0, 100, 10.0, 10.0)]),
        ((0, 100, 10.0, 30.0), [(0, 100, 10.0, 10.0)]),
        ((0, 1, 0.0, 40.0), [(0, 1, 0.0, 10.0)]),
    ],
)
def test_rows_are_split_where_they_cross(
    row: tuple[int, int, float, float], expected: list[tuple[int, int, float, float]]
) -> None:
    rows = DEMAND.rows([row, row])
    assert LimitProfile(10.0).shape(rows).tolist() == [*expected, *expected]


def test_the_area_under_a_capped_ramp_is_exact() -> None:
    stages = [
        load("constant", 'rate = "90/s"'),
        load("ramp", 'up = "7s"'),
        load("limit", 'max = "31/s"'),
    ]
    demand = plan_demand(stages, 10 * SECOND)
    seconds = (demand["end_ns"] - demand["start_ns"]) / 1e9
    area = ((demand["level"] + demand["end_level"]) / 2 * seconds).sum()
    rise_s = 31 / 90 * 7
    assert area == pytest.approx(31 * (10 - rise_s / 2), rel=1e-9)


def test_a_cap_of_users_is_a_number() -> None:
    stages = [load("users", "users = 50"), load("limit", "max = 20")]
    assert set(plan_demand(stages, SECOND)["level"]) == {20.0}


@pytest.mark.parametrize(
    ("source", "cap", "rule"),
    [
        (("users", "users = 50"), '"20/s"', "max must be a number of users, not a rate"),
        (("constant", 'rate = "1/s"'), "20", "max must be a rate below a generator of arrivals"),
    ],
)
def test_the_cap_has_the_unit_of_what_it_caps(source: tuple[str, str], cap: str, rule: str) -> None:
    stages = [load(*source), load("limit", f"max = {cap}")]
    with pytest.raises(FluxError, match=rule):
        stages[1].profile(plan_contexts(stages, SECOND)[1])


def test_a_cap_of_zero_sends_nothing() -> None:
    stages = [load("constant", 'rate = "50/s"'), load("limit", 'max = "0/s"')]
    assert not plan_demand(stages, SECOND)["level"].any()


def test_wrong_tables_are_told_why() -> None:
    assert problems("limit") == ["max is required"]
    assert problems("limit", 'max = "fast"') == [
        'max must be a rate, as in "200/s", or a number of users'
    ]
