"""`constant`: sessions at even spacing."""

from typing import ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from flux.arrivals import ArrivalGenerator


@attrs.frozen(kw_only=True)
class Constant(ArrivalGenerator):
    """Sessions arrive at even spacing: under shaping, never more than one from the wanted number.

    Each gap is exactly 1/rate, the first one included: at 20/s the first session is due at 50 ms.
    `min` and `max` move the gap to the nearer of them.
    """

    sample: ClassVar[str] = '[[stage]]\nuse = "constant"\nrate = "20/s"\n'

    def gaps(self, random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
        """Ones."""
        return np.ones(count)

    def clamped_mean(self, low: float, high: float) -> float:
        """1, or the nearer bound."""
        return min(max(1.0, low), high)
