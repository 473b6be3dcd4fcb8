"""`ramp`: warm up, hold, cool down."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import attrs

from flux.arrivals import end_of_source_ns
from flux.config.problems import Violation
from flux.config.rules import at_least
from flux.segments import Level, Segment, SegmentProfile
from flux.shaping import Profile, Shaper
from flux.stage import Context
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Ramp(Shaper):
    """The level rises in a straight line, holds, and falls again.

    The multiplier goes from `from` to `to` in `up`, stays at `to` for `hold`, and is back at `from`
    after `down`, where it stays. Without `hold` the fall lies at the end of the run; without `down`
    there is none. Arrivals follow the line itself, not steps of it: after t of an `up` of length u
    from 0, exactly rate·t²/2u are due.
    """

    up: Duration | None = None
    """Time to get from `from` to `to`; at once when absent."""
    hold: Duration | None = None
    """Time at `to`, if there is a `down`; when absent, as long as the run leaves for it."""
    down: Duration | None = None
    """Time to get back from `to` to `from`; the level never falls when absent."""
    from_: Annotated[float, at_least(0)] = 0.0
    """Multiplier of the level before the rise and after the fall."""
    to: Annotated[float, at_least(0)] = 1.0
    """Multiplier of the level in between."""

    sample: ClassVar[str] = '[[stage]]\nuse = "ramp"\nup = "2s"\nhold = "2s"\ndown = "1s"\n'

    def check(self) -> Iterator[Violation]:
        """Rules about fields taken together."""
        if not self.up and not self.down:
            yield Violation("needs up or down", hint='up = "5s"')
        if self.hold is not None and self.down is None:
            yield Violation(
                "means nothing without down", key="hold", hint="without down, the level stays at to"
            )

    @property
    def needs_end(self) -> bool:
        """True if the fall lies at the end of the run, so that the run must have one."""
        return self.down is not None and self.hold is None

    def check_source(self, source: Any, end_ns: int | None) -> Iterator[Violation]:
        """A fall at the end needs an end, and room before it."""
        if self.needs_end and end_ns is None:
            yield Violation(
                "needs hold, or a duration of the run to lie at the end of",
                key="down",
                hint='hold = "20s"',
            )
        elif self.needs_end and end_ns is not None and self._up_ns + self._down_ns > end_ns:
            yield Violation(
                "must fit into the run together with up", key="down", hint="shorten up or down"
            )

    @property
    def rises_until_ns(self) -> int | None:
        """When the level has risen for the last time, in a run of any length."""
        if self.to >= self.from_:
            return self._up_ns
        return None if self.down is not None else 0

    def profile(self, context: Context) -> Profile:
        """The three pieces."""
        self.require_source(context)
        low, high = Level(self.from_), Level(self.to)
        pieces = [Segment(self._up_ns, low, high)]
        if self.down is not None:
            pieces.append(Segment(self._hold_ns(context), high, high))
            pieces.append(Segment(self._down_ns, high, low))
        return SegmentProfile(pieces)

    @property
    def _up_ns(self) -> int:
        return self.up or 0

    @property
    def _down_ns(self) -> int:
        return self.down or 0

    def _hold_ns(self, context: Context) -> int:
        if self.hold is not None:
            return self.hold
        return (end_of_source_ns(context) or 0) - self._up_ns - self._down_ns
