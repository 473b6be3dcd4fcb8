"""UF-14, UF-16, UF-B07: the Poisson process, and what clamping does to it."""

import numpy as np
import pytest

from flux.stage import random_stream
from flux.testing import plan_arrivals, plan_demand, wanted_by
from tests.stages.loading import load
from tests.stages.statistic import dispersion, exponential_distance

SECOND = 10**9


def test_gaps_are_exponential() -> None:
    gaps = load("exponential", 'rate = "1/s"').gaps(random_stream(7, "e"), 100_000)
    assert exponential_distance(gaps) < 1.95


def test_clamping_moves_the_mean_as_published() -> None:
    stage = load("exponential", 'every = "1s"\nmin = "50ms"\nmax = "10s"')
    assert stage.mean_gap == pytest.approx(1.00118, abs=5e-6)
    gaps = next(stage.gap_blocks(random_stream(7, "e")))
    # 4.88 % of 4,096 gaps are expected at the lower bound; the standard deviation is 0.34 %.
    assert np.mean(gaps == 0.05) == pytest.approx(0.0488, abs=0.014)


def test_arrivals_rescaled_by_the_demand_are_a_unit_poisson_process() -> None:
    # Time rescaling: under any shape, Λ of the due times has exponential gaps of mean 1.
    stages = [
        load("exponential", 'rate = "400/s"'),
        load("ramp", 'up = "20s"\ndown = "20s"'),
        load("noise", "amplitude = 0.5"),
        load("spikes", 'every = "5s"\nfactor = 4\nramp_up = "500ms"\nramp_down = "2s"'),
    ]
    demand = plan_demand(stages, 100 * SECOND)
    due_ns = plan_arrivals(stages, 100 * SECOND)["due_ns"]
    rescaled = wanted_by(demand, due_ns)
    assert len(due_ns) > 30_000
    assert exponential_distance(np.diff(rescaled, prepend=0.0)) < 1.95


def test_counts_are_poisson() -> None:
    # 2,000 windows: the standard deviation of the index is √(2/2000) = 0.032; four are allowed.
    due_ns = plan_arrivals([load("exponential", 'rate = "50/s"')], 2000 * SECOND)["due_ns"]
    assert dispersion(due_ns, SECOND, 2000 * SECOND) == pytest.approx(1.0, abs=0.13)
