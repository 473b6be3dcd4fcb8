"""Poisson counts, one by one and in batches."""

import numpy as np
import pytest

from flux.testing import plan_arrivals
from tests.stages.loading import load, problems
from tests.stages.statistic import dispersion, exponential_distance

SECOND = 10**9


@pytest.mark.parametrize("batch", [1, 2, 10])
def test_the_dispersion_index_is_the_batch(batch: int) -> None:
    # 4,000 windows: the relative standard deviation of the index is about √(2/4000) = 0.022, and a
    # little more where windows hold few batches; five are allowed.
    stage = load("poisson", f'rate = "50/s"\nbatch = {batch}')
    due_ns = plan_arrivals([stage], 4000 * SECOND)["due_ns"]
    assert dispersion(due_ns, SECOND, 4000 * SECOND) == pytest.approx(batch, rel=0.11)


@pytest.mark.parametrize("batch", [1, 7, 5000])
def test_a_batch_is_due_at_one_instant_and_the_mean_rate_stays(batch: int) -> None:
    stage = load("poisson", f'rate = "1000/s"\nbatch = {batch}')
    due_ns = plan_arrivals([stage], 1000 * SECOND)["due_ns"]
    assert len(due_ns) % batch == 0
    groups = due_ns.reshape(-1, batch)
    assert (groups == groups[:, :1]).all()
    # A million sessions in n batches: the relative standard deviation is 1/√n; four are allowed.
    assert len(due_ns) == pytest.approx(1e6, rel=4 * np.sqrt(batch / 1e6))


def test_gaps_are_exponential_across_cells() -> None:
    due_ns = plan_arrivals([load("poisson", 'rate = "50/s"')], 2000 * SECOND)["due_ns"]
    assert exponential_distance(np.diff(due_ns, prepend=0) * 50 / 1e9) < 1.95


def test_bounds_apply_between_batches() -> None:
    stage = load("poisson", 'rate = "10/s"\nbatch = 3\nmin = "200ms"')
    due_ns = plan_arrivals([stage], 60 * SECOND)["due_ns"]
    gaps = np.diff(due_ns)
    assert (gaps[(gaps > 1)] >= 200_000_000 - 1).all()
    assert (np.sort(gaps)[: len(gaps) * 2 // 3] == 0).all()


def test_a_batch_has_at_least_one() -> None:
    assert problems("poisson", 'rate = "1/s"\nbatch = 0') == ["batch must be at least 1"]
