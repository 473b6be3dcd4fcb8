"""VO 2.2.5, VO-B11: step, spike and ramp patterns, of any number of steps and any rate."""

import pytest

from flux.errors import FluxError
from flux.testing import plan_arrivals, plan_demand
from tests.stages.levels import levels_at
from tests.stages.loading import load, problems

SECOND = 10**9


@pytest.mark.parametrize(
    ("keys", "levels"),
    [
        (
            'steps = [{level = 1, duration = "2s"}, {level = 4, duration = "2s"}]',
            [1, 1, 4, 4, 4, 4],
        ),
        (
            'steps = [{level = 1, duration = "1s"}, {level = 3, duration = "2s", ramp = "2s"}]',
            [1, 1, 2, 3, 3, 3],
        ),
        ('steps = [{level = 3, duration = "3s", ramp = "3s"}]', [0, 1, 2, 3, 3, 3]),
        (
            'steps = [{level = 1, duration = "0s"}, {level = 4, duration = "3s", ramp = "3s"}]',
            [1, 2, 3, 4, 4, 4],
        ),
        (
            'repeat = true\nsteps = [{level = 1, duration = "2s"}, {level = 0, duration = "1s"}]',
            [1, 1, 0, 1, 1, 0],
        ),
        (
            'repeat = true\nsteps = [{level = 0, duration = "0s"},'
            ' {level = 3, duration = "3s", ramp = "3s"}]',
            [0, 1, 2, 0, 1, 2],
        ),
        ('steps = [{level = 2, duration = "0s"}]', [2, 2, 2, 2, 2, 2]),
    ],
)
def test_the_level_follows_the_steps(keys: str, levels: list[float]) -> None:
    found = levels_at(load("steps", keys), [0, 1, 2, 3, 4, 5])
    assert found == pytest.approx(levels)


def test_a_rate_replaces_the_level_above() -> None:
    steps = load(
        "steps", 'steps = [{rate = "50/s", duration = "1s"}, {level = 2, duration = "1s"}]'
    )
    assert levels_at(steps, [0, 1], rate=7) == [50, 14]


def test_a_ramp_leads_from_a_multiplier_to_a_rate() -> None:
    keys = 'steps = [{level = 2, duration = "1s"}, {rate = "50/s", duration = "2s", ramp = "2s"}]'
    assert levels_at(load("steps", keys), [0, 1, 2, 3], rate=10) == [20, 20, 35, 50]


def test_the_spike_pattern_uses_all_of_its_steps() -> None:
    # VO-B11: only the first two of five counted.
    rates = (10, 80, 20, 60, 0)
    steps = ", ".join(f'{{rate = "{rate}/s", duration = "1s"}}' for rate in rates)
    stages = [load("constant", 'rate = "1/s"'), load("steps", f"steps = [{steps}]")]
    due_ns = plan_arrivals(stages, 5 * SECOND)["due_ns"]
    # What is due at the very end of a second counts to it.
    seconds = (due_ns - 1) // SECOND
    assert [int((seconds == second).sum()) for second in range(5)] == list(rates)


def test_steps_change_between_ticks() -> None:
    steps = load(
        "steps", 'steps = [{level = 1, duration = "1234567ns"}, {level = 2, duration="1s"}]'
    )
    demand = plan_demand([load("constant", 'rate = "1/s"'), steps], SECOND)
    assert demand["start_ns"][:3].tolist() == [0, 1_234_567, 100_000_000]
    assert demand["level"][:3].tolist() == [1, 2, 2]


def test_a_rate_means_nothing_for_users() -> None:
    stages = [
        load("users", "users = 2"),
        load("steps", 'steps = [{rate = "5/s", duration = "1s"}]'),
    ]
    with pytest.raises(FluxError, match="must be a multiplier"):
        plan_demand(stages, SECOND)
    (found,) = stages[1].check_source(stages[0], None)
    assert found.rule == "must be a multiplier below a generator of users, not a rate"


def test_wrong_tables_are_told_why() -> None:
    assert problems("steps") == ["steps is required"]
    assert problems("steps", "steps = []") == ["steps must not be empty"]
    assert problems("steps", 'steps = [{duration = "1s"}]') == [
        "steps.0 needs either level or rate"
    ]
    assert problems("steps", 'steps = [{level = 1, duration = "1s", ramp = "2s"}]') == [
        "steps.0.ramp must not be longer than the step's duration"
    ]
    assert problems("steps", 'repeat = true\nsteps = [{level = 1, duration = "0s"}]') == [
        "steps must last at least 1ms together to be repeated"
    ]
