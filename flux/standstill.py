"""What users who wait for answers cannot show: the requests that a standing target kept back.

Theory of operation. In the closed model a user asks again once it was answered. While the target
stands still every user sends one request at the most, so the stall is in one latency per user, and
not in those of all the requests that would have come. Nothing can be said of what was never sent,
and no percentile is corrected for it. But the longest time in which nobody asked is known, and so
is how fast the same users asked otherwise.

Requests are counted in slots of time by when they began and when they ended, with the first and
the last beginning of each. Between one slot that has any and the next, the pause is exact. Slots
add up, over batches in any order as over shards, and become longer in a long run.

A pause alone proves nothing: by chance alone, n requests of a Poisson process of rate r leave a
pause of g somewhere with a probability of n·e^(-r·g) at the most. Only one that is less likely than
1 in 1000 by that, and in which somebody was waiting to its end, is called a standstill.
"""

import math
from collections.abc import Iterable

import attrs
import numpy as np
import numpy.typing as npt

SLOT_NS = 10**8
"""How long a slot is at first; pauses that are shorter are not seen."""

MAX_SLOTS = 36_000
"""Past an hour, slots become twice as long, and again past two."""

FEWEST_PARTS = 5
"""Equal parts of the run, besides the pause, that the median rate needs."""

FEWEST_PER_PART = 10
"""Requests in such a part on average, or the median of their numbers would be too coarse."""

CHANCES = 1000
"""A pause counts if chance alone makes one as long in fewer than one of so many runs."""

_NEVER_NS = np.iinfo(np.int64).max
_SECOND_NS = 10**9

Times = npt.NDArray[np.int64]


@attrs.frozen
class Standstill:
    """The longest time in which no request began, though some were waited for."""

    start_ns: int
    """When the last request before it began."""
    end_ns: int
    """When the next one did."""
    waiting: int
    """Requests that were under way until shortly before its end."""
    rate_per_s: float
    """Requests that began per second, by the median of the seconds (or, where few began in each, of
    longer parts) besides."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def unsent(self) -> int:
        """Requests that would have begun in it at that rate, to the nearest whole one."""
        return round(self.seconds * self.rate_per_s)


class Pulse:
    """When the requests of a run began and ended."""

    def __init__(self) -> None:
        """Begin with none."""
        self._width_ns = SLOT_NS
        self._begun = np.zeros(64, np.int64)
        self._ended = np.zeros(64, np.int64)
        self._first_ns = np.full(64, _NEVER_NS, np.int64)
        self._last_ns = np.full(64, -1, np.int64)

    def add(self, begins_ns: Times, ends_ns: Times) -> None:
        """Take note of requests: when each began, and when it ended; (n,) each, in any order."""
        if not begins_ns.size:
            return
        self._reach(int(max(begins_ns.max(), ends_ns.max())))
        begins_ns = np.maximum(begins_ns, 0)
        slots = begins_ns // self._width_ns
        np.add.at(self._begun, slots, 1)
        np.minimum.at(self._first_ns, slots, begins_ns)
        np.maximum.at(self._last_ns, slots, begins_ns)
        np.add.at(self._ended, np.maximum(ends_ns, 0) // self._width_ns, 1)

    def merge(self, others: Iterable["Pulse"]) -> "Pulse":
        """This and the others together, as those of shards; all stay as they are."""
        merged = Pulse()
        for part in (self, *others):
            part = part._copy()
            while part._width_ns < merged._width_ns:
                part._widen()
            while merged._width_ns < part._width_ns:
                merged._widen()
            merged._grow(len(part._begun))
            used = slice(len(part._begun))
            merged._begun[used] += part._begun
            merged._ended[used] += part._ended
            np.minimum(merged._first_ns[used], part._first_ns, out=merged._first_ns[used])
            np.maximum(merged._last_ns[used], part._last_ns, out=merged._last_ns[used])
        return merged

    def standstill(self) -> Standstill | None:
        """The longest standstill; None if there is none that chance would not have made."""
        filled = np.flatnonzero(self._begun)
        if filled.size < 2:
            return None
        pauses_ns = self._first_ns[filled[1:]] - self._last_ns[filled[:-1]]
        longest = int(np.argmax(pauses_ns))
        start_ns = int(self._last_ns[filled[longest]])
        end_ns = int(self._first_ns[filled[longest + 1]])
        waiting, rate_per_s = self._waiting(start_ns, end_ns), self._rate_per_s(start_ns, end_ns)
        if not waiting or rate_per_s is None:
            return None
        found = Standstill(start_ns, end_ns, waiting, rate_per_s)
        is_chance = found.seconds * rate_per_s <= math.log(CHANCES * int(self._begun.sum()))
        return None if is_chance else found

    def _waiting(self, start_ns: int, end_ns: int) -> int:
        """How many were under way where the last slot within a pause begins."""
        slot = (end_ns - 1) // self._width_ns
        if slot * self._width_ns <= start_ns:
            return 0
        return int(self._begun[:slot].sum() - self._ended[:slot].sum())

    def _rate_per_s(self, start_ns: int, end_ns: int) -> float | None:
        """Median of what began in each part of the run, besides those of the pause."""
        filled = np.flatnonzero(self._begun)
        span_ns = (int(filled[-1] - filled[0]) + 1) * self._width_ns - (end_ns - start_ns)
        sparse_ns = FEWEST_PER_PART * span_ns // int(self._begun.sum())
        per_part = -(-max(_SECOND_NS, sparse_ns) // self._width_ns)
        part_ns = per_part * self._width_ns
        # The first and the last part are not whole ones.
        first, last = int(filled[0]) // per_part + 1, int(filled[-1]) // per_part
        if last - first < FEWEST_PARTS:
            return None
        counts = self._begun[first * per_part : last * per_part].reshape(-1, per_part).sum(axis=1)
        begins_ns = np.arange(first, last) * part_ns
        besides = counts[(begins_ns + part_ns <= start_ns) | (begins_ns >= end_ns)]
        if len(besides) < FEWEST_PARTS:
            return None
        return float(np.median(besides)) * 1e9 / part_ns

    def _copy(self) -> "Pulse":
        copy = Pulse()
        copy._width_ns = self._width_ns
        copy._begun, copy._ended = self._begun.copy(), self._ended.copy()
        copy._first_ns, copy._last_ns = self._first_ns.copy(), self._last_ns.copy()
        return copy

    def _reach(self, time_ns: int) -> None:
        while time_ns // self._width_ns >= MAX_SLOTS:
            self._widen()
        slots = time_ns // self._width_ns + 1
        if slots > len(self._begun):
            self._grow(max(slots, 2 * len(self._begun)))

    def _grow(self, slots: int) -> None:
        more = slots + slots % 2 - len(self._begun)  # an even number, so that pairs can be joined
        if more > 0:
            nothing = np.zeros(more, np.int64)
            self._begun = np.concatenate([self._begun, nothing])
            self._ended = np.concatenate([self._ended, nothing])
            self._first_ns = np.concatenate([self._first_ns, nothing + _NEVER_NS])
            self._last_ns = np.concatenate([self._last_ns, nothing - 1])

    def _widen(self) -> None:
        """Make one slot of every two."""
        self._width_ns *= 2
        self._begun = self._begun[::2] + self._begun[1::2]
        self._ended = self._ended[::2] + self._ended[1::2]
        self._first_ns = np.minimum(self._first_ns[::2], self._first_ns[1::2])
        self._last_ns = np.maximum(self._last_ns[::2], self._last_ns[1::2])
        self._grow(len(self._begun))


def describe(standstill: Standstill | None, *, do_arrive: bool) -> str:
    """What to know of a run whose users wait for answers, in one line.

    Args:
        standstill: the longest one.
        do_arrive: users arrive as they are due and stay for a while; else they are kept in.
    """
    come = "users arrive when they are due, but each waits" if do_arrive else "users wait"
    ask = "it asks" if do_arrive else "they ask"
    text = (
        f"{come} for the answer before {ask} again: a stall counts once per waiting user, "
        "not once per request that would have come"
    )
    if standstill is None:
        return text
    rate = f"{standstill.rate_per_s:,.{0 if standstill.rate_per_s >= 100 else 1}f}/s"
    return (
        f"{text}. No request began from {standstill.start_ns / 1e9:.2f} s to "
        f"{standstill.end_ns / 1e9:.2f} s, while {standstill.waiting:,} were under way; "
        f"at the median rate of {rate} about {standstill.unsent:,} would have"
    )
