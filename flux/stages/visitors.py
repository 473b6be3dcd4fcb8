"""`visitors`: arrivals that stay, each a user who runs the flow several times and then leaves."""

from collections.abc import Iterator
from typing import ClassVar

import attrs

from flux.config.problems import Violation
from flux.habits import Habits, Iterating
from flux.schemas import ARRIVAL, ROSTER, Schema, read_only
from flux.stage import Context, Inbox, Outbox
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Visitors(Iterating):
    """Makes of each arrival a user, who joins when it is due and stays for a while.

    The partly open model: users come whatever becomes of earlier ones, and as long as they are
    there each waits for the answer before it goes on. A visit ends after `iterations`, or before
    the first iteration that would begin `stay` after the user was due, whichever comes first. The
    first iteration is due when the user is, each further one when its rest is over. Visits that
    have begun go on after the last arrival; they end early only when the run is stopped.

    Source: B. Schroeder, A. Wierman and M. Harchol-Balter, Open versus closed: a cautionary tale,
    NSDI 2006, section 2.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (ARRIVAL,)
    emits: ClassVar[Schema] = ROSTER
    sample: ClassVar[str] = (
        '[[stage]]\nuse = "visitors"\niterations = 5\n'
        'think = { use = "exponential", every = "200ms" }\n'
    )

    stay: Duration | None = None
    """How long after it was due a user begins iterations; it finishes the one it is at. No bound
    when absent."""

    def check(self) -> Iterator[Violation]:
        """A visit has an end."""
        if self.iterations is None and self.stay is None:
            yield Violation("needs iterations or stay", hint="iterations = 5")
        if self.stay is not None and self.stay == 0:
            yield Violation("must be longer than 0s", key="stay")

    @property
    def habits(self) -> Habits:
        """What the users do."""
        return Habits(
            iterations=self.iterations,
            stay_ns=self.stay,
            think=self.think,
            pace_ns=self.pace,
            are_arrivals=True,
        )

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Let each arrival join, as the user of its number."""
        async for arrivals in inbox:
            joins = ROSTER.empty(len(arrivals))
            joins["due_ns"], joins["user"] = arrivals["due_ns"], arrivals["seq"]
            joins["change"] = 1
            await outbox.send(read_only(joins))
