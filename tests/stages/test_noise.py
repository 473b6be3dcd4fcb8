"""KA-09, KA-B08, 3.2.4: noise that only the run's ticks move."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flux.stage import random_stream
from flux.stages.noise import NEW_TARGET, STEPS_PER_BLOCK, SpringProfile
from flux.testing import plan_demand
from tests.stages.loading import load, problems

SECOND = 10**9
TICK_NS = 100_000_000


def test_the_spring_has_the_published_statistics() -> None:
    # 864,000 ticks with a memory of some 20 hold about 40,000 independent values: the standard
    # deviation of each figure is below 0.005; four are allowed, and half a unit of the last digit.
    x = _places("amplitude = 0.2", 86_400)
    assert x.mean() == pytest.approx(0.0, abs=0.2 * 0.025)
    assert x.std() / 0.2 == pytest.approx(0.45, abs=0.025)
    for lag, correlation in ((5, 0.86), (10, 0.63), (20, 0.27)):
        assert np.corrcoef(x[:-lag], x[lag:])[0, 1] == pytest.approx(correlation, abs=0.025)
    assert np.abs(x).max() <= 0.2


def test_the_spring_follows_the_published_loop() -> None:
    # The loop as published, clamp included, over the same draws.
    random = random_stream(7, "noise", "noise")
    moves = random.random(STEPS_PER_BLOCK) < NEW_TARGET
    targets = 2 * random.random(STEPS_PER_BLOCK) - 1
    target = velocity = place = 0.0
    expected = [0.0]
    for moved, new in zip(moves.tolist(), targets.tolist()):
        target = new if moved else target
        velocity = 0.3 * velocity + 0.1 * (target - place)
        place += velocity
        if abs(place) > 1:
            place, velocity = np.sign(place), 0.0
        expected.append(place)
    levels = _rows("amplitude = 1", 400)["level"]
    np.testing.assert_array_equal(levels, 1.0 + np.array(expected)[:4000])


def test_the_spring_follows_a_step_as_published() -> None:
    # 10 % after 1 tick, 79 % after 10, 96 % after 20, no overshoot.
    place = velocity = 0.0
    response = []
    for _ in range(200):
        velocity = 0.3 * velocity + 0.1 * (1 - place)
        place += velocity
        response.append(place)
    assert [round(response[tick - 1], 2) for tick in (1, 10, 20)] == [0.10, 0.79, 0.96]
    assert max(response) <= 1 + 1e-12


def test_the_spring_is_a_function_of_the_tick_and_a_line_in_between() -> None:
    whole = _rows("amplitude = 0.5", 30)
    cut = plan_demand(
        [
            load("constant", 'rate = "1/s"'),
            load("noise", "amplitude = 0.5"),
            load("steps", 'repeat = true\nsteps = [{level = 1, duration = "33ms"}]'),
        ],
        30 * SECOND,
    )
    at_ticks = np.isin(cut["start_ns"], whole["start_ns"])
    np.testing.assert_array_equal(cut["level"][at_ticks], whole["level"])
    expected = np.interp(cut["end_ns"], np.append(0, whole["end_ns"]), _closed(whole))
    np.testing.assert_allclose(cut["end_level"], expected, rtol=1e-12)


def test_a_profile_may_begin_late() -> None:
    rows = _rows("amplitude = 0.5", 3000)
    profile = SpringProfile(0.5, TICK_NS, random_stream(7, "noise", "noise"))
    late = rows[20_000:].copy()
    late["level"] = late["end_level"] = 1.0
    np.testing.assert_array_equal(profile.shape(late), rows[20_000:])


@pytest.mark.parametrize("keys", ["", 'kind = "fractal"'])
def test_the_level_is_continuous(keys: str) -> None:
    rows = _rows(f"amplitude = 1\n{keys}", 600)
    np.testing.assert_array_equal(rows["end_level"][:-1], rows["level"][1:])


@pytest.mark.parametrize("octaves", [1, 3, 8])
def test_fractal_noise_is_smooth_and_bounded(octaves: int) -> None:
    x = _places(f'kind = "fractal"\namplitude = 0.4\nperiod = "60s"\noctaves = {octaves}', 36_000)
    assert np.abs(x).max() <= 0.4
    # 600 heights in the first octave, uniform in ±1 and joined: the mean is 0 within four times
    # 0.58/√600.
    assert x.mean() / 0.4 == pytest.approx(0.0, abs=0.095)
    assert x.std() / 0.4 > 0.2
    # The steepest joint is 15/8 of twice the height over a period, in each of the octaves alike.
    highest = 2 - 2.0 ** (1 - octaves)
    assert np.abs(np.diff(x)).max() <= 0.4 * octaves * 15 / 8 * 2 * 0.1 / 60 / highest


def test_fractal_noise_does_not_depend_on_the_tick() -> None:
    keys = 'kind = "fractal"\namplitude = 0.4\nperiod = "5s"'
    fine, coarse = _rows(keys, 60, tick_ns=TICK_NS // 10), _rows(keys, 60)
    np.testing.assert_array_equal(fine["level"][::10], coarse["level"])


def test_an_amplitude_of_zero_is_silence() -> None:
    assert set(_rows("amplitude = 0", 60)["level"]) == {1.0}


def test_wrong_tables_are_told_why() -> None:
    assert problems("noise", "amplitude = 1.5") == ["amplitude must be at least 0 and at most 1"]
    assert problems("noise", 'period = "1s"') == ["period means nothing for kind 'spring'"]
    assert problems("noise", "octaves = 2") == ["octaves means nothing for kind 'spring'"]
    assert problems("noise", 'kind = "perlin"') == ['kind must be one of "spring", "fractal"']


def _rows(keys: str, seconds: int, **context: Any) -> Any:
    stages = [load("constant", 'rate = "1/s"'), load("noise", keys)]
    return plan_demand(stages, seconds * SECOND, **context)


def _places(keys: str, seconds: int) -> npt.NDArray[np.float64]:
    places: npt.NDArray[np.float64] = _rows(keys, seconds)["level"] - 1.0
    return places


def _closed(rows: Any) -> npt.NDArray[np.float64]:
    return np.append(rows["level"], rows["end_level"][-1])
