"""Confidence intervals of the difference between two figures. Pure."""

import attrs
import numpy as np

from flux.compare.draws import Draws

LEVEL_PERCENT = 95
"""Of a hundred such intervals that many hold the true difference."""


@attrs.frozen
class Interval:
    """A difference, and from where to where it may be, given how much figures vary by chance.

    It is a share of the baseline's figure (0.05: 5 % more), or of shares their plain difference.
    """

    difference: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether chance alone would hardly make such a difference."""
        return self.low > 0 or self.high < 0

    @property
    def half_width(self) -> float:
        """Half of its length."""
        return (self.high - self.low) / 2

    def widened(self, factor: float) -> "Interval":
        """The same with both ends so many times as far away; nothing changes below 1."""
        factor = max(1.0, factor)
        return Interval(
            self.difference,
            self.difference + factor * (self.low - self.difference),
            self.difference + factor * (self.high - self.difference),
        )


def relative_interval(ours: float, theirs: float, our: Draws, their: Draws) -> Interval | None:
    """Of theirs / ours - 1; None if ours is not above 0.

    Args:
        ours: the baseline's figure.
        theirs: the other's.
        our: (n,) draws of the baseline's figure.
        their: (n,) draws of the other's, independent of those.
    """
    if ours <= 0 or (our <= 0).any():
        return None
    return _interval(theirs / ours - 1, their / our - 1)


def plain_interval(ours: float, theirs: float, our: Draws, their: Draws) -> Interval:
    """Of theirs - ours."""
    return _interval(theirs - ours, their - our)


def _interval(difference: float, draws: Draws) -> Interval:
    beside = (100 - LEVEL_PERCENT) / 2
    low, high = np.percentile(draws, (beside, 100 - beside)).tolist()
    # A figure on the edge of a bucket may be outside of all draws: an interval has its middle.
    return Interval(difference, min(low, difference), max(high, difference))
