"""The hot path: one task, one epoll set, sessions and connections driven inline.

Theory of operation. Each round of `Loop.run` does four things:

1. start what is due: arrivals, ends of pauses, expired time limits, things put off for a moment;
2. arm the timer for whatever is due next;
3. wait for sockets and timer, which fires after two milliseconds at the latest;
4. call the handler of each socket that is ready, then send the requests that came of it.

A handler (`Connection._on_readable`) reads a response and, if it is complete, calls
`Sessions.complete`, which judges it, asks the session what to do next, writes the row, and hands
the next request to a connection, all before the next handler is called. So a closed loop of request
and response costs one `recv`, one `send` and its share of one `epoll_wait`; there is no task per
session or connection to schedule, and hardly an object per request.

Sending last. The requests of a round leave one right after the other. A target that is faster than
the loop has gone to sleep by then: sent one by one, each request would have to wake it, which costs
more than to send it (a register flow against nginx: 57 against 67 thousand requests per second).

Living with trio. While requests are under way the loop blocks in `epoll_wait` itself, which ends
with the first event: going through trio's own would cost several times as much per event. Every two
milliseconds it lets trio run whatever else there is, and when nothing has happened for that long it
parks: trio then waits for the epoll set, timer included, and tells when it is ready. It never
spins. As long as somebody computes in turns (`flux.turns`), which are short, the others run ten
times as often. Where a run has several loops they do so, too, and none blocks, or what is due in
one would wait for the other's events: each parks as soon as it has nothing to do.

Clock. Times are `time.perf_counter_ns` less the run's origin: what trio's clock is made of. Each
request reads it twice: right before `send` and right after the `recv` that completed it. First byte
and end of a response that came whole share one reading; the time a request is due after another one
is that one's end. What is decided by the clock, such as which arrivals are due, shares one reading
per round; that delays a start and shows as lag, but falsifies no latency.

Recursion. Whatever fails at once is put off by `soon` to the next round, so that a session that
tries again at once, against a target that refuses at once, neither recurses nor starves the others.
"""

import socket
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final

import trio

from flux import turns
from flux.clients.wire.deadlines import NEVER_NS, Deadlines
from flux.clients.wire.models import Model
from flux.clients.wire.poller import open_poller
from flux.clock import Clock

if TYPE_CHECKING:
    from flux.clients.wire.connection import Connection

_QUANTUM_NS = 2_000_000
_SHARED_QUANTUM_NS = 200_000
_SLACK_NS = 100_000
_EVENTS_PER_ROUND = 32
_MOST_CHECKPOINTS = 8
"""Per quantum: enough for a batch to pass from task to task to the end of the pipeline."""


_LOOPS: Final[trio.lowlevel.RunVar[int]] = trio.lowlevel.RunVar("flux wire loops", 0)
"""How many are running in this thread."""


def origin_of(clock: Clock) -> int:
    """What `time.perf_counter_ns` said when the run began, to within a microsecond or so."""
    best_ns, origin_ns = NEVER_NS, 0
    for _ in range(16):
        before_ns = time.perf_counter_ns()
        now_ns = clock.now_ns()
        after_ns = time.perf_counter_ns()
        if after_ns - before_ns < best_ns:
            best_ns = after_ns - before_ns
            origin_ns = (before_ns + after_ns) // 2 - now_ns
    return origin_ns


class Loop:
    """Rounds of waiting and handling; knows sockets and times, but neither HTTP nor sessions."""

    def __init__(self, clock: Clock) -> None:
        self.origin_ns = origin_of(clock)
        self.poller = open_poller()
        self.deadlines = Deadlines()
        self._agenda: list[tuple[int, int, Callable[[Any, int], None], object]] = []
        self._agenda_count = 0
        self.outbox: list[Connection] = []
        """Connections that have a request to send at the end of the round."""
        self._put_off: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._closing: list[socket.socket] = []
        self._is_over = False
        self._drain_until_ns: int | None = None
        self._is_parked = False

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""
        return time.perf_counter_ns() - self.origin_ns

    async def run(self, model: Model) -> None:
        """Round after round, until nothing is left to drain, or until `finish`."""
        _LOOPS.set(_LOOPS.get() + 1)
        try:
            await self._run(model)
        finally:
            _LOOPS.set(_LOOPS.get() - 1)

    async def _run(self, model: Model) -> None:
        poller, deadlines = self.poller, self.deadlines
        agenda, put_off, closing = self._agenda, self._put_off, self._closing
        outbox = self.outbox
        poll, handlers, clock_ns = poller.poll, poller.handlers, time.perf_counter_ns
        timer_fd, origin_ns = poller.timer_fd, self.origin_ns
        yield_ns, is_busy, is_alone = -NEVER_NS, True, True
        while not self._is_over:
            now_ns = clock_ns() - origin_ns
            if now_ns >= yield_ns:
                if is_busy or put_off:
                    await self._let_others_run(model)
                else:
                    await self._park(model)
                is_busy = False
                is_alone = _LOOPS.get() == 1
                now_ns = clock_ns() - origin_ns
                is_free = is_alone and not turns.are_wanted()
                yield_ns = now_ns + (_QUANTUM_NS if is_free else _SHARED_QUANTUM_NS)

            if model.next_due_ns <= now_ns:
                model.start_due(now_ns)
            if agenda and agenda[0][0] <= now_ns:
                self._resume_due(now_ns)
            if deadlines.next_ns <= now_ns:
                deadlines.sweep(now_ns)
            if put_off:
                self._do_put_off()
            if outbox:
                self._send_requests()
            if self._is_drained(model, now_ns):
                return

            wake_ns = self._wake_ns(model)
            if put_off or wake_ns <= now_ns:
                events = poll(0, _EVENTS_PER_ROUND)
            elif not is_alone:
                await self._park(model)
                events = poll(0, _EVENTS_PER_ROUND)
            else:
                wake_ns = min(wake_ns, yield_ns) + origin_ns
                if not poller.armed_ns or wake_ns + _SLACK_NS < poller.armed_ns:
                    # Starts that are due close together share one wake-up, at the last of them.
                    together_ns = model.due_together_ns(_SLACK_NS) + origin_ns
                    poller.arm(max(wake_ns, min(together_ns, wake_ns + _SLACK_NS)))
                events = poll(-1, _EVENTS_PER_ROUND)
            for fd, mask in events:
                handlers[fd](mask)
                if fd != timer_fd:
                    is_busy = True
            if outbox:
                self._send_requests()
            if closing:
                self._close_sockets()

    async def _let_others_run(self, model: Model) -> None:
        """Give every other task a turn, and more turns as long as nothing is due here."""
        for _ in range(_MOST_CHECKPOINTS):
            await trio.lowlevel.checkpoint()
            if model.next_due_ns <= self.now_ns():
                return
            if not trio.lowlevel.current_statistics().tasks_runnable:
                return

    async def _park(self, model: Model) -> None:
        """There is nothing to do: let trio wait for something to happen."""
        if self._is_over:
            return
        wake_ns = self._wake_ns(model)
        self.poller.arm(wake_ns + self.origin_ns if wake_ns < NEVER_NS else 0)
        self._is_parked = True
        await self.poller.wait()
        self._is_parked = False

    def _is_drained(self, model: Model, now_ns: int) -> bool:
        until_ns = self._drain_until_ns
        return until_ns is not None and (not model.running or now_ns >= until_ns)

    def _wake_ns(self, model: Model) -> int:
        """When there is something to do even if nothing happens."""
        wake_ns = min(model.next_due_ns, self.deadlines.next_ns)
        if self._agenda and self._agenda[0][0] < wake_ns:
            wake_ns = self._agenda[0][0]
        if self._drain_until_ns is not None and self._drain_until_ns < wake_ns:
            return self._drain_until_ns
        return wake_ns

    def _resume_due(self, now_ns: int) -> None:
        agenda = self._agenda
        for _ in range(_EVENTS_PER_ROUND):
            if not agenda or agenda[0][0] > now_ns:
                return
            _, number, resume, subject = heappop(agenda)
            resume(subject, number)

    def _send_requests(self) -> None:
        for connection in self.outbox:
            connection.send_request()
        self.outbox.clear()

    def _do_put_off(self) -> None:
        for _ in range(min(len(self._put_off), _EVENTS_PER_ROUND)):
            do, arguments = self._put_off.popleft()
            do(*arguments)

    def _close_sockets(self) -> None:
        for one in self._closing:
            one.close()
        self._closing.clear()

    def wake(self) -> None:
        """Begin a round even if nothing happens; for other tasks."""
        if self._is_parked:
            self.poller.arm(time.perf_counter_ns())

    def soon(self, do: Callable[..., None], *arguments: object) -> None:
        """Call that in the next round."""
        self._put_off.append((do, arguments))
        self.wake()

    def later(self, due_ns: int, resume: Callable[[Any, int], None], subject: object) -> int:
        """Call `resume(subject, number)` at that time, and return the number."""
        self._agenda_count += 1
        heappush(self._agenda, (due_ns, self._agenda_count, resume, subject))
        return self._agenda_count

    def close_later(self, one: socket.socket) -> None:
        """Close a socket once this round's events are dealt with."""
        self._closing.append(one)

    def drain(self, until_ns: int) -> None:
        """End the rounds once all sessions have ended, at that time at the latest."""
        self._drain_until_ns = until_ns
        self.wake()

    def finish(self) -> None:
        """End the rounds."""
        self._is_over = True
        self.wake()

    def close(self) -> None:
        """Give everything back."""
        self._close_sockets()
        self.poller.close()
