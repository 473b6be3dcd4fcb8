"""What a client is given to do: the sessions that are due, the flow, the limits, and the log."""

from typing import Literal, Protocol, TypeAlias

import attrs

from flux.clients.outcome_log import OutcomeLog
from flux.clients.target_choice import TargetChoice
from flux.flows.actions import Flow
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


class Iterations(Protocol):
    """How a virtual user of the closed model spaces its iterations."""

    @property
    def count(self) -> int | None:
        """Iterations of all users together, at the most."""

    @property
    def has_rest(self) -> bool:
        """False if users begin again at once, always."""

    def rest_ns(self, seed: int, seq: int, elapsed_ns: int) -> int:
        """How long to rest after iteration `seq`, which took `elapsed_ns`."""


@attrs.frozen(eq=False)
class Work:
    """A client's part of a run."""

    context: Context
    inbox: Inbox
    """ARRIVAL batches, or in the closed model ROSTER batches; ends when arrivals end."""
    schema: Schema
    """Which of the two."""
    flow: Flow
    limits: Limits
    log: OutcomeLog
    iterations: Iterations | None = None
    """In the closed model: the source's think time and pace."""
    choice: TargetChoice | None = None
    """Which target a session goes to; None: there is one, and it is never withheld."""
