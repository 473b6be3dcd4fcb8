"""UF-14, UF-15: base ± a fraction of it."""

import numpy as np
import pytest

from flux.testing import plan_arrivals
from tests.stages.loading import load, problems


@pytest.mark.parametrize("jitter", [0.0, 0.3, 1.0])
def test_gaps_fill_the_mean_plus_and_minus_jitter(jitter: float) -> None:
    stage = load("uniform", f'rate = "1/s"\njitter = {jitter}')
    gaps = np.diff(plan_arrivals([stage], 20_000 * 10**9)["due_ns"]) / 1e9
    # Of 20,000 the extreme ones are within a thousandth of the spread of its ends.
    assert gaps.min() == pytest.approx(1 - jitter, abs=2e-3)
    assert gaps.max() == pytest.approx(1 + jitter, abs=2e-3)
    assert gaps.std() == pytest.approx(jitter / np.sqrt(3), abs=0.01)


def test_jitter_is_a_fraction() -> None:
    assert problems("uniform", 'rate = "1/s"\njitter = 1.5') == [
        "jitter must be at least 0 and at most 1"
    ]
