"""`noise`: small irregular movements of the level."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import attrs
import numpy as np
import numpy.typing as npt

from flux.config.problems import Violation
from flux.config.rules import above, between
from flux.randomness import uniform_array
from flux.schemas import Rows
from flux.shaping import NO_CUTS, Factors, Profile, Shaper, Times, multiplied
from flux.stage import Context
from flux.units import Duration

STIFFNESS = 0.1
"""k of the spring, per tick squared."""
DAMPING = 0.3
"""Part of the velocity that a tick leaves."""
NEW_TARGET = 0.1
"""Probability that the spring is moved in a tick."""
STEPS_PER_BLOCK = 4096
"""Ticks of the spring that are computed at once."""

PERIOD_NS = 60_000_000_000
OCTAVES = 3


@attrs.frozen(kw_only=True)
class Noise(Shaper):
    """The level wanders around its mean: the multiplier is 1 + x with |x| at most `amplitude`.

    `spring` is a mass on a damped spring. Each tick its target moves with probability 0.1, to a
    place spread evenly over ±amplitude; then v = 0.3·v + 0.1·(target - x) and x = x + v. It starts
    at rest at 0, has a standard deviation of 0.45·amplitude and follows a new target to 79 % in 10
    ticks. Only the ticks of the run step it, so watching never changes it.

    `fractal` is value noise: random heights at even distances, joined smoothly, summed over
    `octaves`, each of half the period and half the height of the one before. It depends on time
    and not on ticks.

    Between ticks either is a straight line.

    Source: for the smooth joint 6s⁵ - 15s⁴ + 10s³, K. Perlin, Improving Noise, SIGGRAPH 2002.
    """

    amplitude: Annotated[float, between(0, 1)] = 0.1
    """Largest deviation, as a fraction of the level."""
    kind: Literal["spring", "fractal"] = "spring"
    """How it moves."""
    period: Annotated[Duration, above(0)] | None = None
    """Of `fractal`: distance between two heights of the first octave; "1m" when absent."""
    octaves: Annotated[int, between(1, 16)] | None = None
    """Of `fractal`: how many sizes of wave there are; 3 when absent."""

    sample: ClassVar[str] = '[[stage]]\nuse = "noise"\namplitude = 0.15\n'

    def check(self) -> Iterator[Violation]:
        """Each kind has its keys."""
        for key in ("period", "octaves"):
            if self.kind == "spring" and getattr(self, key) is not None:
                yield Violation("means nothing for kind 'spring'", key=key)

    def profile(self, context: Context) -> Profile:
        """The noise of one run."""
        random = context.random("noise")
        if self.kind == "spring":
            return SpringProfile(self.amplitude, context.run.tick_ns, random)
        return FractalProfile(
            amplitude=self.amplitude,
            period_ns=self.period or PERIOD_NS,
            octaves=self.octaves or OCTAVES,
            seed=int(random.integers(2**63)),
        )


class SpringProfile:
    """The spring's place at every tick, computed as time gets there; a line in between."""

    def __init__(self, amplitude: float, tick_ns: int, random: np.random.Generator) -> None:
        self._amplitude = amplitude
        self._tick_ns = tick_ns
        self._random = random
        self._first_tick = 0
        self._places = np.zeros(1)  # at first_tick and the ticks after it, for an amplitude of 1
        self._place = self._velocity = self._target = 0.0  # at the last of them

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """None: the source cuts at every tick."""
        return NO_CUTS

    def shape(self, demand: Rows) -> Rows:
        """New rows with both levels multiplied by the place there."""
        if not len(demand):
            return demand
        self._move_to(int(demand["start_ns"][0]), int(demand["end_ns"][-1]))
        return multiplied(demand, self._factor(demand["start_ns"]), self._factor(demand["end_ns"]))

    def _factor(self, time_ns: Times) -> Factors:
        tick, into_ns = np.divmod(time_ns, self._tick_ns)
        index = tick - self._first_tick
        here, there = self._places[index], self._places[index + 1]
        place = here + (there - here) * (into_ns / self._tick_ns)
        return np.asarray(np.maximum(1.0 + self._amplitude * place, 0.0))

    def _move_to(self, start_ns: int, end_ns: int) -> None:
        """Forget the ticks before the first time, and know those to beyond the last."""
        passed = min(start_ns // self._tick_ns - self._first_tick, len(self._places) - 1)
        blocks = [self._places[max(passed, 0) :]]
        self._first_tick += max(passed, 0)
        known = self._first_tick + len(blocks[0])
        while known <= end_ns // self._tick_ns + 1:
            blocks.append(self._next_places())
            known += STEPS_PER_BLOCK
        self._places = np.concatenate(blocks)

    def _next_places(self) -> npt.NDArray[np.float64]:
        # The published loop also clamps x to ±amplitude. It never has to: from rest the response to
        # a step has no overshoot (its roots 0.845 and 0.355 are real), so x is a weighted mean of
        # past targets.
        moves = self._random.random(STEPS_PER_BLOCK) < NEW_TARGET
        targets = 2.0 * self._random.random(STEPS_PER_BLOCK) - 1.0
        last = np.maximum.accumulate(np.where(moves, np.arange(STEPS_PER_BLOCK), -1))
        held = np.where(last >= 0, targets[last], self._target)
        places = []
        place, velocity = self._place, self._velocity
        for target in held.tolist():
            velocity = DAMPING * velocity + STIFFNESS * (target - place)
            place += velocity
            places.append(place)
        self._place, self._velocity, self._target = place, velocity, float(held[-1])
        return np.array(places)


@attrs.frozen(kw_only=True)
class FractalProfile:
    """Value noise as a function of the seed and the time."""

    amplitude: float
    period_ns: int
    octaves: int
    seed: int

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """None: it is smooth."""
        return NO_CUTS

    def shape(self, demand: Rows) -> Rows:
        """New rows with both levels multiplied by the noise there."""
        return multiplied(demand, self._factor(demand["start_ns"]), self._factor(demand["end_ns"]))

    def _factor(self, time_ns: Times) -> Factors:
        total = np.zeros(len(time_ns))
        for octave in range(self.octaves):
            total += self._wave(time_ns, max(1, self.period_ns >> octave), octave) / 2**octave
        highest = 2.0 - 2.0 ** (1 - self.octaves)  # 1 + ½ + ¼ + …
        return np.maximum(1.0 + self.amplitude * total / highest, 0.0)

    def _wave(self, time_ns: Times, period_ns: int, octave: int) -> Factors:
        """One octave, from -1 to 1."""
        cell, into_ns = np.divmod(time_ns, period_ns)
        first = int(cell.min()) if len(cell) else 0
        cells = np.arange(first, int(cell.max()) + 2) if len(cell) else np.arange(1)
        heights = 2.0 * uniform_array(self.seed, cells, octave) - 1.0
        s = into_ns / period_ns
        joint = s * s * s * (s * (6.0 * s - 15.0) + 10.0)
        here, there = heights[cell - first], heights[cell - first + 1]
        return np.asarray(here + (there - here) * joint)
