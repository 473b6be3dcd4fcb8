"""What users do as long as they are there: how many iterations each makes, and how it rests.

A user joins when it is due, and its first iteration is due then. Each further one is due when the
rest after the one before is over; if by then the user has made all its iterations, or has stayed
for its time, it is gone instead. All of it is a function of the run's seed, the user and the number
of its iteration, so that it depends neither on the other users nor on how the run is shared.
"""

from typing import Annotated

import attrs

from flux.config.rules import at_least
from flux.think import Think
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Habits:
    """What an executor has to know of the users that it is sent."""

    iterations: int | None = None
    """Iterations of each user, which then leaves for good; None: no bound."""
    count: int | None = None
    """Iterations of all users together, over all shards; None: no bound."""
    stay_ns: int | None = None
    """How long after it was due a user begins iterations; None: as long as it is not told to go."""
    think: Think | None = None
    pace_ns: int | None = None
    are_arrivals: bool = False
    """True if each user is an arrival: it may be late or find no place, and it must end in a row.
    False: there are as many users as are wanted, and nobody is turned away."""

    @property
    def are_endless(self) -> bool:
        """True if users begin again at once, until they are told to go."""
        return self.has_no_end and self.think is None and self.pace_ns is None

    @property
    def has_no_end(self) -> bool:
        """True if users stay until they are told to go."""
        return self.iterations is None and self.stay_ns is None

    def next_due_ns(
        self, seed: int, user: int, done: int, *, joined_ns: int, start_ns: int, end_ns: int
    ) -> int | None:
        """When a user is to begin its next iteration; None if it is gone instead.

        Args:
            seed: of the run.
            user: its number.
            done: how many iterations it has made, at least 1.
            joined_ns: when it was due.
            start_ns: when its last iteration began.
            end_ns: when that ended.
        """
        if self.iterations is not None and done >= self.iterations:
            return None
        think_ns = 0 if self.think is None else self.think.draw_ns(seed, user, done)
        pace_ns = 0 if self.pace_ns is None else self.pace_ns - (end_ns - start_ns)
        due_ns = end_ns + max(0, think_ns, pace_ns)
        if self.stay_ns is not None and due_ns >= joined_ns + self.stay_ns:
            return None
        return due_ns


@attrs.frozen(kw_only=True)
class Iterating:
    """Keys of the stages that say what users do; a subclass adds `habits`."""

    iterations: Annotated[int, at_least(1)] | None = None
    """Iterations of each user, which then leaves for good; no bound when absent."""
    think: Think | None = None
    """Rest between two iterations: a duration, or a table such as
    `{ use = "exponential", every = "1s", min = "100ms", max = "10s" }` with the distributions and
    the `jitter` of the arrival generators. No rest when absent."""
    pace: Duration | None = None
    """Least time from the start of an iteration to the start of the next; no bound when absent."""
