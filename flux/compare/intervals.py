"""Confidence intervals of the difference between two figures. Pure.

A relative difference d is a ratio less 1, and a ratio of times or rates is above 0. So where such
an interval is made wider, that is done to ln(1 + d), in which "twice as long" and "half as long"
are equally far away: however wide it gets, nothing falls by more than 100 %.
"""

import math

import attrs
import numpy as np

from flux.compare.draws import Draws

_FARTHEST = math.log(1e6)
"""The logarithm of a ratio that says no more than that nothing is known."""

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
    is_relative: bool = False
    """Whether it is of a ratio less 1."""

    @property
    def excludes_zero(self) -> bool:
        """Whether chance alone would hardly make such a difference."""
        return self.low > 0 or self.high < 0

    @property
    def half_width(self) -> float:
        """Half of its length: of one of a ratio, that of the logarithm."""
        if self.is_relative:
            low, high = (math.log1p(end) if end > -1 else -math.inf for end in self._ends)
            return (high - low) / 2
        return (self.high - self.low) / 2

    def widened(self, factor: float) -> "Interval":
        """The same with both ends so many times as far away; nothing changes below 1."""
        factor = max(1.0, factor)
        if self.is_relative:
            low, high = (_farther_ratio(self.difference, end, factor) for end in self._ends)
        else:  # shares are from 0 to 1, so that they differ by no more than that
            low, high = (
                min(1.0, max(-1.0, self.difference + factor * (end - self.difference)))
                for end in self._ends
            )
        return attrs.evolve(self, low=low, high=high)

    @property
    def _ends(self) -> tuple[float, float]:
        return self.low, self.high


def _farther_ratio(difference: float, end: float, factor: float) -> float:
    """1 + d and 1 + e are ratios; the new end is (1 + d) · ((1 + e) / (1 + d))^factor - 1."""
    if min(difference, end) <= -1:  # a ratio of 0 is as far away as can be
        return end
    middle = math.log1p(difference)
    return math.expm1(min(_FARTHEST, middle + factor * (math.log1p(end) - middle)))


def relative_interval(ours: float, theirs: float, our: Draws, their: Draws) -> Interval | None:
    """Of theirs / ours - 1; None if ours is not above 0.

    Args:
        ours: the baseline's figure.
        theirs: the other's, 0 or more.
        our: (n,) draws of the baseline's figure.
        their: (n,) draws of the other's, independent of those.
    """
    if ours <= 0 or (our <= 0).any():
        return None
    interval = _interval(theirs / ours - 1, np.maximum(their / our, 0.0) - 1)
    return attrs.evolve(interval, is_relative=True)


def plain_interval(ours: float, theirs: float, our: Draws, their: Draws) -> Interval:
    """Of theirs - ours."""
    return _interval(theirs - ours, their - our)


def _interval(difference: float, draws: Draws) -> Interval:
    beside = (100 - LEVEL_PERCENT) / 2
    low, high = np.percentile(draws, (beside, 100 - beside)).tolist()
    # A figure on the edge of a bucket may be outside of all draws: an interval has its middle.
    return Interval(difference, min(low, difference), max(high, difference))
