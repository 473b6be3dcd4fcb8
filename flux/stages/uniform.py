"""`uniform`: sessions whose gaps vary evenly around their mean."""

from typing import Annotated, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from flux.arrivals import ArrivalGenerator
from flux.config.rules import between


@attrs.frozen(kw_only=True)
class Uniform(ArrivalGenerator):
    """Gaps are spread evenly over the mean gap ± `jitter`.

    A gap is (1 + (2u - 1)·jitter)/rate with u uniform in [0, 1), then clamped to `min` and `max`.
    Clamped to [a, b], in units of 1/rate, its mean is a + H(b) - H(a), where H(x) = E[min(gap, x)]
    is x up to 1 - jitter, 1 from 1 + jitter on, and x - (x - 1 + jitter)²/(4·jitter) between.
    """

    jitter: Annotated[float, between(0, 1)] = 0.3
    """Half the width of the spread, as a fraction of the mean gap: 0.3 is ±30 %."""

    sample: ClassVar[str] = '[[stage]]\nuse = "uniform"\nrate = "20/s"\njitter = 0.3\n'

    def gaps(self, random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
        """1 ± jitter."""
        return 1.0 + (2.0 * random.random(count) - 1.0) * self.jitter

    def clamped_mean(self, low: float, high: float) -> float:
        """By the formula above."""
        return low + self._mean_up_to(high) - self._mean_up_to(low)

    def _mean_up_to(self, x: float) -> float:
        """E[min(gap, x)]: the integral of P(gap > x) from 0 to x."""
        if x <= 1.0 - self.jitter:
            return x
        if x >= 1.0 + self.jitter:
            return 1.0
        return x - (x - 1.0 + self.jitter) ** 2 / (4.0 * self.jitter)
