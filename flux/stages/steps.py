"""`steps`: one level after another, by jumps or by ramps."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import attrs

from flux.config.problems import Violation
from flux.config.rules import NotEmpty, at_least
from flux.segments import Level, Segment, SegmentProfile, check_absolute
from flux.shaping import Profile, Shaper
from flux.stage import Context
from flux.units import Duration, Rate

SHORTEST_ROUND_NS = 1_000_000
"""Repeated steps last at least this long together: a shorter round is a mistake."""


@attrs.frozen(kw_only=True)
class Step:
    """A level and how long it lasts."""

    level: Annotated[float, at_least(0)] | None = None
    """Multiplier of the level above. Give either this or `rate`."""
    rate: Rate | None = None
    """Arrivals per time that replace the level above, whatever it is."""
    duration: Duration
    """How long the step lasts, the ramp into it included. "0s" makes a step that only says where
    the ramp of the next one begins."""
    ramp: Duration | None = None
    """How long it takes to get there from the step before, in a straight line; a jump when
    absent."""

    def check(self) -> Iterator[Violation]:
        """Rules about fields taken together."""
        if (self.level is None) == (self.rate is None):
            yield Violation("needs either level or rate", hint="level = 2 doubles the level above")
        if self.ramp is not None and self.ramp > self.duration:
            yield Violation("must not be longer than the step's duration", key="ramp")

    @property
    def target(self) -> Level:
        """The level that the step gets to."""
        return Level(factor=self.level or 0.0, rate_per_s=float(self.rate or 0.0))


@attrs.frozen(kw_only=True)
class Steps(Shaper):
    """The level takes one value after another, each for a time.

    A step jumps to its level, or gets there by a `ramp` within its duration. The ramp of the first
    step begins at 0, or, if the steps are repeated, at the level of the last. After the last step
    its level holds. A `rate` replaces the level that comes from above, and with it whatever shapers
    above did; shapers below still multiply it.
    """

    steps: Annotated[tuple[Step, ...], NotEmpty()]
    """The steps in order: tables with `level` or `rate`, `duration` and `ramp`."""
    repeat: bool = False
    """Begin again after the last step, instead of staying at its level."""

    sample: ClassVar[str] = (
        '[[stage]]\nuse = "steps"\nsteps = [\n'
        '  { level = 1, duration = "2s" },\n'
        '  { level = 3, duration = "2s", ramp = "500ms" },\n'
        '  { rate = "50/s", duration = "1s" },\n]\n'
    )

    def check(self) -> Iterator[Violation]:
        """Rules about fields taken together."""
        if self.repeat and sum(step.duration for step in self.steps) < SHORTEST_ROUND_NS:
            yield Violation("must last at least 1ms together to be repeated", key="steps")

    @property
    def gives_rates(self) -> bool:
        """If a step has one."""
        return any(step.rate for step in self.steps)

    def check_source(self, source: Any, end_ns: int | None) -> Iterator[Violation]:
        """Rates are for generators of arrivals."""
        yield from check_absolute([("steps", step.target) for step in self.steps], source)

    def profile(self, context: Context) -> Profile:
        """Two pieces for each step: the ramp and the rest."""
        self.require_source(context)
        pieces = []
        before = self.steps[-1].target if self.repeat else Level()
        for step in self.steps:
            ramp_ns = step.ramp or 0
            pieces.append(Segment(ramp_ns, before, step.target))
            pieces.append(Segment(step.duration - ramp_ns, step.target, step.target))
            before = step.target
        return SegmentProfile(pieces, repeat=self.repeat)
