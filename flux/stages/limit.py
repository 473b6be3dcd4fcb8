"""`limit`: a level that is never exceeded."""

from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import numpy as np

from flux.config.problems import Violation
from flux.schemas import USERS, Rows, read_only
from flux.segments import Level
from flux.shaping import NO_CUTS, Profile, Shaper, Times
from flux.stage import Context


@attrs.frozen
class Cap(Level):
    """The highest level: a rate, or a number of users."""

    type_text: ClassVar[str] = 'a rate, as in "200/s", or a number of users'


@attrs.frozen(kw_only=True)
class Limit(Shaper):
    """The level is cut off at a maximum.

    It caps what the generator and the shapers above it make; shapers below may exceed it again, so
    it belongs at the end. Where a level crosses the cap within a tick, the tick is split there:
    arrivals up to the crossing and beyond it are exact.
    """

    max: Cap
    """The highest level: a rate such as "200/s", or a number of users below `users`."""

    sample: ClassVar[str] = '[[stage]]\nuse = "limit"\nmax = "200/s"\n'

    def check_source(self, source: Any, end_ns: int | None) -> Iterator[Violation]:
        """The cap is in the unit of what it caps."""
        is_rate = self.max.rate_per_s > 0
        if source.emits is USERS and is_rate:
            yield Violation("must be a number of users, not a rate", key="max", hint="max = 100")
        if source.emits is not USERS and self.max.factor > 0:
            yield Violation(
                "must be a rate below a generator of arrivals",
                key="max",
                hint=f'max = "{self.max.factor:g}/s"',
            )

    @property
    def rises_until_ns(self) -> int:
        """Never."""
        return 0

    def profile(self, context: Context) -> Profile:
        """The cap as a number."""
        self.require_source(context)
        return LimitProfile(self.max.factor + self.max.rate_per_s)


@attrs.frozen
class LimitProfile:
    """The cap at work."""

    cap: float
    """Arrivals per second, or users."""

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """None: where the level crosses is known only once it is made."""
        return NO_CUTS

    def shape(self, demand: Rows) -> Rows:
        """New rows, split where they cross the cap and then cut off at it."""
        shaped = self._split(demand)
        shaped["level"] = np.minimum(shaped["level"], self.cap)
        shaped["end_level"] = np.minimum(shaped["end_level"], self.cap)
        return read_only(shaped)

    def _split(self, demand: Rows) -> Rows:
        """A copy in which no row has the cap strictly between its two levels."""
        level, end_level = demand["level"], demand["end_level"]
        crosses = (level > self.cap) != (end_level > self.cap)
        # A level that only touches the cap at an end gives a part of 0 or 1, which is no split.
        part = np.divide(
            self.cap - level, end_level - level, out=np.zeros(len(demand)), where=crosses
        )
        length_ns = demand["end_ns"] - demand["start_ns"]
        at_ns = demand["start_ns"] + np.rint(part * length_ns).astype(np.int64)
        splits = crosses & (at_ns > demand["start_ns"]) & (at_ns < demand["end_ns"])
        shaped = np.repeat(demand, 1 + splits)
        second = np.flatnonzero(splits) + np.arange(1, np.count_nonzero(splits) + 1)
        shaped["start_ns"][second] = shaped["end_ns"][second - 1] = at_ns[splits]
        shaped["level"][second] = shaped["end_level"][second - 1] = self.cap
        return shaped
