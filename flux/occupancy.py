"""How many requests or sessions are under way at once, from when each began and ended.

Theory of operation. Begins count +1, ends -1; sorted by time, their running sum is the number under
way, and its largest value within a row of time is that row's peak. At equal times ends come first,
so one that follows on another is not counted beside it. That takes one sort key per event,

    2·time + (1 for a begin, 0 for an end).

What began is learnt only once it has ended, in any order. So events are held back in slots of
100 ms, and once there are many of them, those that are more than two seconds old are settled into
their rows, slot by slot. A row keeps its net change and its peak relative to where it began, which
add up in time: of two stretches a and b together, the net change is a.net + b.net and the peak is
max(a.peak, a.net + b.peak).

Resolution. Numbers at the end of rows are exact. Peaks are exact as long as nothing that began in
a settled slot comes in later; that takes a request of over two seconds and tens of thousands of
others since. Such a late begin counts from where its row is settled to, and later rows are exact
again.
"""

import numpy as np
import numpy.typing as npt

NEW_EVENTS = 8192
"""Events that may come in before they are looked at: it is cheaper for many at once."""

SLOT_NS = 10**8
"""Events are sorted and settled by this much time at once."""

HOLD_NS = 2 * 10**9
"""Slots stay open for this long after they ended."""

HOLD_EVENTS = 65536
"""And for as long as no more events than these are held."""

Times = npt.NDArray[np.int64]


class Occupancy:
    """Counts what is under way, row by row of time."""

    def __init__(self, width_ns: int) -> None:
        """Begin with nothing under way and rows of this length."""
        self._width_ns = width_ns
        self._net = np.zeros(64, np.int64)
        self._peak = np.zeros(64, np.int64)
        self._new: list[Times] = []
        self._new_events = 0
        self._held: dict[int, list[Times]] = {}
        self._held_events = 0
        self._newest_slot = 0
        self._first_open = 0  # the first slot that is not settled

    def add(self, begins_ns: Times, ends_ns: Times) -> None:
        """Take note of what began and ended; one's begin and end may come separately.

        Args:
            begins_ns: (n,) when some began, in any order.
            ends_ns: (m,) when some ended, none before it began.
        """
        self._new.append(np.maximum(begins_ns, 0) * 2 + 1)
        self._new.append(np.maximum(ends_ns, 0) * 2)
        self._new_events += begins_ns.size + ends_ns.size
        if self._new_events > NEW_EVENTS:
            self._hold_new()
            if self._held_events > HOLD_EVENTS:
                self._settle(self._newest_slot - HOLD_NS // SLOT_NS)

    def widen(self) -> None:
        """Make one row of every two."""
        net, peak = self._net, self._peak
        half = net.size // 2
        self._net, self._peak = np.zeros_like(net), np.zeros_like(peak)
        self._net[:half] = net[::2] + net[1::2]
        self._peak[:half] = np.maximum(peak[::2], net[::2] + peak[1::2])
        self._width_ns *= 2

    def rows(self, count: int) -> tuple[Times, Times]:
        """How many were under way, as far as is known; everything is settled by that.

        Returns:
            The number at the end of each of the first `count` rows, and the peak in each.
        """
        self._hold_new()
        self._settle(self._newest_slot + 1)
        self._reserve(count - 1)
        level = np.cumsum(self._net[:count])
        return level, level - self._net[:count] + self._peak[:count]

    def _hold_new(self) -> None:
        """Put what came in since the last time into its slots, sorted."""
        if not self._new_events:
            return
        keys = np.sort(np.concatenate(self._new), kind="stable")
        self._new, self._new_events = [], 0
        self._held_events += keys.size
        first, last = (int(key) // (2 * SLOT_NS) for key in (keys[0], keys[-1]))
        self._newest_slot = max(self._newest_slot, last)
        if first == last:
            self._hold_slot(first, keys)
            return
        slots = keys // (2 * SLOT_NS)
        starts = np.flatnonzero(np.diff(slots, prepend=-1))
        for slot, part in zip(slots[starts].tolist(), np.split(keys, starts[1:])):
            self._hold_slot(slot, part)

    def _hold_slot(self, slot: int, keys: Times) -> None:
        if slot < self._first_open:
            self._settle_late(keys)
        else:
            self._held.setdefault(slot, []).append(keys)

    def _settle(self, until_slot: int) -> None:
        """Settle every slot before this one."""
        for slot in sorted(slot for slot in self._held if slot < until_slot):
            self._settle_sorted(np.sort(np.concatenate(self._held.pop(slot)), kind="stable"))
        self._first_open = max(self._first_open, until_slot)

    def _settle_late(self, keys: Times) -> None:
        places = keys // (2 * self._width_ns)
        self._held_events -= keys.size
        self._reserve(int(places.max()))
        np.add.at(self._net, places, 2 * (keys & 1) - 1)

    def _settle_sorted(self, keys: Times) -> None:
        running = np.cumsum(2 * (keys & 1) - 1)
        first, last = int(keys[0]) // (2 * self._width_ns), int(keys[-1]) // (2 * self._width_ns)
        self._held_events -= keys.size
        self._reserve(last)
        if first == last:
            self._peak[first] = max(self._peak[first], self._net[first] + running.max())
            self._net[first] += running[-1]
            return
        places = keys // (2 * self._width_ns)
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
