"""How many requests or sessions are under way at once, from when each began and ended.

Theory of operation. Begins count +1, ends -1; sorted by time, their running sum is the number under
way, and its largest value within a row of time is that row's peak. At equal times ends come first,
so one that follows on another is not counted beside it. That takes one sort key per event,

    2·time + (1 for a begin, 0 for an end).

What began is learnt only once it has ended, in any order. So events are held back, and the older of
them are settled into their rows, a few thousand at a time: all but those of the last two seconds.
A row keeps its net change and its peak relative to where it began, which add up in time: for two
stretches a and b, net = a.net + b.net and peak = max(a.peak, a.net + b.peak).

Resolution. Numbers at the end of rows are exact. Peaks are exact as long as nothing that began
before what is settled comes in later; that takes a request of over two seconds and more than 8,192
others since. Such a late begin counts from the end of its row, where peaks are exact again.
"""

import numpy as np
import numpy.typing as npt

HOLD_NS = 2 * 10**9
"""Events that are at most this much older than the newest one are not settled."""

SETTLE_EVENTS = 16384
"""Events that may come in before the older ones are settled: well below a millisecond of work."""

Times = npt.NDArray[np.int64]


class Occupancy:
    """Counts what is under way, row by row of time."""

    def __init__(self, width_ns: int) -> None:
        """Begin with nothing under way and rows of this length."""
        self._width_ns = width_ns
        self._net = np.zeros(64, np.int64)
        self._peak = np.zeros(64, np.int64)
        self._held: list[Times] = []
        self._held_events = 0
        self._settle_at = SETTLE_EVENTS
        self._newest_ns = 0
        self._settled_ns = 0  # events before this time are settled

    def add(self, begins_ns: Times, ends_ns: Times) -> None:
        """Take note of what is over.

        Args:
            begins_ns: (n,) when each began, in any order.
            ends_ns: (n,) when each ended, not before it began.
        """
        if not ends_ns.size:
            return
        self._held.append(np.maximum(begins_ns, 0) * 2 + 1)
        self._held.append(np.maximum(ends_ns, 0) * 2)
        self._held_events += 2 * ends_ns.size
        self._newest_ns = max(self._newest_ns, int(ends_ns.max()))
        if self._held_events >= self._settle_at:
            self._settle(self._newest_ns - HOLD_NS)
            self._settle_at = self._held_events + SETTLE_EVENTS

    def widen(self) -> None:
        """Make one row of every two."""
        net, peak = self._net, self._peak
        half = net.size // 2
        self._net, self._peak = np.zeros_like(net), np.zeros_like(peak)
        self._net[:half] = net[::2] + net[1::2]
        self._peak[:half] = np.maximum(peak[::2], net[::2] + peak[1::2])
        self._width_ns *= 2

    def rows(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """How many were under way, as far as is known; everything is settled by that.

        Returns:
            The number at the end of each of the first `count` rows, and the peak in each.
        """
        self._settle(self._newest_ns + 1)
        self._reserve(count - 1)
        level = np.cumsum(self._net[:count])
        return level, level - self._net[:count] + self._peak[:count]

    def _settle(self, until_ns: int) -> None:
        if not self._held:
            return
        keys = np.concatenate(self._held)
        # A begin that comes too late to be sorted in only changes where its row ends.
        is_settled = keys < 2 * max(until_ns, self._settled_ns)
        is_late = keys < 2 * self._settled_ns
        later = keys[~is_settled]
        self._held, self._held_events = [later], later.size
        self._settle_late(keys[is_late])
        self._settle_sorted(np.sort(keys[is_settled & ~is_late], kind="stable"))
        self._settled_ns = max(until_ns, self._settled_ns)

    def _settle_late(self, keys: Times) -> None:
        if keys.size:
            places = (keys >> 1) // self._width_ns
            self._reserve(int(places.max()))
            np.add.at(self._net, places, 2 * (keys & 1) - 1)

    def _settle_sorted(self, keys: Times) -> None:
        if not keys.size:
            return
        places = (keys >> 1) // self._width_ns
        self._reserve(int(places[-1]))
        running = np.cumsum(2 * (keys & 1) - 1)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        before = np.where(starts > 0, running[starts - 1], 0)
        peaks = np.maximum.reduceat(running, starts) - before
        ends = np.append(running[starts[1:] - 1], running[-1])
        rows = places[starts]
        self._peak[rows] = np.maximum(self._peak[rows], self._net[rows] + peaks)
        self._net[rows] += ends - before

    def _reserve(self, row: int) -> None:
        size = self._net.size
        if row >= size:
            more = np.zeros(max(size, row + 1 - size), np.int64)
            self._net = np.append(self._net, more)
            self._peak = np.append(self._peak, more)
