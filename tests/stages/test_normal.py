"""UF-14, UF-15: a bell curve by Box and Muller, negative gaps becoming 0."""

import numpy as np
import pytest

from flux.stage import random_stream
from tests.stages.loading import load, problems


def test_jitter_is_the_standard_deviation() -> None:
    gaps = load("normal", 'rate = "1/s"\njitter = 0.2').gaps(random_stream(7, "n"), 100_000)
    # Relative standard deviation of a standard deviation of 100,000: 1/447; four are allowed.
    assert gaps.std() == pytest.approx(0.2, rel=4 / 447)
    within = np.mean(np.abs(gaps - 1) < 0.2)
    assert within == pytest.approx(0.6827, abs=0.006)


def test_negative_gaps_become_zero_and_raise_the_mean() -> None:
    stage = load("normal", 'rate = "1/s"\njitter = 1')
    gaps = stage.gaps(random_stream(7, "n"), 100_000)
    assert gaps.min() == 0.0
    assert np.mean(gaps == 0) == pytest.approx(0.1587, abs=0.005)
    assert stage.mean_gap == pytest.approx(1.0833155)


def test_mean_gap_agrees_with_quadrature() -> None:
    stage = load("normal", 'rate = "1/s"\njitter = 0.4\nmin = "700ms"\nmax = "1500ms"')
    z = np.linspace(-10, 10, 2_000_001)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    expected = np.trapezoid(np.clip(1 + 0.4 * z, 0.7, 1.5) * density, z)
    assert stage.mean_gap == pytest.approx(expected, abs=1e-9)


def test_jitter_is_not_negative() -> None:
    assert problems("normal", 'rate = "1/s"\njitter = -1') == ["jitter must be at least 0"]
