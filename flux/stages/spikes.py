"""`spikes`: bursts at random times."""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

import attrs
import numpy as np

from flux.config.problems import Violation
from flux.config.rules import above, at_least
from flux.schemas import Rows
from flux.shaping import Factors, Profile, Shaper, Times, middle, multiplied
from flux.stage import Context
from flux.units import Duration, Rate

PIECES_OF_A_FALL = 16
"""A fall is cut at least this often, so that its area is right however short it is."""

_FAR_NS = 2**62
_LEFT = math.exp(-3.0)
"""What an exponential fall by three time constants leaves over."""


@attrs.frozen(kw_only=True)
class Spikes(Shaper):
    """At random times the level rises in a straight line and falls back exponentially.

    From the end of one spike to the start of the next passes a gap that is exponential with rate λ,
    conditioned to lie in [min_interval, max_interval]: with L = max_interval - min_interval it is
    min_interval - ln(1 - u·(1 - e^(-λL)))/λ, of mean min_interval + 1/λ - L·e^(-λL)/(1 - e^(-λL)).
    No gap is more likely than its neighbours, whatever the bounds. The first gap counts from 0.
    With p from 0 to 1, the rise is 1 + (f - 1)·p and the fall 1 + (f - 1)·(e^(-3p) - e^(-3))/(1 -
    e^(-3)), which ends at 1 without a jump. Spikes never overlap. Above the usual level lies the
    area (f - 1)·(ramp_up/2 + 0.28094·ramp_down).
    """

    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("rate", "every"),)

    rate: Annotated[Rate, above(0)] | None = None
    """λ: how often a spike begins per time of no spike, as in "30/h", before the two bounds."""
    every: Annotated[Duration, above(0)] | None = None
    """1/λ: the other way to say `rate`."""
    factor: Annotated[float, at_least(0)] = 3.0
    """Multiplier of the level at the top; below 1 it makes a dip."""
    min_interval: Duration | None = None
    """Shortest gap from the end of a spike to the next; no bound when absent."""
    max_interval: Duration | None = None
    """Longest gap from the end of a spike to the next; no bound when absent."""
    ramp_up: Duration = Duration(5_000_000_000)
    """Time from the usual level to the top; "0s" jumps."""
    ramp_down: Duration = Duration(10_000_000_000)
    """Time from the top to the usual level; "0s" jumps."""

    sample: ClassVar[str] = (
        '[[stage]]\nuse = "spikes"\nevery = "1s"\nfactor = 3\n'
        'min_interval = "500ms"\nmax_interval = "3s"\nramp_up = "200ms"\nramp_down = "600ms"\n'
    )

    def check(self) -> Iterator[Violation]:
        """Rules about fields taken together."""
        if (self.rate is None) == (self.every is None):
            yield Violation(
                "needs either rate or every", hint='rate = "30/h" says the same as every = "2m"'
            )
        low, high = self.min_interval, self.max_interval
        if low is not None and high is not None and low > high:
            yield Violation("must not be longer than max_interval", key="min_interval")
        if not self.ramp_up and not self.ramp_down:
            yield Violation("needs ramp_up or ramp_down", hint='ramp_up = "1s"')

    @property
    def rate_per_s(self) -> float:
        """λ."""
        return 1e9 / self.every if self.every is not None else float(self.rate or 0)

    @property
    def mean_interval(self) -> float:
        """Seconds from the end of a spike to the next, on average."""
        low_s, length_s = self._bounds_s()
        scaled = self.rate_per_s * length_s
        if scaled == math.inf:
            return low_s + 1.0 / self.rate_per_s
        # The formula above; for short L its two large terms cancel, and the mean is the middle.
        if scaled < 1e-5:
            return low_s + length_s / 2.0
        return low_s + 1.0 / self.rate_per_s - length_s * math.exp(-scaled) / -math.expm1(-scaled)

    def interval_ns(self, u: float) -> int:
        """The gap for a uniform number in [0, 1)."""
        low_s, length_s = self._bounds_s()
        scaled = self.rate_per_s * length_s
        gap_s = -math.log1p(u * math.expm1(-scaled)) / self.rate_per_s
        return round((low_s + min(gap_s, length_s)) * 1e9)

    def profile(self, context: Context) -> Profile:
        """The spikes of one run."""
        return SpikesProfile(self, context.random("spikes"))

    def _bounds_s(self) -> tuple[float, float]:
        """The shortest gap, and how much longer the longest is."""
        low_s = (self.min_interval or 0) / 1e9
        high_s = math.inf if self.max_interval is None else self.max_interval / 1e9
        return low_s, high_s - low_s


class SpikesProfile:
    """The spikes of one run, drawn as time gets to them."""

    def __init__(self, spikes: Spikes, random: np.random.Generator) -> None:
        self._spikes = spikes
        self._random = random
        self._end_ns = 0  # of the last spike drawn
        self._list: list[int] = []
        self._starts_ns = np.empty(0, np.int64)

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """Start, top and end of each spike, and some times on the way down."""
        up_ns, down_ns = int(self._spikes.ramp_up), int(self._spikes.ramp_down)
        starts_ns = self._starts_before(end_ns)
        starts_ns = starts_ns[starts_ns + up_ns + down_ns >= start_ns]
        down = [up_ns + down_ns * n // PIECES_OF_A_FALL for n in range(PIECES_OF_A_FALL + 1)]
        cuts: Times = (starts_ns[:, None] + np.array([0, *down])[None, :]).ravel()
        return cuts[(cuts >= start_ns) & (cuts <= end_ns)]

    def shape(self, demand: Rows) -> Rows:
        """New rows, each by the side of a jump or bend that its middle lies on."""
        if not len(demand):
            return demand
        inside = middle(demand)
        starts_ns = np.append(self._starts_before(int(demand["end_ns"][-1])), _FAR_NS)
        spike = np.searchsorted(starts_ns, inside, side="right") - 1
        start_ns = np.where(spike < 0, -_FAR_NS, starts_ns[spike])
        factors = (self._factor(demand[c] - start_ns, inside - start_ns) for c in _ENDS)
        return multiplied(demand, *factors)

    def next_spike_ns(self, now_ns: int) -> int:
        """When the next spike starts."""
        starts_ns = self._starts_before(now_ns)
        if starts_ns[-1] <= now_ns:  # that one is on: the next is not drawn yet
            starts_ns = self._starts_before(self._end_ns)
        return int(starts_ns[np.searchsorted(starts_ns, now_ns, side="right")])

    def is_spiking(self, now_ns: int) -> bool:
        """Whether a spike is on."""
        starts_ns = self._starts_before(now_ns)
        last = int(np.searchsorted(starts_ns, now_ns, side="right")) - 1
        length_ns = int(self._spikes.ramp_up + self._spikes.ramp_down)
        return last >= 0 and now_ns < int(starts_ns[last]) + length_ns

    def _factor(self, since_ns: Times, inside_ns: Times) -> Factors:
        """Multiplier at these times since the start of a spike, by the phase of the second."""
        up_ns, down_ns = int(self._spikes.ramp_up), int(self._spikes.ramp_down)
        rise = np.clip(since_ns / max(up_ns, 1), 0.0, 1.0)
        done = np.clip((since_ns - up_ns) / max(down_ns, 1), 0.0, 1.0)
        fall = (np.exp(-3.0 * done) - _LEFT) / (1.0 - _LEFT)
        height = np.where(inside_ns < up_ns, rise, fall)
        height[inside_ns >= up_ns + down_ns] = 0.0
        return 1.0 + (self._spikes.factor - 1.0) * height

    def _starts_before(self, time_ns: int) -> Times:
        """Starts of all spikes up to that time, and perhaps of some later ones."""
        length_ns = self._spikes.ramp_up + self._spikes.ramp_down
        known = len(self._list)
        while self._end_ns <= time_ns:
            gap_ns = self._spikes.interval_ns(float(self._random.random()))
            start_ns = min(self._end_ns + gap_ns, _FAR_NS)
            self._list.append(start_ns)
            self._end_ns = start_ns + length_ns
        if len(self._list) > known:
            self._starts_ns = np.array(self._list, np.int64)
        return self._starts_ns


_ENDS = ("start_ns", "end_ns")
