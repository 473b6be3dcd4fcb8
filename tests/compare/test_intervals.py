"""Intervals: their ends, and how often they hold the truth."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.compare.comparison import compare
from flux.compare.draws import quantile_draws, stream
from flux.compare.intervals import Interval, plain_interval, relative_interval
from tests.compare.samples import dependent_times, histogram_of, recorded, summary_of


def test_a_relative_interval_is_of_the_ratio() -> None:
    ours, theirs = np.full(100, 20.0), np.linspace(21.0, 23.0, 100)
    interval = relative_interval(20.0, 22.0, ours, theirs)
    assert interval is not None
    assert interval.difference == pytest.approx(0.1)
    assert (interval.low, interval.high) == pytest.approx((0.0525, 0.1475))
    assert interval.excludes_zero


def test_a_plain_interval_is_of_the_difference() -> None:
    interval = plain_interval(0.0, 0.02, np.zeros(100), np.linspace(0.0, 0.04, 100))
    assert (interval.low, interval.high) == pytest.approx((0.001, 0.039))


def test_nothing_is_a_share_of_zero() -> None:
    assert relative_interval(0.0, 5.0, np.zeros(10), np.ones(10)) is None


_PARTS = (st.floats(0.001, 1), st.floats(0.001, 1), st.floats(1, 10), st.floats(0, 5))


@given(*_PARTS)
def test_widening_never_makes_an_interval_shorter_or_impossible(
    middle: float, down: float, up: float, factor: float
) -> None:
    """Of a ratio, with ends so many times as small and as large."""
    interval = Interval(middle - 1, middle * down - 1, middle * up - 1, is_relative=True)
    wide = interval.widened(factor)
    assert -1 <= wide.low <= interval.low + 1e-12
    assert wide.high >= interval.high - 1e-12
    assert wide.excludes_zero <= interval.excludes_zero
    factor = max(1.0, factor)
    assert 1 + wide.low == pytest.approx(middle * down**factor, abs=1e-12)
    assert 1 + wide.high == pytest.approx(middle * up**factor)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 5))
def test_shares_never_differ_by_more_than_all(
    middle: float, below: float, above: float, factor: float
) -> None:
    interval = Interval(middle, max(-1, middle - below), min(1, middle + above))
    wide = interval.widened(factor)
    assert -1 <= wide.low <= interval.low + 1e-12
    assert 1 >= wide.high >= interval.high - 1e-12


def test_draws_below_zero_are_no_ratio() -> None:
    """Means are drawn from a normal distribution, which has no end."""
    interval = relative_interval(20.0, 1.0, np.full(100, 20.0), np.linspace(-9.0, 11.0, 100))
    assert interval is not None
    assert interval.low == interval.widened(3).low == -1
    assert interval.widened(3).high > interval.high


@pytest.mark.parametrize("percent", [50.0, 95.0, 99.0])
def test_the_interval_of_a_quantile_holds_the_truth_in_95_of_100_runs(percent: float) -> None:
    random = np.random.default_rng(11)
    held = 0
    for number in range(300):
        draws: list[Any] = []
        values: list[int] = []
        for side in ("ours", "theirs"):
            histogram = histogram_of(20e6 * np.exp(0.3 * random.standard_normal(2000)))
            draws.append(quantile_draws(histogram, percent, stream(number, side)))
            values.append(histogram.percentile(percent))
        interval = relative_interval(values[0], values[1], draws[0], draws[1])
        assert interval is not None
        held += interval.low <= 0 <= interval.high
    # 285 of 300 are expected, with a standard deviation of 3.8; four of them either way. With
    # these seeds it is the same number each time.
    assert 270 <= held <= 300


@pytest.mark.slow
def test_with_dependent_requests_batch_means_keep_the_interval_honest() -> None:
    random = np.random.default_rng(12)
    narrow = wide = 0
    for number in range(60):
        # A memory of 0.99 over 200 requests a second: what happens lasts for half a second.
        ours, theirs = (
            recorded(name, summary_of(dependent_times(8000, 0.99, random))) for name in "ab"
        )
        comparison = compare(ours, theirs, seed=number)
        found = comparison.find("buy", "response", "p50")
        assert found is not None
        assert found.interval is not None
        factor = comparison.factors["p50"]
        interval = found.interval
        wide += interval.low <= 0 <= interval.high
        narrow += abs(interval.difference) <= interval.half_width / factor
    # Independent requests would vary by a fourteenth of this.
    assert narrow < 25
    assert wide >= 51  # 57 are expected, with a standard deviation of 1.7
