"""KA-07, KA-08, KA-B09, 3.2.3: bursts at random times."""

import math
from typing import Any

import attrs
import numpy as np
import pytest

from flux.phases import Phase
from flux.schemas import DEMAND
from flux.shaping import Spiking
from flux.stage import random_stream
from flux.stages.spikes import Spikes, SpikesProfile
from flux.testing import plan_demand
from flux.units import Duration, Rate
from tests.stages.driving import context_of
from tests.stages.levels import levels_at
from tests.stages.loading import load, problems
from tests.stages.statistic import exponential_distance

SECOND = 10**9

AT_ONCE = 'every = "1h"\nmin_interval = "0s"\nmax_interval = "0s"\n'
"""Bounds that put the first spike at 0 and each next one at the end of the last."""

# Seconds, the level that was published, the level here. Up to the top they are the same; the fall
# is shifted and scaled so that it ends at 1, where the published one jumped by (f - 1)·e^-3.
VECTORS = [
    (0, 1.0, 1.0),
    (1, 1.4, 1.4),
    (2.5, 2.0, 2.0),
    (5, 3.0, 3.0),
    (7.5, 1.9447, 1.88944),
    (10, 1.4463, 1.36485),
    (12.5, 1.2108, 1.11705),
    (14.999, 1.0996, 1.00003),
]


@pytest.mark.parametrize(("time_s", "published", "level"), VECTORS)
def test_a_spike_has_the_documented_levels(time_s: float, published: float, level: float) -> None:
    spikes = load("spikes", AT_ONCE + 'factor = 3\nramp_up = "5s"\nramp_down = "10s"')
    (found,) = levels_at(spikes, [time_s], duration_s=15, tick_ns=1_000_000)
    assert found == pytest.approx(level, abs=1e-5)
    # Nowhere do the two differ by more than the jump that was removed.
    assert 0 <= published - found + 5e-5 <= 2 * math.exp(-3) + 1e-4


def test_the_area_of_a_spike_is_as_documented() -> None:
    spikes = load("spikes", AT_ONCE + 'factor = 3\nramp_up = "5s"\nramp_down = "10s"')
    rows = plan_demand([load("constant", 'rate = "1/s"'), spikes], 15 * SECOND)
    seconds = (rows["end_ns"] - rows["start_ns"]) / 1e9
    area = ((rows["level"] + rows["end_level"]) / 2 * seconds).sum() - 15
    assert area == pytest.approx(2 * (2.5 + 0.28094 * 10), rel=2e-4)
    assert rows["end_level"][-1] == 1.0


@pytest.mark.parametrize(
    ("rate_per_s", "low_s", "high_s", "mean_s"),
    # The clamped means that were published are 132.4, 219.8 and 30.5 s, with 39 to 95 % of the gaps
    # at exactly the lower bound.
    [(0.0083, 60, 600, 174.304), (0.005, 120, 600, 272.111), (0.1, 30, 300, 40.0)],
)
def test_gaps_lie_within_the_bounds_with_no_lump(
    rate_per_s: float, low_s: int, high_s: int, mean_s: float
) -> None:
    spikes = Spikes(
        rate=Rate(rate_per_s),
        min_interval=Duration(low_s * SECOND),
        max_interval=Duration(high_s * SECOND),
    )
    random = random_stream(7, "spikes")
    gaps = np.array([spikes.interval_ns(u) for u in random.random(20_000)]) / 1e9
    assert spikes.mean_interval == pytest.approx(mean_s, abs=1e-3)
    # The relative standard deviation of the mean of 20,000 is at most 1/141; four are allowed.
    assert gaps.mean() == pytest.approx(mean_s, rel=4 / 141)
    assert gaps.min() >= low_s
    assert gaps.max() <= high_s
    assert len(np.unique(gaps)) > 19_990


@pytest.mark.parametrize("high_s", [None, 1e-6, 1e-3, 1.0, 30.0])
def test_the_mean_gap_agrees_with_quadrature(high_s: float | None) -> None:
    spikes = Spikes(
        every=Duration(SECOND), max_interval=None if high_s is None else Duration(int(high_s * 1e9))
    )
    u = (np.arange(100_000) + 0.5) / 100_000
    expected = np.mean([spikes.interval_ns(float(one)) for one in u]) / 1e9
    assert spikes.mean_interval == pytest.approx(expected, rel=2e-3 if high_s == 1e-6 else 1e-4)


def test_unbounded_gaps_are_exponential() -> None:
    # KA-07: -ln(U)/λ.
    spikes = load("spikes", 'every = "2s"')
    random = random_stream(7, "spikes")
    gaps = np.array([spikes.interval_ns(u) for u in random.random(20_000)]) / 2e9
    assert exponential_distance(gaps) < 1.95


def test_an_interval_of_two_hours_is_not_clamped_by_a_default() -> None:
    assert load("spikes", 'every = "2h"').mean_interval == 7200


def test_spikes_never_overlap_and_gaps_count_from_the_end_of_the_last() -> None:
    keys = 'every = "100ms"\nmin_interval = "50ms"\nmax_interval = "200ms"\n'
    spikes = load("spikes", keys + 'ramp_up = "100ms"\nramp_down = "300ms"')
    profile = SpikesProfile(spikes, random_stream(7, "spikes"))
    starts = np.unique(profile.cuts(0, 60 * SECOND))
    rows = plan_demand([load("constant", 'rate = "1/s"'), spikes], 60 * SECOND)
    assert len(starts) > 1000
    assert rows["level"].max() == 3.0
    usual = rows[(rows["level"] == 1) & (rows["end_level"] == 1)]
    assert len(usual) > 60


@pytest.mark.parametrize(
    ("ramps", "levels"),
    [
        ('ramp_up = "0s"\nramp_down = "10s"', [3.0, 1.36485]),
        ('ramp_up = "10s"\nramp_down = "0s"', [1.0, 2.0]),
    ],
)
def test_a_ramp_of_zero_is_a_jump(ramps: str, levels: list[float]) -> None:
    found = levels_at(load("spikes", AT_ONCE + ramps), [0, 5], duration_s=10)
    assert found == pytest.approx(levels, abs=1e-5)


def test_wrong_tables_are_told_why() -> None:
    assert problems("spikes") == ["needs either rate or every"]
    assert problems("spikes", 'rate = "0/s"') == ["rate must be greater than 0"]
    assert problems("spikes", 'every = "1s"\nramp_up = "0s"\nramp_down = "0s"') == [
        "needs ramp_up or ramp_down"
    ]
    assert problems("spikes", 'every = "1s"\nmin_interval = "2s"\nmax_interval = "1s"') == [
        "min_interval must not be longer than max_interval"
    ]


def test_the_next_spike_is_known_and_asking_changes_nothing() -> None:
    spikes = Spikes(every=Duration.parse("30s"), factor=3.0, ramp_up=Duration.parse("5s"))
    asked, silent = (SpikesProfile(spikes, random_stream(7, "spikes")) for _ in range(2))
    times_ns = range(0, 600 * 10**9, 7 * 10**9)
    told = [asked.next_spike_ns(time_ns) for time_ns in times_ns]
    factors = [asked.factor_at(start_ns + 5 * 10**9) for start_ns in told]
    assert factors == [3.0] * len(told)
    assert asked.factor_at(told[0] - 1) == 1
    starts_ns = silent._starts_before(1200 * 10**9)
    assert told == [int(starts_ns[starts_ns > time_ns][0]) for time_ns in times_ns]


def test_a_spike_is_on_where_the_level_is_not_the_usual_one() -> None:
    spikes = Spikes(
        every=Duration.parse("5s"), ramp_up=Duration.parse("1s"), ramp_down=Duration.parse("2s")
    )
    asked, shaping = (SpikesProfile(spikes, random_stream(7, "spikes")) for _ in range(2))
    times_ns = np.arange(0, 100 * SECOND, SECOND // 10) + 7
    demand = DEMAND.rows((time_ns, time_ns + 1, 1.0, 1.0) for time_ns in times_ns.tolist())
    is_raised = shaping.shape(demand)["level"] > 1
    assert [asked.factor_at(time_ns) > 1 for time_ns in times_ns.tolist()] == is_raised.tolist()
    assert 0 < is_raised.sum() < len(is_raised)


async def test_a_spike_of_a_phase_is_on_in_that_phase() -> None:
    jump = load("spikes", AT_ONCE + 'ramp_up = "1s"\nramp_down = "1s"')
    never = load("spikes", 'every = "1h"\nmin_interval = "1h"')
    phases = (Phase("calm", 0, 10 * SECOND), Phase("wild", 10 * SECOND, None, stages={"s": jump}))
    context = attrs.evolve(context_of(load("constant", 'rate = "1/s"')), stage="s", phases=phases)
    profile: Any = never.whole_profile(context)
    assert [profile.factor_at(second * SECOND) > 1 for second in (0, 9, 11, 21)] == [
        False,
        False,
        True,
        True,
    ]
    assert 10 * SECOND <= profile.next_spike_ns(0) <= profile.next_spike_ns(11 * SECOND)
    wave = load("sine", 'amplitude = 0.5\nperiod = "5s"')
    waves = (Phase("calm", 0, None, stages={"s": wave}),)
    told: Any = wave.whole_profile(attrs.evolve(context, phases=waves))
    assert not isinstance(told, Spiking)
