"""An even swing around the mean."""

import numpy as np
import pytest

from tests.stages.levels import levels_at
from tests.stages.loading import load, problems


@pytest.mark.parametrize(
    ("phase", "levels"), [(0, [1, 1.5, 1, 0.5, 1]), (0.25, [1.5, 1, 0.5, 1, 1.5])]
)
def test_the_level_swings(phase: float, levels: list[float]) -> None:
    sine = load("sine", f'period = "8s"\namplitude = 0.5\nphase = {phase}')
    assert levels_at(sine, [0, 2, 4, 6, 8]) == pytest.approx(levels)


def test_the_swing_is_exact_after_many_periods() -> None:
    sine = load("sine", 'period = "8s"')
    times = np.array([3, 8_000_003]) * 10**9
    first, late = sine.factor_at(times)
    assert first == late


def test_wrong_tables_are_told_why() -> None:
    assert problems("sine") == ["period is required"]
    assert problems("sine", 'period = "0s"') == ["period must be greater than 0"]
