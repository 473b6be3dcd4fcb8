"""Users join and leave where the level crosses the halves, evenly on a ramp, last in first out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.population import Population
from flux.schemas import USERS, Rows
from flux.stage import Shard

SECOND_NS = 10**9


def users(*rows: tuple[float, float, float, float]) -> Rows:
    """Rows of (start s, end s, level, end level)."""
    return USERS.rows((int(a * SECOND_NS), int(b * SECOND_NS), c, d) for a, b, c, d in rows)


def changes_of(*rows: tuple[float, float, float, float]) -> list[tuple[float, int, int]]:
    changes = Population().changes(users(*rows)).tolist()
    return [(due_ns / SECOND_NS, user, change) for due_ns, user, change in changes]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 1, 3, 3)], [(0, 0, 1), (0, 1, 1), (0, 2, 1)]),
        ([(0, 4, 0, 4)], [(0.5, 0, 1), (1.5, 1, 1), (2.5, 2, 1), (3.5, 3, 1)]),
        ([(0, 2, 2, 2), (2, 4, 2, 0)], [(0, 0, 1), (0, 1, 1), (2.5, 1, -1), (3.5, 0, -1)]),
        ([(0, 1, 1, 1), (1, 2, 3, 3)], [(0, 0, 1), (1, 1, 1), (1, 2, 1)]),
        ([(0, 1, 0.4, 0.4)], []),
        ([(0, 1, 0, 0)], []),
    ],
)
def test_crossings(
    rows: list[tuple[float, float, float, float]], expected: list[tuple[float, int, int]]
) -> None:
    assert changes_of(*rows) == expected


levels = st.lists(st.floats(0, 40), min_size=1, max_size=20)


@given(levels)
def test_who_is_present_is_the_rounded_level(found: list[float]) -> None:
    rows = [(k, k + 1, a, b) for k, (a, b) in enumerate(zip([0.0, *found], found))]
    population = Population()
    present = sum(int(population.changes(users(row))["change"].sum()) for row in rows)
    assert present == int(np.floor(found[-1] + 0.5))
    assert int(population.all_leave()["change"].sum()) == -present


@given(levels, st.integers(1, 5))
def test_shards_make_up_the_whole(found: list[float], count: int) -> None:
    rows = users(*[(k, k + 1, a, b) for k, (a, b) in enumerate(zip([0.0, *found], found))])
    whole = Population().changes(rows)
    parts = [Population(Shard(index, count)).changes(rows) for index in range(count)]
    union = np.concatenate(parts)
    assert sorted(union.tolist()) == sorted(whole.tolist())
