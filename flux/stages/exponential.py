"""`exponential`: sessions of independent people, one by one: the Poisson process."""

from typing import ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from flux.arrivals import ArrivalGenerator, exponential_clamped_mean


@attrs.frozen(kw_only=True)
class Exponential(ArrivalGenerator):
    """Gaps are exponentially distributed, so that sessions are a Poisson process.

    A gap is -ln(1 - u)/rate, then clamped to `min` and `max`. Clamping puts a lump of probability
    on the bound and moves the mean: clamped to [a, b], in units of 1/rate, it is a + e^(-a) -
    e^(-b). At 1/s clamped to 50 ms and 10 s that is 1.00118 s. Under shaping, unclamped gaps give
    exactly the non-homogeneous Poisson process.
    """

    sample: ClassVar[str] = '[[stage]]\nuse = "exponential"\nrate = "20/s"\n'

    def gaps(self, random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
        """By inversion: random() is in [0, 1), so the logarithm is finite."""
        return -np.log1p(-random.random(count))

    def clamped_mean(self, low: float, high: float) -> float:
        """a + e^(-a) - e^(-b)."""
        return exponential_clamped_mean(low, high)
