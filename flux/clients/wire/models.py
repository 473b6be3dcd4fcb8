"""When sessions start: the open model by arrivals that are due, the closed one by users who stay.

Both tell the loop by `next_due_ns` when there is something to start, and hear from it when a
session has ended. Neither starts more than a few at a time, so that responses do not wait.
"""

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Protocol

import trio

from flux.clients.wire.deadlines import NEVER_NS
from flux.clients.wire.visit import Visit
from flux.clients.work import Iterations, Work
from flux.schemas import Flag, Rows

if TYPE_CHECKING:
    from flux.clients.wire.loop import Loop
    from flux.clients.wire.sessions import Sessions

_BURST = 16
"""Sessions started before responses are looked at again."""

_MOST_AHEAD = 8192
"""Rows taken from the inbox before their time."""

_HELD = int(Flag.HELD)


class Model(Protocol):
    """Starts sessions."""

    next_due_ns: int
    """When there is something to start, NEVER_NS if there is nothing."""
    running: int
    """Sessions, or in the closed model users, that have not ended."""
    live: set[Visit]
    """These."""
    is_over: trio.Event
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

    def __init__(self, sessions: "Sessions", work: Work) -> None:
        self._sessions = sessions
        self._log = work.log
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
        self.is_over = trio.Event()

    def feed(self, batch: Rows) -> None:
        """Take a batch of arrivals."""
        self._batches.append((batch["seq"].tolist(), batch["due_ns"].tolist()))
        self._ahead += len(batch)
        if self._index == len(self._dues):
            self._next_batch()

    async def wait_for_room(self) -> None:
        """Wait until few enough arrivals are ahead."""
        while self._ahead > _MOST_AHEAD:
            self._room = trio.Event()
            await self._room.wait()

    def end(self) -> None:
        """No more arrivals will come."""
        self._has_ended = True
        if self._index == len(self._dues):
            self._next_batch()

    def start_due(self, now_ns: int) -> None:
        """Start what is due, as far as the limits allow."""
        for _ in range(_BURST):
            if self.next_due_ns > now_ns:
                return
            due_ns = self._dues[self._index]
            if self._max_lag_ns is not None and now_ns > due_ns + self._max_lag_ns:
                self._drop(now_ns)
            elif self.running < self._most:
                self._start(due_ns)
            elif self._drops:
                self._drop(now_ns)
            else:
                self._hold(due_ns, now_ns)
                return

    def due_together_ns(self, slack_ns: int) -> int:
        """When the last of those is due that are due within `slack_ns` of the next one."""
        if self._is_blocked or self._index == len(self._dues):
            return self.next_due_ns
        limit_ns = self._dues[self._index] + slack_ns
        return self._dues[bisect_right(self._dues, limit_ns, self._index) - 1]

    def _start(self, due_ns: int) -> None:
        seq = self._take()
        visit = Visit(seq)
        self.running += 1
        self.live.add(visit)
        # Whatever was due while there was no place has waited for one, if only behind others.
        self._sessions.start(visit, seq, due_ns, _HELD if due_ns <= self._blocked_ns else 0)

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
            self.is_over.set()
        if self._ahead <= _MOST_AHEAD:
            self._room.set()

    def _drop(self, now_ns: int) -> None:
        due_ns = self._dues[self._index]
        self._log.record_not_started(self._take(), due_ns, now_ns, Flag.DROPPED)

    def _hold(self, due_ns: int, now_ns: int) -> None:
        """Look again when a session ends, or when it is too late."""
        self._is_blocked = True
        self._blocked_ns = now_ns
        self.next_due_ns = NEVER_NS if self._max_lag_ns is None else due_ns + self._max_lag_ns + 1

    def on_end(self, visit: Visit, now_ns: int) -> None:
        """A session has ended, and leaves its place to another."""
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
            self._log.record_not_started(self._take(), due_ns, now_ns, flag)


class ClosedModel:
    """Users run the flow again and again, from when they join until they leave."""

    def __init__(
        self, sessions: "Sessions", loop: "Loop", work: Work, iterations: Iterations
    ) -> None:
        self._sessions = sessions
        self._loop = loop
        self._iterations = iterations
        self._has_rest = iterations.has_rest
        self._most = iterations.count
        self._step, self._first = work.context.run.shard.count, work.context.run.shard.index
        self._seed = work.context.run.seed
        self._changes: deque[tuple[int, int, int]] = deque()
        self._users: dict[int, Visit] = {}
        self._begun = 0
        self._has_ended = False
        self._room = trio.Event()
        self.next_due_ns = NEVER_NS
        self.running = 0
        self.live: set[Visit] = set()
        self.is_over = trio.Event()

    def feed(self, batch: Rows) -> None:
        """Take a batch of users who join or leave."""
        self._changes.extend(batch.tolist())
        self._look_ahead()

    def _look_ahead(self) -> None:
        self.next_due_ns = self._changes[0][0] if self._changes else NEVER_NS
        if len(self._changes) <= _MOST_AHEAD:
            self._room.set()
        if self._has_ended and not self._changes:
            self.is_over.set()

    async def wait_for_room(self) -> None:
        """Wait until few enough changes are ahead."""
        while len(self._changes) > _MOST_AHEAD:
            self._room = trio.Event()
            await self._room.wait()

    def end(self) -> None:
        """Nobody else will join or leave."""
        self._has_ended = True
        self._look_ahead()

    def start_due(self, now_ns: int) -> None:
        """Let users join and leave whose time has come."""
        for _ in range(_BURST):
            if self.next_due_ns > now_ns:
                return
            _, number, change = self._changes.popleft()
            self._look_ahead()
            if change > 0:
                self._join(number)
            else:
                self._leave(self._users.pop(number), now_ns)

    def due_together_ns(self, slack_ns: int) -> int:
        """When the next one is due: users join and leave too seldom to wait for each other."""
        return self.next_due_ns

    def _join(self, number: int) -> None:
        visit = Visit(number)
        self._users[number] = visit
        self.live.add(visit)
        self.running += 1
        self._begin(visit, self._loop.now_ns())

    def _begin(self, visit: Visit, due_ns: int) -> None:
        seq = self._begun * self._step + self._first
        if self._most is not None and seq >= self._most:
            self._retire(visit)
            self.is_over.set()
            return
        self._begun += 1
        visit.began_ns = due_ns
        self._sessions.start(visit, seq, due_ns, 0)

    def on_end(self, visit: Visit, now_ns: int) -> None:
        """A user has finished the flow: another one follows after a rest."""
        if visit.is_leaving:
            self._retire(visit)
            return
        if not self._has_rest:
            self._begin(visit, now_ns)
            return
        rest_ns = self._iterations.rest_ns(self._seed, visit.seq, now_ns - visit.began_ns)
        if rest_ns <= 0:
            self._begin(visit, now_ns)
            return
        visit.rest_number = self._loop.later(now_ns + rest_ns, self._after_rest, visit)

    def _after_rest(self, visit: Visit, number: int) -> None:
        if visit.rest_number == number:
            visit.rest_number = -1
            self._begin(visit, self._loop.now_ns())

    def _leave(self, visit: Visit, now_ns: int) -> None:
        """Finish the flow, but begin no other."""
        visit.is_leaving = True
        if visit.rest_number >= 0:
            visit.rest_number = -1
            self._retire(visit)

    def _retire(self, visit: Visit) -> None:
        if visit in self.live:
            self.live.discard(visit)
            self.running -= 1

    def stop(self, now_ns: int, flag: Flag) -> None:
        """Nobody joins any more; those who are in leave once their flow is finished."""
        self._changes.clear()
        self.next_due_ns = NEVER_NS
        for visit in self._users.values():
            self._leave(visit, now_ns)
        self._users.clear()
