"""`users`: the closed model, a number of virtual users who each begin again when they are done."""

from typing import Annotated, ClassVar

import attrs

from flux.arrivals import demand
from flux.config.rules import at_least, between
from flux.schemas import USERS, Schema
from flux.stage import Context, Outbox
from flux.think import Think
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Users:
    """A number of virtual users, each of whom runs the flow, rests, and runs it again.

    Shapers below multiply the number of users, so `ramp` lets them join and leave. A user rests
    until both the think time after the end of its iteration and the `pace` after the start of it
    have passed; with neither it begins again at once. In the closed model an iteration is due when
    it starts: what a slow target holds up is not sent, and no percentile shows it.
    """

    emits: ClassVar[Schema] = USERS
    phase_keys: ClassVar[tuple[str, ...]] = ("users",)

    users: Annotated[int, between(1, 1_000_000)]
    """How many virtual users there are, before shaping."""
    think: Think | None = None
    """Rest between two iterations: a duration, or a table such as
    `{ use = "exponential", every = "1s", min = "100ms", max = "10s" }` with the distributions and
    the `jitter` of the arrival generators. No rest when absent."""
    pace: Duration | None = None
    """Least time from the start of an iteration to the start of the next; no bound when absent."""
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
    def has_rest(self) -> bool:
        """False if users begin again at once, always."""
        return self.think is not None or self.pace is not None

    def rest_ns(self, seed: int, seq: int, elapsed_ns: int) -> int:
        """How long to rest after iteration `seq`, which took `elapsed_ns`; at least 0."""
        think_ns = 0 if self.think is None else self.think.draw_ns(seed, seq)
        pace_ns = 0 if self.pace is None else self.pace - elapsed_ns
        return max(think_ns, pace_ns)

    async def produce(self, context: Context, outbox: Outbox) -> None:
        """Send the number of users, tick by tick, until the duration is over."""
        for rows in demand(context, self.base_level, self.duration):
            await outbox.send(rows)
