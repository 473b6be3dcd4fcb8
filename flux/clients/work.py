"""What a client is given to do: the sessions that are due, the flow, the limits, and the log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

import attrs
import trio

from flux.clients.outcome_log import OutcomeLog
from flux.clients.target_choice import TargetChoice
from flux.flows.actions import Flow
from flux.habits import Habits
from flux.schemas import Flag, Schema
from flux.stage import Context, Inbox

OnLate: TypeAlias = Literal["queue", "drop"]


@attrs.frozen
class Limits:
    """What happens when sessions are due faster than they end."""

    max_in_flight: int
    """Sessions open at once, at the most."""
    on_late: OnLate = "queue"
    """Where there is no place: wait for one, or drop the arrival."""
    max_lag_ns: int | None = None
    """An arrival that could not start within this time of being due is dropped; None: never."""


@attrs.frozen(eq=False)
class Work:
    """A client's part of a run."""

    context: Context
    inbox: Inbox
    """ARRIVAL batches, or if sessions belong to users ROSTER batches; ends when arrivals end."""
    schema: Schema
    """Which of the two."""
    flow: Flow
    limits: Limits
    log: OutcomeLog
    habits: Habits | None = None
    """With ROSTER: what the users do."""
    choice: TargetChoice | None = None
    """Which target a session goes to; None: there is one, and it is never withheld."""
    ends_ns: int | None = None
    """When arrivals end by the plan; None: when all have come."""

    @property
    def are_arrivals(self) -> bool:
        """True if what comes in may be late or find no place, and must end in a row."""
        return self.habits is None or self.habits.are_arrivals

    def drained_ns(self, now_ns: int) -> int:
        """Until when sessions may go on, if nothing more is to be started from now on."""
        over_ns = now_ns if self.ends_ns is None else min(now_ns, self.ends_ns)
        return over_ns + self.context.run.drain_ns

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """Cancel the block, in which sessions are started, when none may start any more.

        That is when the run is stopped, or when the drain time is over: without an end, a queue in
        front of a target that hangs would be worked off at the pace of its time limits.
        """
        run = self.context.run
        with run.control.stopping.cancelling():
            async with trio.open_nursery() as nursery:
                if self.ends_ns is not None:
                    nursery.start_soon(self._cancel_at, self.ends_ns + run.drain_ns, nursery)
                yield
                nursery.cancel_scope.cancel()

    async def _cancel_at(self, time_ns: int, nursery: trio.Nursery) -> None:
        await self.context.run.clock.wait_until(time_ns)
        nursery.cancel_scope.cancel()

    @property
    def never_started(self) -> Flag:
        """What an arrival is that was left over: it came too late, unless the run was stopped."""
        return Flag.CANCELLED if self.context.run.control.stopping.is_set() else Flag.DROPPED
