"""KA-H05: curves from constants, ramps, S-curves and pauses."""

import pytest

from flux.testing import plan_arrivals
from tests.stages.levels import levels_at
from tests.stages.loading import load, problems

SECOND = 10**9


@pytest.mark.parametrize(
    ("steepness", "time_s", "level"),
    [(6, 1, 3.949), (6, 2.5, 14.915), (6, 5, 50.0), (6, 7.5, 85.085), (8, 2.5, 10.499)],
)
def test_the_s_curve_has_the_published_values(steepness: int, time_s: float, level: float) -> None:
    keys = f'{{kind = "heaviside", from = 0, to = 100, duration = "10s", steepness = {steepness}}}'
    (found,) = levels_at(load("curve", f"segment = [{keys}]"), [time_s])
    assert found == pytest.approx(level, abs=5e-4)


def test_the_s_curve_ends_exactly_where_it_should() -> None:
    keys = 'segment = [{kind = "heaviside", from = "3/s", to = "7/s", duration = "10s"}]'
    assert levels_at(load("curve", keys), [0, 10, 20]) == [3.0, 7.0, 7.0]


def test_a_very_steep_s_curve_is_a_jump() -> None:
    keys = 'segment = [{kind = "heaviside", from = 0, to = 1, duration = "10s", steepness = 1e6}]'
    assert levels_at(load("curve", keys), [0, 4.9, 5, 5.1, 10]) == [0, 0, 0.5, 1, 1]


def test_pieces_follow_one_another_and_the_last_value_holds() -> None:
    curve = load(
        "curve",
        """
        segment = [
          { kind = "constant", level = 2, duration = "1s" },
          { kind = "ramp", to = 4, duration = "2s" },
          { kind = "pause", duration = "1s" },
          { kind = "ramp", from = "100/s", to = "50/s", duration = "2s" },
        ]
        """,
    )
    found = levels_at(curve, [0, 1, 2, 3, 4, 5, 6, 60], rate=10)
    assert found == [20, 20, 30, 0, 100, 75, 50, 50]


def test_nothing_is_sent_in_a_pause() -> None:
    # KA-B07: a pause sent one a second.
    keys = (
        'segment = [{kind = "pause", duration = "10s"},'
        ' {kind = "constant", level = 1, duration = "1s"}]'
    )
    due_ns = plan_arrivals([load("constant", 'rate = "5/s"'), load("curve", keys)], 11 * SECOND)
    assert due_ns["due_ns"].tolist() == [10 * SECOND + k * SECOND // 5 for k in range(1, 6)]


@pytest.mark.parametrize(
    ("segment", "problem"),
    [
        ('kind = "constant"', "segment.0.level is required for kind 'constant'"),
        ('kind = "ramp"', "segment.0.to is required for kind 'ramp'"),
        ('kind = "pause", level = 1', "segment.0.level means nothing for kind 'pause'"),
        ('kind = "pause", from = 1', "segment.0.from means nothing for kind 'pause'"),
        (
            'kind = "ramp", to = 1, steepness = 2',
            "segment.0.steepness means nothing for kind 'ramp'",
        ),
        ('kind = "constant", level = -1', "segment.0.level must be at least 0 and finite"),
        (
            'kind = "constant", level = "5"',
            'segment.0.level must be a multiplier, as in 1.5, or a rate, as in "50/s"',
        ),
        (
            'kind = "heavyside", to = 1',
            'segment.0.kind must be one of "constant", "ramp", "heaviside", "pause"',
        ),
    ],
)
def test_wrong_tables_are_told_why(segment: str, problem: str) -> None:
    assert problems("curve", f'segment = [{{{segment}, duration = "1s"}}]') == [problem]
