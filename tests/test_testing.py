"""Contexts and demand for tests of stages."""

import numpy as np
import pytest

from flux.schemas import DEMAND
from flux.testing import plan_arrivals, plan_contexts, plan_demand, wanted_by
from tests.stages.loading import load

SECOND = 10**9


def test_contexts_name_the_stages_and_their_source() -> None:
    stages = [load("constant", 'rate = "1/s"'), *[load("noise")] * 2]
    contexts = plan_contexts(stages, SECOND)
    assert [one.stage for one in contexts] == ["constant", "noise", "noise2"]
    assert {one.source_name for one in contexts} == {"constant"}
    assert all(one.source is stages[0] for one in contexts)
    assert [name for name, _ in contexts[0].shapers] == ["noise", "noise2"]


def test_demand_covers_the_whole_duration_in_ticks() -> None:
    rows = plan_demand([load("constant", 'rate = "3/s"')], 1_050_000_000, tick_ns=SECOND // 10)
    assert rows["start_ns"].tolist() == [n * SECOND // 10 for n in range(11)]
    assert rows["end_ns"][-1] == 1_050_000_000


def test_count_bounds_the_arrivals() -> None:
    assert len(plan_arrivals([load("constant", 'rate = "9/s"')], SECOND, count=4)) == 4


def test_wanted_integrates_the_demand() -> None:
    rows = DEMAND.rows([(0, SECOND, 0.0, 10.0), (SECOND, 3 * SECOND, 4.0, 4.0)])
    times = np.array([0, SECOND // 2, SECOND, 2 * SECOND, 3 * SECOND])
    assert wanted_by(rows, times).tolist() == pytest.approx([0, 1.25, 5, 9, 13])
