"""The closed model's arithmetic: from a curve of wanted users to who joins and leaves when.

Theory of operation. At a level ℓ, ⌊ℓ + ½⌋ users are wanted: rounding to the nearest keeps the mean
over any ramp unbiased. User i is therefore in from when ℓ rises through i + ½ until it falls
through it again. Within a row the level is linear from a to b, so the crossing lies where
(i + ½ - a)/(b - a) of the row has passed: on a linear ramp users join evenly in time. The last to
join is the first to leave.
"""

import math

import attrs

from flux.schemas import ROSTER, Rows
from flux.stage import Shard


@attrs.define
class Population:
    """Turns rows of USERS, in order, into the users that join and leave in them."""

    shard: Shard = attrs.field(factory=Shard)
    """Which users are returned: those with number ≡ index (mod count)."""
    _present: int = 0
    _end_ns: int = 0

    def changes(self, users: Rows) -> Rows:
        """Who joins and leaves during these rows, which follow those of the call before.

        Returns:
            (n,) ROSTER, ascending in due_ns.
        """
        found: list[tuple[int, int, int]] = []
        for start_ns, end_ns, level, end_level in users.tolist():
            self._move(found, start_ns, start_ns, level, level)
            self._move(found, start_ns, end_ns, level, end_level)
            self._end_ns = end_ns
        return self._of_shard(found)

    def all_leave(self) -> Rows:
        """Who leaves when the last row is over: everybody."""
        found: list[tuple[int, int, int]] = []
        self._move(found, self._end_ns, self._end_ns, 0.0, 0.0)
        return self._of_shard(found)

    def _of_shard(self, found: list[tuple[int, int, int]]) -> Rows:
        shard = self.shard
        return ROSTER.rows(row for row in found if row[1] % shard.count == shard.index)

    def _move(
        self, found: list[tuple[int, int, int]], start_ns: int, end_ns: int, a: float, b: float
    ) -> None:
        """Add the crossings between two levels; a jump has no length and happens at once."""
        wanted = math.floor(b + 0.5)
        span = b - a
        while self._present != wanted:
            change = 1 if self._present < wanted else -1
            user = self._present if change > 0 else self._present - 1
            part = (user + 0.5 - a) / span if span else 0.0
            due_ns = start_ns + round(min(1.0, max(0.0, part)) * (end_ns - start_ns))
            found.append((due_ns, user, change))
            self._present += change
