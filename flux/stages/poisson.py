"""`poisson`: Poisson counts, one by one or in batches."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from flux.arrivals import GAPS_PER_BLOCK, ArrivalGenerator, exponential_clamped_mean
from flux.config.rules import at_least


@attrs.frozen(kw_only=True)
class Poisson(ArrivalGenerator):
    """The number of sessions in any span is a Poisson number; with `batch`, they come in groups.

    The time in which one batch is wanted is a cell; each cell gets a Poisson number of batches of
    mean 1, at places spread evenly over it. With a batch of one that is the process `exponential`
    makes from gaps. All sessions of a batch are due at the same instant; the mean rate stays the
    same, and the variance of a count is `batch` times its mean. `min` and `max` bound the gaps
    between batches; a batch is never torn apart. For gaps between batches clamped to [a, b], in
    units of batch/rate, the mean gap between sessions is (a + e^(-a) - e^(-b))/rate.

    Source: given their number, the points of a Poisson process are independent and uniform; S. M.
    Ross, Stochastic Processes (1996), theorem 2.3.1.
    """

    batch: Annotated[int, at_least(1)] = 1
    """Sessions that arrive together."""

    sample: ClassVar[str] = '[[stage]]\nuse = "poisson"\nrate = "20/s"\nbatch = 5\n'

    def gap_blocks(self, random: np.random.Generator) -> Iterator[npt.NDArray[np.float64]]:
        """Endless blocks: the gap before each batch, then zeros for the rest of it."""
        low, high = self.gap_bounds
        cells = max(1, GAPS_PER_BLOCK // self.batch)
        last = 0.0  # the last batch, counted in cells from the start of this round
        while True:
            cell = np.repeat(np.arange(cells), random.poisson(1.0, cells))
            points = np.sort(cell + random.random(len(cell)))
            if len(points):
                gaps = np.diff(points, prepend=last) * self.batch
                last = float(points[-1])
                block = np.zeros((len(gaps), self.batch))
                block[:, 0] = np.clip(gaps, low, high)
                yield block.ravel()
            last -= cells

    def clamped_mean(self, low: float, high: float) -> float:
        """As of `exponential`, with the batch as the unit."""
        return exponential_clamped_mean(low / self.batch, high / self.batch)
