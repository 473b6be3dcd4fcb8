"""What a figure might have been, had a run been made again: many draws of it. Pure.

Quantiles. In the bootstrap a run of n values is made again by drawing n of them with replacement,
and the k-th smallest is taken. Such a value is F⁻¹(U), with F the distribution function of the n
values and U uniform; F⁻¹ never falls, so the k-th smallest of n of them is F⁻¹ of the k-th smallest
of n uniforms, and that has the distribution Beta(k, n - k + 1). So a draw is one Beta and one look
into the histogram: the law of the bootstrap itself, with no values drawn again, and as quick for a
billion requests as for a hundred.

Means are drawn from the normal distribution of the central limit theorem, shares from a Beta and
rates from a Gamma: the posteriors under Jeffreys' prior, which need no luck at 0.

All draws come from seeds of their own, so the same files give the same intervals on any machine.

Source:
    B. Efron, Bootstrap methods: another look at the jackknife, Ann. Statist. 7 (1979), section 3:
    the law of the median. A. D. Hutson and M. D. Ernst, The exact bootstrap mean and variance of an
    L-estimator, J. R. Statist. Soc. B 62 (2000): of any quantile. L. D. Brown, T. T. Cai and
    A. DasGupta, Interval estimation for a binomial proportion, Statist. Sci. 16 (2001): Jeffreys'.
"""

import math
import zlib

import numpy as np
import numpy.typing as npt

from flux.histogram import Histogram

DRAWS = 20_000
"""How many draws: their 2.5th percentile is then the 500th, and moves by a few per cent of the
width of an interval at the most from one seed to another."""

Draws = npt.NDArray[np.float64]


def stream(seed: int, *names: str) -> np.random.Generator:
    """A random stream of its own for each seed and names."""
    key = tuple(zlib.crc32(name.encode()) for name in names)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def quantile_draws(histogram: Histogram, percent: float, random: np.random.Generator) -> Draws:
    """Percentiles of runs with as many values, nanoseconds; at least one value must be there."""
    count = histogram.count
    rank = min(count, max(1, math.ceil(percent * count / 100 * (1 - 2.0**-51))))
    shares = random.beta(rank, count - rank + 1, DRAWS)
    return histogram.percentiles(100 * shares).astype(np.float64)


def mean_draws(histogram: Histogram, random: np.random.Generator) -> Draws:
    """Means of runs with as many values, nanoseconds; at least two values must be there."""
    deviation_ns = histogram.standard_deviation_ns() / math.sqrt(histogram.count - 1)
    return histogram.mean_ns + deviation_ns * random.standard_normal(DRAWS)


def share_draws(part: int, whole: int, random: np.random.Generator) -> Draws:
    """Shares of which one was part / whole, 0 to 1."""
    return random.beta(part + 0.5, whole - part + 0.5, DRAWS)


def rate_draws(count: int, seconds: float, random: np.random.Generator) -> Draws:
    """Rates per second of which one gave that count, as of a Poisson process."""
    return random.gamma(count + 0.5, 1 / seconds, DRAWS)
