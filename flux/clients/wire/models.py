"""When sessions start: the open model by arrivals that are due; `user_models` has those of users.

All tell the loop by `next_due_ns` when there is something to start, and hear from it when a
session has ended. None starts more than a few at a time, so that responses do not wait.
"""

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Protocol

import trio

from flux.cancelling_event import CancellingEvent
from flux.clients.wire.deadlines import NEVER_NS
from flux.clients.wire.visit import Home, Visit
from flux.clients.work import Work
from flux.schemas import Flag, Rows

if TYPE_CHECKING:
    from flux.clients.wire.sessions import Sessions

BURST = 16
"""Sessions started before responses are looked at again."""

MOST_AHEAD = 8192
"""Rows taken from the inbox before their time."""

_LOOK_AHEAD = 8
"""Starts whose gaps tell whether it pays to have several share a wake-up."""

_HELD = int(Flag.HELD)


class Model(Protocol):
    """Starts sessions."""

    next_due_ns: int
    """When there is something to start, NEVER_NS if there is nothing."""
    running: int
    """Sessions, or in the closed model users, that have not ended."""
    live: set[Visit]
    """These."""
    is_over: CancellingEvent
    """Set once nothing will ever start again, as far as it is up to this."""

    def feed(self, batch: Rows) -> None:
        """Take a batch of the inbox."""

    async def wait_for_room(self) -> None:
        """Wait until another batch is wanted."""

    def end(self) -> None:
        """The inbox has ended."""

    def start_due(self, now_ns: int) -> None:
        """Start what is due, or some of it."""

    def due_together_ns(self, slack_ns: int) -> int:
        """When the last of those is due that are due within `slack_ns` of the next one."""

    def on_end(self, visit: Visit, now_ns: int) -> None:
        """A session has ended."""

    def stop(self, now_ns: int, flag: Flag) -> None:
        """Start nothing any more: what has not started is dropped or cancelled, by the flag."""


class OpenModel:
    """Sessions start when they are due, whatever became of earlier ones."""

    number: ClassVar[str] = "seq"
    """The column of a batch that has the number of an arrival."""

    def __init__(self, sessions: "Sessions", work: Work) -> None:
        self._sessions = sessions
        self._log = work.log
        self._homes, self._choice = sessions.homes, work.choice
        self._most = work.limits.max_in_flight
        self._drops = work.limits.on_late == "drop"
        self._max_lag_ns = work.limits.max_lag_ns
        self._batches: deque[tuple[list[int], list[int]]] = deque()
        self._seqs: list[int] = []
        self._dues: list[int] = []
        self._index = 0
        self._ahead = 0
        self._room = trio.Event()
        self._has_ended = False
        self._is_blocked = False
        self._blocked_ns = -1
        self.next_due_ns = NEVER_NS
        self.running = 0
        self.live: set[Visit] = set()
        self.is_over = CancellingEvent()

    def feed(self, batch: Rows) -> None:
        """Take a batch of arrivals."""
        self._batches.append((batch[self.number].tolist(), batch["due_ns"].tolist()))
        self._ahead += len(batch)
        if self._index == len(self._dues):
            self._next_batch()

    async def wait_for_room(self) -> None:
        """Wait until few enough arrivals are ahead."""
        while self._ahead > MOST_AHEAD:
            self._room = trio.Event()
            await self._room.wait()

    def end(self) -> None:
        """No more arrivals will come."""
        self._has_ended = True
        if self._index == len(self._dues):
            self._next_batch()

    def start_due(self, now_ns: int) -> None:
        """Start what is due, as far as the limits allow."""
        for _ in range(BURST):
            if self.next_due_ns > now_ns:
                return
            due_ns = self._dues[self._index]
            if self._max_lag_ns is not None and now_ns > due_ns + self._max_lag_ns:
                self._drop(now_ns)
            elif self.running < self._most:
                self._start(due_ns, now_ns)
            elif self._drops:
                self._drop(now_ns)
            else:
                self._hold(due_ns, now_ns)
                return

    def due_together_ns(self, slack_ns: int) -> int:
        """When the last of those is due that are due within `slack_ns` of the next one."""
        if self._is_blocked or self._index == len(self._dues):
            return self.next_due_ns
        first, last = self._index, min(self._index + _LOOK_AHEAD, len(self._dues) - 1)
        if self._dues[last] - self._dues[first] > (last - first) * slack_ns:
            return self.next_due_ns  # at this rate few would join: it is not worth their lag
        limit_ns = self._dues[first] + slack_ns
        return self._dues[bisect_right(self._dues, limit_ns, self._index) - 1]

    def _start(self, due_ns: int, now_ns: int) -> None:
        # Whatever was due while there was no place has waited for one, if only behind others.
        flags = _HELD if due_ns <= self._blocked_ns else 0
        self._begin(self._take(), due_ns, now_ns, flags)

    def _begin(self, seq: int, due_ns: int, now_ns: int, flags: int) -> None:
        """Start a session that has a place, if there is a target for it."""
        home = self._homes[0]
        if self._choice is not None:
            target = self._choice.pick(seq)
            home = self._homes[target]
            if target < 0:
                home = self._homes[~target]
                self._log.record_not_started(seq, seq, due_ns, now_ns, Flag.WITHHELD, home.number)
                return
        actions = self._sessions.begin(seq, seq)
        self._sessions.start(self._enter(seq, home), seq, actions, due_ns, flags)

    def _enter(self, number: int, home: Home) -> Visit:
        """Somebody takes a place."""
        visit = Visit(number, home)
        self.running += 1
        self.live.add(visit)
        return visit

    def _take(self) -> int:
        seq = self._seqs[self._index]
        self._index += 1
        if self._index < len(self._dues):
            self.next_due_ns = self._dues[self._index]
        else:
            self._next_batch()
        return seq

    def _next_batch(self) -> None:
        self._ahead -= len(self._dues)
        self._seqs, self._dues, self._index = [], [], 0
        self.next_due_ns = NEVER_NS
        if self._batches:
            self._seqs, self._dues = self._batches.popleft()
            self.next_due_ns = self._dues[0] if self._dues else 0
            if not self._dues:
                self._next_batch()
        elif self._has_ended:
            self._on_last()
        if self._ahead <= MOST_AHEAD:
            self._room.set()

    def _on_last(self) -> None:
        """Every arrival has been dealt with."""
        self.is_over.set()

    def _drop(self, now_ns: int) -> None:
        due_ns = self._dues[self._index]
        self._not_started(self._take(), due_ns, now_ns, Flag.DROPPED)

    def _not_started(self, number: int, due_ns: int, now_ns: int, flag: Flag) -> None:
        self._log.record_not_started(number, number, due_ns, now_ns, flag)

    def _hold(self, due_ns: int, now_ns: int) -> None:
        """Look again when a session ends, or when it is too late."""
        self._is_blocked = True
        self._blocked_ns = now_ns
        self.next_due_ns = NEVER_NS if self._max_lag_ns is None else due_ns + self._max_lag_ns + 1

    def on_end(self, visit: Visit, now_ns: int) -> None:
        """A session has ended, and leaves its place to another."""
        self._leave_place(visit, now_ns)

    def _leave_place(self, visit: Visit, now_ns: int) -> None:
        self.running -= 1
        self.live.discard(visit)
        if self._is_blocked:
            self._is_blocked = False
            if self._index < len(self._dues):
                self._blocked_ns = now_ns
                self.next_due_ns = self._dues[self._index]

    def stop(self, now_ns: int, flag: Flag) -> None:
        """Start nothing any more: what has not started is dropped or cancelled, by the flag."""
        while self._index < len(self._dues):
            due_ns = self._dues[self._index]
            self._not_started(self._take(), due_ns, now_ns, flag)
