"""Shapers: how the demand changes over time.

A shaper multiplies the level of DEMAND (or USERS) rows; it never touches their times. As a row
holds the level at both of its ends and is linear in between, products are taken at the ends, and
shapers commute. Where a shaper jumps or bends it says so in advance (`cuts`), and the source cuts
its rows there: a row never straddles a jump.

Most shapers are a smooth function of time and write one method, `factor_at`. One that jumps, or
that carries a state from tick to tick, brings a `Profile` of its own.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from flux.arrivals import end_of_source_ns
from flux.config.problems import Violation
from flux.errors import FluxError
from flux.schemas import DEMAND, SAME, USERS, Rows, Schema, read_only
from flux.stage import Context, Inbox, Outbox

Times = npt.NDArray[np.int64]
"""(n,) nanoseconds since the run began."""
Factors = npt.NDArray[np.float64]
"""(n,) multipliers of the level."""

NO_CUTS: Times = np.empty(0, np.int64)
NO_CUTS.flags.writeable = False


class Profile(Protocol):
    """A shaper at work in one run; it may remember what it was asked before, as time only grows."""

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """Times in [start_ns, end_ns] where the level jumps or bends."""

    def shape(self, demand: Rows) -> Rows:
        """New rows, at the same times, with the level changed."""


@attrs.frozen
class Shaper:
    """Base of the shapers: write `factor_at`, or `profile` if the shaper jumps or has a state."""

    accepts: ClassVar[tuple[Schema, ...]] = (DEMAND, USERS)
    emits: ClassVar[Schema] = SAME

    @property
    def rises_until_ns(self) -> int | None:
        """After when this shaper never makes the level rise; None if that is not known.

        It tells when the last user has joined.
        """
        return None

    def factor_at(self, time_ns: Times) -> Factors:
        """What the level is multiplied by at each of these times, at least 0."""
        raise NotImplementedError

    def profile(self, context: Context) -> Profile:
        """The shaper at work in one run."""
        return SmoothProfile(self)

    def check_source(self, source: Any, end_ns: int | None) -> Iterator[Violation]:
        """Rules between this shaper and what it shapes.

        Args:
            source: the generator above.
            end_ns: when that ends, None if only stopping or a count ends it.
        """
        yield from ()

    def require_source(self, context: Context) -> None:
        """Raise FluxError if `check_source` finds something: for profiles made without a check."""
        for found in self.check_source(context.source, end_of_source_ns(context)):
            rule = f"{found.key} {found.rule}" if found.key else found.rule
            raise FluxError(f"stage {context.stage!r}: {rule}", hint=found.hint)

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Shape batch by batch."""
        profile = self.profile(context)
        async for demand in inbox:
            await outbox.send(profile.shape(demand))


@attrs.frozen
class SmoothProfile:
    """The profile of a shaper that is a continuous function of time."""

    shaper: Shaper

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """None: ticks are fine enough."""
        return NO_CUTS

    def shape(self, demand: Rows) -> Rows:
        """New rows with both levels multiplied by the factor there."""
        factor = self.shaper.factor_at
        return multiplied(demand, factor(demand["start_ns"]), factor(demand["end_ns"]))


def middle(demand: Rows) -> Times:
    """A time inside each row: where to look up which side of a jump the row lies on."""
    start_ns: Times = demand["start_ns"]
    return start_ns + (demand["end_ns"] - start_ns) // 2


def multiplied(demand: Rows, start_factor: Factors, end_factor: Factors) -> Rows:
    """New rows with the level at their start and end multiplied by these."""
    return with_levels(demand, demand["level"] * start_factor, demand["end_level"] * end_factor)


def with_levels(demand: Rows, level: Factors, end_level: Factors) -> Rows:
    """New rows with these levels in place of the old ones."""
    shaped = demand.copy()
    shaped["level"], shaped["end_level"] = level, end_level
    return read_only(shaped)
