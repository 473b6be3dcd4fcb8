"""Even spacing: the count never leaves the wanted number by more than one."""

import numpy as np
import pytest

from flux.testing import plan_arrivals, plan_demand, wanted_by
from tests.stages.cases import SHAPERS
from tests.stages.loading import load

SECOND = 10**9
ROUNDING = 1e-6
"""Due times are whole nanoseconds: at 1,001/s times 10 that is 1e-5 arrivals, halved and more."""


@pytest.mark.parametrize("rate", [0.3, 1.75, 77, 999, 1001])
@pytest.mark.parametrize("shaper", SHAPERS)
def test_the_count_is_within_one_of_the_wanted(rate: float, shaper: str) -> None:
    stages = [load("constant", f'rate = "{rate}/s"'), load(*SHAPERS[shaper])]
    demand = plan_demand(stages, 20 * SECOND)
    due_ns = plan_arrivals(stages, 20 * SECOND)["due_ns"]
    wanted = wanted_by(demand, due_ns)
    made = np.arange(1, len(due_ns) + 1)
    assert np.abs(made - wanted).max(initial=0) < 1e-4  # each lies where the wanted number is whole
    ends = wanted_by(demand, demand["end_ns"])
    made_by_then = np.searchsorted(due_ns, demand["end_ns"], side="right")
    assert np.abs(made_by_then - ends).max() <= 1 + ROUNDING


def test_the_first_arrival_is_one_gap_after_the_start() -> None:
    assert plan_arrivals([load("constant", 'rate = "20/s"')], SECOND)["due_ns"][0] == 50_000_000


@pytest.mark.parametrize(("keys", "mean"), [("", 1.0), ('min = "2s"', 2.0), ('max = "500ms"', 0.5)])
def test_bounds_move_the_gap(keys: str, mean: float) -> None:
    stage = load("constant", f'rate = "1/s"\n{keys}')
    due_ns = plan_arrivals([stage], 20 * SECOND)["due_ns"]
    assert stage.mean_gap == mean
    assert set(np.diff(due_ns).tolist()) == {int(mean * SECOND)}
