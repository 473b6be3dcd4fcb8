"""Counts of what ended in the last seconds. Pure: whoever asks says what time it is.

A percentile over a limit needs no histogram: "p95 is longer than L" says that more than 5 % of the
requests took longer than L, so counting those is exact, forgets as time goes by, and costs three
integers a slot.
"""

from collections import deque

import attrs

SLOT_NS = 100_000_000
"""How finely the window slides: rows come in batches of up to this age."""


@attrs.frozen
class Counts:
    """What was seen of some requests."""

    requests: int = 0
    failures: int = 0
    slow: int = 0
    """Those that took longer than the limit."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.requests + other.requests,
            self.failures + other.failures,
            self.slow + other.slow,
        )

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(
            self.requests - other.requests,
            self.failures - other.failures,
            self.slow - other.slow,
        )


class Window:
    """The counts of the last so many nanoseconds, to within a slot."""

    def __init__(self, length_ns: int) -> None:
        """Begin with nothing seen."""
        self._slots_kept = max(1, -(-length_ns // SLOT_NS))
        self._slots: deque[tuple[int, Counts]] = deque()
        self.counts = Counts()
        """Of all that is in it."""

    def add(self, now_ns: int, counts: Counts) -> None:
        """Let go of what is too old, and take these in; time must not run backwards."""
        slot = now_ns // SLOT_NS
        while self._slots and self._slots[0][0] <= slot - self._slots_kept:
            self.counts -= self._slots.popleft()[1]
        if not counts.requests:
            return
        if self._slots and self._slots[-1][0] == slot:
            counts_so_far = self._slots.pop()[1]
            self._slots.append((slot, counts_so_far + counts))
        else:
            self._slots.append((slot, counts))
        self.counts += counts

    def clear(self) -> None:
        """Forget everything."""
        self._slots.clear()
        self.counts = Counts()
