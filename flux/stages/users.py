"""`users`: the closed model, a number of virtual users who each begin again when they are done."""

from typing import Annotated, ClassVar

import attrs

from flux.arrivals import demand
from flux.config.rules import at_least, between
from flux.habits import Habits, Iterating
from flux.schemas import USERS, Schema
from flux.stage import Context, Outbox
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Users(Iterating):
    """A number of virtual users, each of whom runs the flow, rests, and runs it again.

    Shapers below multiply the number of users, so `ramp` lets them join and leave. A user rests
    until both the think time after the end of its iteration and the `pace` after the start of it
    have passed; with neither it begins again at once. In the closed model an iteration is due when
    that rest is over: what a slow target holds up is not sent, and no percentile shows it.
    """

    emits: ClassVar[Schema] = USERS
    phase_keys: ClassVar[tuple[str, ...]] = ("users",)

    users: Annotated[int, between(1, 1_000_000)]
    """How many virtual users there are, before shaping."""
    duration: Duration | None = None
    """How long iterations begin; the pipeline's `duration` when absent."""
    count: Annotated[int, at_least(1)] | None = None
    """Iterations of all users together, at the most; no bound when absent."""

    sample: ClassVar[str] = (
        '[[stage]]\nuse = "users"\nusers = 10\nthink = { use = "exponential", every = "1s" }\n'
    )

    @property
    def base_level(self) -> float:
        """The level before shaping; of a phase's own, the level in that phase."""
        return float(self.users)

    @property
    def habits(self) -> Habits:
        """What the users do."""
        return Habits(
            iterations=self.iterations, count=self.count, think=self.think, pace_ns=self.pace
        )

    async def produce(self, context: Context, outbox: Outbox) -> None:
        """Send the number of users, tick by tick, until the duration is over."""
        for rows in demand(context, self.base_level, self.duration):
            await outbox.send(rows)
