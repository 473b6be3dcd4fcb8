"""Draws of figures: known laws, and that they come from their seed alone."""

import math

import numpy as np
import pytest

from flux.compare.draws import (
    DRAWS,
    mean_draws,
    quantile_draws,
    rate_draws,
    share_draws,
    stream,
)
from tests.compare.samples import histogram_of


def test_quantile_draws_have_the_law_of_the_bootstrap() -> None:
    # Of 50 values, 1 to 50 ms, drawn again, the 25th smallest is at most the j-th with the chance
    # that at least 25 of 50 draws are among the j smallest: binomial.
    draws = quantile_draws(histogram_of(np.linspace(1e6, 50e6, 50)), 50, stream(1))
    for j in (20, 25, 30):
        chance = sum(
            math.comb(50, i) * (j / 50) ** i * (1 - j / 50) ** (50 - i) for i in range(25, 51)
        )
        # 5 standard deviations of a share of 20,000 draws; a bucket is 1/1024 wide.
        tolerance = 5 * math.sqrt(chance * (1 - chance) / DRAWS)
        assert (draws <= j * 1.001e6).mean() == pytest.approx(chance, abs=tolerance)


def test_quantile_draws_are_those_of_values_drawn_again() -> None:
    values_ns = np.random.default_rng(3).lognormal(17, 1, 400)
    again = np.random.default_rng(4).choice(values_ns, (4000, 400))
    resampled = np.sort(again, axis=1)[:, math.ceil(0.95 * 400) - 1]
    draws = quantile_draws(histogram_of(values_ns), 95, stream(5))
    # The ends of the interval are order statistics of the same 400 values, a few per cent apart.
    assert np.percentile(draws, (2.5, 97.5)) == pytest.approx(
        np.percentile(resampled, (2.5, 97.5)), rel=0.05
    )


def test_mean_draws_vary_by_the_standard_error() -> None:
    values_ns = np.random.default_rng(3).normal(50e6, 5e6, 10_000)
    draws = mean_draws(histogram_of(values_ns), stream(1))
    assert draws.mean() == pytest.approx(values_ns.mean(), rel=1e-4)
    assert draws.std() == pytest.approx(5e6 / 100, rel=0.04)


def test_share_draws_of_no_failure_may_be_above_zero_and_never_below() -> None:
    draws = share_draws(0, 1000, stream(1))
    assert draws.min() >= 0
    assert 1e-3 < np.percentile(draws, 97.5) < 4e-3


def test_rate_draws_vary_by_the_root_of_the_count() -> None:
    draws = rate_draws(400, 10, stream(1))
    assert draws.mean() == pytest.approx(40, rel=0.01)
    assert draws.std() == pytest.approx(2, rel=0.05)


def test_a_stream_is_fixed_by_its_seed_and_names() -> None:
    first, again, other = (stream(1, "buy", one).random(3) for one in ("p99", "p99", "p50"))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
