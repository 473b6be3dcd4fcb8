"""What a client is given to do: the sessions that are due, the flow, the limits, and the log."""

from typing import Literal, TypeAlias

import attrs

from flux.clients.outcome_log import OutcomeLog
from flux.clients.target_choice import TargetChoice
from flux.flows.actions import Flow
from flux.habits import Habits
from flux.schemas import Schema
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

    @property
    def are_arrivals(self) -> bool:
        """True if what comes in may be late or find no place, and must end in a row."""
        return self.habits is None or self.habits.are_arrivals
