"""`curve`: a level drawn from constants, ramps, S-curves and pauses."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import attrs

from flux.config.problems import Violation
from flux.config.rules import NotEmpty, above
from flux.segments import Level, Segment, SegmentProfile, check_absolute
from flux.shaping import Profile, Shaper
from flux.stage import Context
from flux.units import Duration

Kind = Literal["constant", "ramp", "heaviside", "pause"]

STEEPNESS = 6.0
"""Of an S-curve that does not say."""


@attrs.frozen(kw_only=True)
class CurveSegment:
    """One piece of the curve."""

    kind: Kind
    """`constant` stays at `level`; `ramp` goes from `from` to `to` in a straight line, `heaviside`
    along an S; `pause` sends nothing."""
    duration: Annotated[Duration, above(0)]
    """How long it lasts."""
    level: Level | None = None
    """Of `constant`: a multiplier of the level above, or a rate such as "50/s" that replaces it."""
    from_: Level | None = None
    """Of `ramp` and `heaviside`: where it begins, a multiplier or a rate; where the piece before
    ended when absent, 0 for the first."""
    to: Level | None = None
    """Of `ramp` and `heaviside`: where it ends, a multiplier or a rate."""
    steepness: Annotated[float, above(0)] | None = None
    """Of `heaviside`: how much of the change lies in the middle; 6 when absent."""

    def check(self) -> Iterator[Violation]:
        """Each kind has its keys."""
        leads = self.kind in ("ramp", "heaviside")
        if (self.level is not None) != (self.kind == "constant"):
            yield self._wrong("level", self.level)
        if (self.to is not None) != leads:
            yield self._wrong("to", self.to)
        if self.from_ is not None and not leads:
            yield self._wrong("from", self.from_)
        if self.steepness is not None and self.kind != "heaviside":
            yield self._wrong("steepness", self.steepness)

    def _wrong(self, key: str, value: object) -> Violation:
        rule = "is required" if value is None else "means nothing"
        return Violation(f"{rule} for kind {self.kind!r}", key=key)

    def piece(self, before: Level) -> Segment:
        """The piece, after one that ended at `before`."""
        if self.to is not None:
            start = before if self.from_ is None else self.from_
            is_bent = self.kind == "heaviside"
            steepness = (self.steepness or STEEPNESS) if is_bent else 0.0
            return Segment(self.duration, start, self.to, steepness)
        level = self.level or Level()
        return Segment(self.duration, level, level)


@attrs.frozen(kw_only=True)
class Curve(Shaper):
    """The level follows a curve put together from pieces; after the last, where that ended holds.

    An S-curve leads from `from` to `to` by (r(x) - r(0))/(r(1) - r(0)), where x runs from 0 to 1
    and r(x) = 1/(1 + e^(-k·(x - ½))) with k the steepness. Between ticks, or sixteenths of the
    piece if those are shorter, it is a straight line.
    """

    segment: Annotated[tuple[CurveSegment, ...], NotEmpty()]
    """The pieces in order: tables with `kind`, `duration` and the keys of their kind."""

    sample: ClassVar[str] = (
        '[[stage]]\nuse = "curve"\n'
        '[[stage.segment]]\nkind = "heaviside"\nfrom = 0\nto = 2\nduration = "2s"\n'
        '[[stage.segment]]\nkind = "constant"\nlevel = 2\nduration = "1s"\n'
        '[[stage.segment]]\nkind = "pause"\nduration = "500ms"\n'
        '[[stage.segment]]\nkind = "ramp"\nfrom = "50/s"\nto = "10/s"\nduration = "1500ms"\n'
    )

    @property
    def gives_rates(self) -> bool:
        """If a segment has one."""
        return any(level.rate_per_s for level in self._levels)

    @property
    def _levels(self) -> list[Level]:
        """All that are written."""
        levels = [(one.level, one.from_, one.to) for one in self.segment]
        return [level for three in levels for level in three if level is not None]

    def check_source(self, source: Any, end_ns: int | None) -> Iterator[Violation]:
        """Rates are for generators of arrivals."""
        yield from check_absolute([("segment", level) for level in self._levels], source)

    def profile(self, context: Context) -> Profile:
        """The pieces, each knowing where the one before ended."""
        self.require_source(context)
        pieces: list[Segment] = []
        for one in self.segment:
            pieces.append(one.piece(pieces[-1].end if pieces else Level()))
        return SegmentProfile(pieces)
