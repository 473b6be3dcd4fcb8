"""`sine`: a level that swings evenly."""

from typing import Annotated, ClassVar

import attrs
import numpy as np

from flux.config.rules import above, between
from flux.shaping import Factors, Shaper, Times
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Sine(Shaper):
    """The level swings around its mean as a sine.

    The multiplier is 1 + amplitude·sin(2π·(t/period + phase)): at its mean and rising at the start.
    """

    period: Annotated[Duration, above(0)]
    """Time from one crest to the next."""
    amplitude: Annotated[float, between(0, 1)] = 0.5
    """Height of a crest above the mean, as a fraction of it."""
    phase: Annotated[float, between(0, 1)] = 0.0
    """Where the swing begins, in periods: 0.25 begins at a crest, 0.75 in a trough."""

    sample: ClassVar[str] = '[[stage]]\nuse = "sine"\nperiod = "2s"\namplitude = 0.5\n'

    def factor_at(self, time_ns: Times) -> Factors:
        """By the formula above; whole periods are taken off first, so that none of them counts."""
        turns = (time_ns % int(self.period)) / int(self.period) + self.phase
        swing: Factors = 1.0 + self.amplitude * np.sin(2.0 * np.pi * turns)
        return np.maximum(swing, 0.0)
