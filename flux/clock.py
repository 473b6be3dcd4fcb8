"""The one clock of a run: nanoseconds since it began, and waiting until one of them.

Everything upstream of the pacer is arithmetic on planned times and never looks here.
"""

import math
from typing import Protocol

import attrs
import trio


class Clock(Protocol):
    """Tells the time of the run and waits for it."""

    @property
    def is_live(self) -> bool:
        """False when nothing is ever waited for, as in a plan."""

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""

    async def wait_until(self, time_ns: int) -> None:
        """Return at that time or as soon after it as possible; a checkpoint either way."""


@attrs.frozen
class LiveClock:
    """Trio's clock, counted from `origin_s`; under `trio.testing.MockClock` it is virtual."""

    origin_s: float = attrs.field(factory=trio.current_time)
    """What `trio.current_time()` said when the run began."""
    is_live: bool = attrs.field(default=True, init=False)

    def now_ns(self) -> int:
        """Nanoseconds since the run began.

        Trio's clock starts at up to 1e6 s, where a double resolves 0.12 ns.
        """
        return round((trio.current_time() - self.origin_s) * 1e9)

    async def wait_until(self, time_ns: int) -> None:
        """Return at that time or as soon after it as possible; a checkpoint either way."""
        await trio.sleep_until(self.origin_s + time_ns / 1e9)


@attrs.frozen
class PlannedClock:
    """No clock: whatever is waited for is over already."""

    is_live: bool = attrs.field(default=False, init=False)

    def now_ns(self) -> int:
        """The end of time, so that everything is due."""
        return int(math.pow(2, 62))

    async def wait_until(self, time_ns: int) -> None:
        """Let other tasks run, and return."""
        await trio.lowlevel.checkpoint()
