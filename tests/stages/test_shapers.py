"""Laws that every shaper obeys."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.arrivals import demand
from flux.schemas import Rows
from flux.shaping import Shaper
from flux.testing import plan_contexts, plan_demand
from tests.stages.cases import SHAPERS
from tests.stages.loading import load, load_sample

SECOND = 10**9

PAIRS = [
    pair
    for pair in itertools.combinations([name for name in SHAPERS if name != "limit"], 2)
    if SHAPERS[pair[0]][0] != SHAPERS[pair[1]][0]
]
"""Stages of one class trade names, and so random streams, when they trade places."""


@pytest.mark.parametrize("use", sorted({use for use, _ in SHAPERS.values()}))
def test_samples_load(use: str) -> None:
    assert isinstance(load_sample(use), Shaper)


@pytest.mark.parametrize("name", SHAPERS)
def test_levels_are_never_negative(name: str) -> None:
    rows = _shaped(name)
    assert rows["level"].min() >= 0
    assert rows["end_level"].min() >= 0


@pytest.mark.parametrize("name", SHAPERS)
def test_times_are_left_alone_and_without_gaps(name: str) -> None:
    rows = _shaped(name)
    assert rows["start_ns"][0] == 0
    assert rows["end_ns"][-1] == 60 * SECOND
    np.testing.assert_array_equal(rows["start_ns"][1:], rows["end_ns"][:-1])


@pytest.mark.parametrize("name", SHAPERS)
def test_a_level_of_zero_stays_zero(name: str) -> None:
    shaper = load(*SHAPERS[name])
    rows = plan_demand([load("constant", 'rate = "0/s"'), shaper], 20 * SECOND)
    assert not rows["level"].any()
    assert not rows["end_level"].any()


@pytest.mark.parametrize("name", SHAPERS)
def test_a_stage_runs_twice_alike(name: str) -> None:
    np.testing.assert_array_equal(_shaped(name), _shaped(name))


@pytest.mark.parametrize("name", SHAPERS)
@given(cuts=st.lists(st.integers(0, 700), max_size=12))
@settings(max_examples=20)
def test_the_result_does_not_depend_on_batches(name: str, cuts: list[int]) -> None:
    source, shaper = load("constant", 'rate = "300/s"'), load(*SHAPERS[name])
    context = plan_contexts([source, shaper], 60 * SECOND)[1]
    rows = _rows_of(source, shaper)
    whole = shaper.profile(context).shape(rows)
    profile = shaper.profile(context)
    edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [profile.shape(rows[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", SHAPERS)
def test_shaped_rows_are_new_and_read_only(name: str) -> None:
    source, shaper = load("constant", 'rate = "300/s"'), load(*SHAPERS[name])
    rows = _rows_of(source, shaper)
    before = rows.copy()
    shaped = shaper.profile(plan_contexts([source, shaper], 60 * SECOND)[1]).shape(rows)
    assert not shaped.flags.writeable
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_multipliers_commute(pair: tuple[str, str]) -> None:
    source = load("constant", 'rate = "300/s"')
    one, two = (load(*SHAPERS[name]) for name in pair)
    there = plan_demand([source, one, two], 20 * SECOND)
    back = plan_demand([source, two, one], 20 * SECOND)
    for column in ("start_ns", "end_ns", "level", "end_level"):
        np.testing.assert_allclose(there[column], back[column], rtol=1e-12)


@pytest.mark.parametrize("name", SHAPERS)
def test_the_level_jumps_only_at_a_cut(name: str) -> None:
    # Between two rows the level is the same on both sides, unless the profile said there is a cut.
    source, shaper = load("constant", 'rate = "300/s"'), load(*SHAPERS[name])
    rows = _shaped(name)
    profile = shaper.profile(plan_contexts([source, shaper], 60 * SECOND)[1])
    cuts = set(profile.cuts(0, 60 * SECOND).tolist())
    apart = np.abs(rows["level"][1:] - rows["end_level"][:-1]) > 1e-9
    assert set(rows["start_ns"][1:][apart].tolist()) <= cuts


@pytest.mark.parametrize("name", ["noise", "fractal noise", "spikes"])
def test_random_shapers_differ_by_seed_and_by_name(name: str) -> None:
    stages = [load("constant", 'rate = "300/s"'), load(*SHAPERS[name])]
    seventh = plan_demand(stages, 60 * SECOND, seed=7)["level"]
    eighth = plan_demand(stages, 60 * SECOND, seed=8)["level"]
    assert seventh.tolist() != eighth.tolist()
    squared = plan_demand([*stages, stages[1]], 60 * SECOND)["level"]
    assert not np.allclose(sorted(squared)[-1], seventh.max() ** 2 / 300)


@pytest.mark.parametrize("name", [name for name in SHAPERS if name != "noise"])
@pytest.mark.parametrize("tick_ms", [10, 37, 1000])
def test_the_area_hardly_depends_on_the_tick(name: str, tick_ms: int) -> None:
    # Straight ticks in place of a curve: the worst here is a sine of 3 s in ticks of 1 s.
    tolerance = 0.12 if tick_ms == 1000 else 2e-3
    assert _area(name, tick_ms) == pytest.approx(_area(name, 1), rel=tolerance)


def _area(name: str, tick_ms: int) -> float:
    rows = _shaped(name, tick_ns=tick_ms * 10**6, duration_ns=20 * SECOND)
    seconds = (rows["end_ns"] - rows["start_ns"]) / 1e9
    return float(((rows["level"] + rows["end_level"]) / 2 * seconds).sum())


def _shaped(name: str, duration_ns: int = 60 * SECOND, **context: Any) -> Rows:
    stages = [load("constant", 'rate = "300/s"'), load(*SHAPERS[name])]
    return plan_demand(stages, duration_ns, **context)


def _rows_of(source: Any, shaper: Any) -> Rows:
    """The source's rows, cut where the shaper wants them cut."""
    context = plan_contexts([source, shaper], 60 * SECOND)[0]
    return np.concatenate(list(demand(context, source.rate_per_s, None)))
