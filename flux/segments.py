"""A level drawn piece by piece: what `ramp`, `steps` and `curve` have in common.

A point of such a curve is a `Level`: a multiplier m of the level above, or an absolute level a that
replaces it. Both are one thing, the pair (m, a) that makes m·level + a, so a piece may lead from
either to the other: in between, the pair is interpolated.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from flux.config.problems import Violation
from flux.schemas import USERS, Rows
from flux.shaping import Factors, Times, middle, with_levels
from flux.units import Rate, UnitError

PIECES_OF_A_CURVE = 16
"""A bent segment is cut at least this often, so that its area is right however short it is."""

_FOREVER_NS = 2**62


@attrs.frozen
class Level:
    """A multiplier of the level above, or a rate that replaces it."""

    factor: float = 0.0
    """Multiplies the level above."""
    rate_per_s: float = 0.0
    """Is added to that."""

    type_text: ClassVar[str] = 'a multiplier, as in 1.5, or a rate, as in "50/s"'

    @classmethod
    def from_toml(cls, value: Any) -> Self:
        """Read 1.5 or "50/s".

        Raises:
            Violation: if it is neither, or below 0.
        """
        if type(value) in (int, float):
            if not 0 <= value < np.inf:
                raise Violation("must be at least 0 and finite")
            return cls(factor=float(value))
        if type(value) is not str:
            raise Violation(f"must be {cls.type_text}")
        try:
            return cls(rate_per_s=float(Rate.parse(value)))
        except UnitError as error:
            raise Violation(f"must be {cls.type_text}", hint=error.hint) from error


@attrs.frozen
class Segment:
    """One piece: from a level to a level, along a line or an S."""

    duration_ns: int
    """0 for a piece that only says where the next one begins."""
    start: Level
    end: Level
    steepness: float = 0.0
    """0 for a straight line, above for the S of a logistic curve."""


class SegmentProfile:
    """Pieces one after another from time 0; the last level holds, or all of it is repeated."""

    def __init__(self, segments: Sequence[Segment], *, repeat: bool = False) -> None:
        """Lay the pieces end to end.

        Args:
            segments: at least one; if they are repeated, of more than 0 ns together.
            repeat: begin again after the last.
        """
        pieces = [one for one in segments if one.duration_ns]
        self._total_ns = sum(one.duration_ns for one in pieces)
        self._repeat = repeat
        if not repeat:
            pieces.append(Segment(_FOREVER_NS, segments[-1].end, segments[-1].end))
        lengths = [one.duration_ns for one in pieces]
        self._starts_ns = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
        self._lengths_ns = np.array(lengths, np.int64)
        self._steepness = np.array([one.steepness for one in pieces])
        self._factors = np.array([(one.start.factor, one.end.factor) for one in pieces])
        self._rates = np.array([(one.start.rate_per_s, one.end.rate_per_s) for one in pieces])
        self._cuts_ns = np.unique(np.concatenate([_cuts_of(*row) for row in self._bounds()]))

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """The ends of the pieces, and a few times inside the bent ones."""
        if not self._repeat:
            return _between(self._cuts_ns, start_ns, end_ns)
        rounds = np.arange(start_ns // self._total_ns, end_ns // self._total_ns + 1)
        cuts = (rounds[:, None] * self._total_ns + self._cuts_ns[None, :]).ravel()
        return _between(cuts, start_ns, end_ns)

    def shape(self, demand: Rows) -> Rows:
        """New rows, each by the piece that its middle lies in."""
        inside = middle(demand)
        first_ns = inside - inside % self._total_ns if self._repeat else np.int64(0)
        piece = np.searchsorted(self._starts_ns, inside - first_ns, side="right") - 1
        level, end_level = (
            self._level(demand[column], piece, demand[time] - first_ns)
            for column, time in (("level", "start_ns"), ("end_level", "end_ns"))
        )
        return with_levels(demand, level, end_level)

    def _level(self, above: Factors, piece: npt.NDArray[np.intp], time_ns: Times) -> Factors:
        """m·level + a at these times, by these pieces."""
        done = (time_ns - self._starts_ns[piece]) / self._lengths_ns[piece]
        done = np.clip(done, 0.0, 1.0)
        steepness = self._steepness[piece]
        if steepness.any():
            done = np.where(steepness > 0, s_curve(done, steepness), done)
        factor = _interpolate(self._factors[piece], done)
        return above * factor + _interpolate(self._rates[piece], done)

    def _bounds(self) -> Iterator[tuple[int, int, bool]]:
        return zip(self._starts_ns.tolist(), self._lengths_ns.tolist(), self._steepness > 0)


def s_curve(x: npt.NDArray[np.float64], steepness: npt.NDArray[np.float64] | float) -> Factors:
    """The logistic curve, stretched to lead from 0 at 0 to exactly 1 at 1.

    With r(x) = 1/(1 + e^(-k·(x - ½))) it is (r(x) - r(0))/(r(1) - r(0)). As r(x) = (1 + tanh(k·(x -
    ½)/2))/2, that is (1 + tanh(k·(x - ½)/2)/tanh(k/4))/2, which never overflows.
    """
    k = np.maximum(steepness, 1e-9)
    curve: Factors = (1.0 + np.tanh(k * (x - 0.5) / 2.0) / np.tanh(k / 4.0)) / 2.0
    return curve


def check_absolute(levels: Sequence[tuple[str, Level]], source: Any) -> Iterator[Violation]:
    """A rate means nothing where levels are numbers of users: (key, level) pairs to check."""
    if source.emits is USERS:
        for key, level in levels:
            if level.rate_per_s:
                yield Violation(
                    "must be a multiplier below a generator of users, not a rate",
                    key=key,
                    hint="with users = 1 a multiplier is a number of users",
                )


def _interpolate(ends: npt.NDArray[np.float64], done: Factors) -> Factors:
    """From ends[:, 0] to ends[:, 1]: exact at both ends, and all along where they are equal."""
    start, end = ends[:, 0], ends[:, 1]
    return np.where(done == 1.0, end, start + (end - start) * done)


def _cuts_of(start_ns: int, length_ns: int, is_bent: bool) -> Times:
    pieces = min(PIECES_OF_A_CURVE, length_ns) if is_bent else 1
    return start_ns + np.array([length_ns * n // pieces for n in range(pieces)], np.int64)


def _between(cuts: Times, start_ns: int, end_ns: int) -> Times:
    return cuts[(cuts >= start_ns) & (cuts <= end_ns)]
