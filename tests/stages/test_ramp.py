"""VO-11, VO-13, KA-02: the level rises in a line, holds and falls."""

import pytest

from flux.errors import FluxError
from flux.testing import plan_arrivals, plan_contexts, plan_demand
from flux.units import Duration
from tests.stages.levels import levels_at
from tests.stages.loading import load, problems

SECOND = 10**9


@pytest.mark.parametrize(
    ("keys", "levels"),
    [
        ('up = "4s"', [0, 0.5, 1, 1, 1, 1, 1]),
        ('up = "4s"\nfrom = 1\nto = 3', [1, 2, 3, 3, 3, 3, 3]),
        ('up = "2s"\nhold = "2s"\ndown = "4s"', [0, 1, 1, 0.5, 0, 0, 0]),
        ('up = "2s"\nhold = "2s"\ndown = "4s"\nfrom = 0.5', [0.5, 1, 1, 0.75, 0.5, 0.5, 0.5]),
        ('up = "2s"\ndown = "4s"', [0, 1, 1, 1, 1, 0.5, 0]),
        ('down = "4s"', [1, 1, 1, 1, 1, 0.5, 0]),
        ('down = "2s"\nhold = "2s"\nto = 2', [2, 2, 0, 0, 0, 0, 0]),
    ],
)
def test_the_level_follows_the_line(keys: str, levels: list[float]) -> None:
    times = [0, 2, 4, 6, 8, 10, 12]
    assert levels_at(load("ramp", keys), times, duration_s=12) == pytest.approx(levels)


def test_the_wanted_number_is_half_of_the_rate_over_the_rise() -> None:
    stages = [load("constant", 'rate = "100/s"'), load("ramp", 'up = "10s"')]
    arrivals = plan_arrivals(stages, 10 * SECOND)
    assert len(arrivals) == 500
    # The k-th of a rise of slope 10/s² is due at √(2k/10).
    assert arrivals["due_ns"][4] == SECOND


def test_the_own_duration_of_the_source_is_the_end() -> None:
    source = load("constant", 'rate = "1/s"\nduration = "6s"')
    demand = plan_demand([source, load("ramp", 'down = "2s"')], 60 * SECOND)
    assert demand["end_level"][-1] == 0
    assert demand[demand["start_ns"] == 4 * SECOND]["level"][0] == 1


def test_a_fall_without_hold_needs_an_end() -> None:
    ramp = load("ramp", 'up = "1s"\ndown = "2s"')
    assert ramp.needs_end
    assert not load("ramp", 'up = "1s"\nhold = "1s"\ndown = "2s"').needs_end
    assert not load("ramp", 'up = "1s"').needs_end
    source = load("constant", 'rate = "1/s"')
    assert [found.key for found in ramp.check_source(source, None)] == ["down"]
    assert list(ramp.check_source(source, Duration.parse("3s"))) == []
    context = plan_contexts([source, ramp], None)[1]
    with pytest.raises(FluxError, match="stage 'ramp': down needs hold, or a duration"):
        ramp.profile(context)


def test_rise_and_fall_must_fit_into_the_run() -> None:
    stages = [load("constant", 'rate = "1/s"'), load("ramp", 'up = "4s"\ndown = "3s"')]
    context = plan_contexts(stages, 6 * SECOND)[1]
    with pytest.raises(FluxError, match="down must fit into the run together with up"):
        stages[1].profile(context)


def test_wrong_tables_are_told_why() -> None:
    assert problems("ramp") == ["needs up or down"]
    assert problems("ramp", 'up = "0s"') == ["needs up or down"]
    assert problems("ramp", 'up = "1s"\nhold = "1s"') == ["hold means nothing without down"]
    assert problems("ramp", 'up = "1s"\nfrom = -1') == ["from must be at least 0"]
