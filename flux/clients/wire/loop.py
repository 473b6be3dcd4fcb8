"""The hot path: one task, one epoll set, sessions and connections driven inline.

Theory of operation. Each round of `Loop.run` does four things:

1. start what is due: arrivals, ends of pauses, expired time limits, things put off for a moment;
2. arm the timer for whatever is due next;
3. wait for sockets and timer, for two milliseconds at the most;
4. call the handler of each socket that is ready.

A handler reads a response and, if it is complete, calls `complete`, which judges it, asks the session
what to do next, writes the row, and sends the next request, all before the next handler is called.
So a closed loop of request and response costs one `recv`, one `send` and its share of one
`epoll_wait`; there is no task per session or connection to schedule, and no object per request.

Living with trio. While requests are under way the loop blocks in `epoll_wait` itself, which ends with
the first event: going through trio's own would cost ten times as much per event. Every two
milliseconds it lets trio run whatever else there is, and when nothing has happened for that long it
parks: trio then waits for the epoll set, timer included, and tells when it is ready. It never spins.

Clock. Times are `time.perf_counter_ns` less the run's origin: what trio's clock is made of. Each
request reads it twice: right before `send` and right after the `recv` that completed it. First byte
and end of a response that came whole share one reading; the time a request is due after another one
is that one's end. What is decided by the clock, such as which arrivals are due, shares one reading
per round; that delays a start and shows as lag, but falsifies no latency.

Recursion. Whatever fails at once is put off by `soon` to the next round, so that a session that tries
again at once, against a target that refuses at once, neither recurses nor starves the others.
"""

import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import trio

from flux.clients.wire.cookies import CookieJar
from flux.clients.wire.deadlines import NEVER_NS, Deadlines
from flux.clients.wire.decode import decode
from flux.clients.wire.encode import Step
from flux.clients.wire.errors import BadResponse
from flux.clients.wire.heads import Head
from flux.clients.wire.models import ClosedModel, Model, OpenModel
from flux.clients.wire.poller import open_poller
from flux.clients.wire.pool import Pool
from flux.clients.wire.redirects import STATUSES, follow
from flux.clients.wire.resolve import Address, Resolver, WhenResolved
from flux.clients.wire.response import ResponseReader
from flux.clients.wire.settings import Origin, WireSettings
from flux.clients.wire.tls import make_context
from flux.clients.wire.visit import Visit
from flux.clients.work import Work
from flux.clock import Clock
from flux.flows.actions import Action, End, Pause, Result, Send
from flux.schemas import ROSTER, ErrorCode, Flag

_QUANTUM_NS = 2_000_000
_QUANTUM_S = _QUANTUM_NS / 1e9
_EVENTS_PER_ROUND = 32
_PUT_OFF_PER_ROUND = 32
_MOST_CHECKPOINTS = 8
"""Per quantum: enough for a batch to pass from task to task to the end of the pipeline."""

_FIRST, _LAST, _SUCCESS = int(Flag.FIRST), int(Flag.LAST), int(Flag.SUCCESS)
_LAST_SUCCESS = int(Flag.LAST | Flag.SESSION_SUCCESS)
_ABORTED = int(Flag.ABORTED | Flag.LAST)
_RESULTS = tuple(Result(code) for code in ErrorCode)
"""Results without headers and body, by code."""
_IDEMPOTENT = (b"GET ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"TRACE ")
"""Source: RFC 9110, 9.2.2."""


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
    """Everything alive of one run of the wire client."""

    def __init__(self, work: Work, settings: WireSettings, nursery: trio.Nursery) -> None:
        self.settings = settings
        self.origin_ns = origin_of(work.context.run.clock)
        self.poller = open_poller()
        self.deadlines = Deadlines()
        self._log = work.log
        self._begin_flow = work.flow.begin
        self._resolver = Resolver(nursery, settings.resolve_ttl_s)
        self._steps = [
            Step(plan, settings.origin.authority, settings.base_path, work.context.first_step)
            for plan in work.flow.plans
        ]
        self._context = settings.ssl_context
        self._pools: dict[Origin, Pool] = {}
        self._home = self._pool(settings.origin)
        self._agenda: list[tuple[int, int, Callable[[Visit, int], None], Visit]] = []
        self._agenda_count = 0
        self._put_off: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._closing: list[socket.socket] = []
        self._is_over = False
        self._drain_until_ns: int | None = None
        self._is_parked = False
        self.model: Model
        if work.schema is ROSTER:
            if work.iterations is None:
                raise TypeError("the closed model needs the source's iterations")
            self.model = ClosedModel(self, work, work.iterations)
        else:
            self.model = OpenModel(self, work)

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""
        return time.perf_counter_ns() - self.origin_ns

    # Rounds

    async def run(self) -> None:
        """Round after round, until nothing is left to drain, or until `finish`."""
        poller, model, deadlines = self.poller, self.model, self.deadlines
        agenda, put_off, closing = self._agenda, self._put_off, self._closing
        poll, handlers, clock_ns = poller.poll, poller.handlers, time.perf_counter_ns
        origin_ns, yielded_ns = self.origin_ns, -NEVER_NS
        while not self._is_over:
            now_ns = clock_ns() - origin_ns
            if now_ns - yielded_ns > _QUANTUM_NS:
                await self._let_others_run()
                yielded_ns = now_ns = clock_ns() - origin_ns
            if model.next_due_ns <= now_ns:
                model.start_due(now_ns)
            if agenda and agenda[0][0] <= now_ns:
                self._resume_due(now_ns)
            if deadlines.next_ns <= now_ns:
                deadlines.sweep(now_ns)
            if put_off:
                self._do_put_off()

            wake_ns = min(model.next_due_ns, deadlines.next_ns)
            if self._drain_until_ns is not None:
                if not model.running or now_ns >= self._drain_until_ns:
                    return
                wake_ns = min(wake_ns, self._drain_until_ns)
            if agenda and agenda[0][0] < wake_ns:
                wake_ns = agenda[0][0]
            if put_off or wake_ns <= now_ns:
                events = poll(0, _EVENTS_PER_ROUND)
            else:
                wake_ns += origin_ns
                if wake_ns != poller.armed_ns:
                    poller.arm(wake_ns if wake_ns < NEVER_NS else 0)
                events = poll(_QUANTUM_S, _EVENTS_PER_ROUND)
                if not events and not self._is_over:
                    self._is_parked = True
                    await poller.wait()
                    self._is_parked = False
                    yielded_ns = clock_ns() - origin_ns
            for fd, mask in events:
                handlers[fd](mask)
            if closing:
                self._close_sockets()

    async def _let_others_run(self) -> None:
        for _ in range(_MOST_CHECKPOINTS):
            await trio.lowlevel.checkpoint()
            if not trio.lowlevel.current_statistics().tasks_runnable:
                return

    def _resume_due(self, now_ns: int) -> None:
        agenda = self._agenda
        for _ in range(_EVENTS_PER_ROUND):
            if not agenda or agenda[0][0] > now_ns:
                return
            _, number, resume, visit = heappop(agenda)
            resume(visit, number)

    def _do_put_off(self) -> None:
        for _ in range(min(len(self._put_off), _PUT_OFF_PER_ROUND)):
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

    def later(self, due_ns: int, resume: Callable[[Visit, int], None], visit: Visit) -> int:
        """Call `resume(visit, number)` at that time, and return the number."""
        self._agenda_count += 1
        heappush(self._agenda, (due_ns, self._agenda_count, resume, visit))
        return self._agenda_count

    def close_later(self, one: socket.socket) -> None:
        """Close a socket once this round's events are dealt with."""
        self._closing.append(one)

    # Sessions

    def start(self, visit: Visit, seq: int, due_ns: int, flags: int) -> None:
        """Begin a session."""
        visit.seq = seq
        visit.flags = flags | _FIRST
        visit.step = None
        visit.actions = actions = self._begin_flow(seq, visit.user)
        visit.advance = actions.send
        action = next(actions)
        if type(action) is Send:
            self._send(visit, action, due_ns)
        elif isinstance(action, End):
            self.soon(self.model.on_end, visit, self.now_ns())  # it might begin anew at once
        else:
            self._act(visit, action, self.now_ns())

    def _act(self, visit: Visit, action: Action, now_ns: int) -> None:
        """Do what the session wants next, other than at its start."""
        if type(action) is Send:
            self._send(visit, action, now_ns)
        elif isinstance(action, Pause):
            visit.step = None
            visit.due_ns = now_ns + action.duration_ns
            self.later(visit.due_ns, self._after_pause, visit)
        elif isinstance(action, Send):
            self._send(visit, action, now_ns)
        else:
            visit.step = None
            self.model.on_end(visit, now_ns)

    def _after_pause(self, visit: Visit, number: int) -> None:
        if visit in self.model.live:
            self._act(visit, visit.advance(None), visit.due_ns)

    def _send(self, visit: Visit, send: Send, due_ns: int) -> None:
        step = self._steps[send.plan.index]
        request, visit.body_bytes = step.encode(send.values)
        visit.step = step
        visit.due_ns = due_ns
        visit.first_byte_ns = visit.connect_ns = visit.tls_ns = 0
        visit.retries = visit.redirects = 0
        visit.request = request
        if visit.jar is not None and not step.has_cookies:
            self._add_cookies(visit, self._home.origin)
        visit.start_ns = start_ns = time.perf_counter_ns() - self.origin_ns
        visit.deadline_ns = start_ns + step.timeout_ns
        self._home.carry(visit)

    def complete(self, visit: Visit, head: Head, body: bytes | None, end_ns: int) -> None:
        """Judge a complete response, write its row, and go on with the session."""
        status, bytes_in, headers, encoding = head
        if encoding is not None and body is not None:
            try:
                body = decode(body, encoding)
            except BadResponse as error:
                self._fail(visit, error.code, end_ns)
                return
        step = visit.step
        error_code = step.judge(status, headers, body, end_ns - visit.start_ns)
        if headers is None and body is None:
            action = visit.advance(_RESULTS[error_code])
        else:
            action = visit.advance(Result(error_code, headers, body))
        self._record(visit, action, status, error_code, bytes_in, end_ns)
        self._act(visit, action, end_ns)

    def _fail(self, visit: Visit, code: ErrorCode, end_ns: int) -> None:
        """There is no complete response: tell the session, and go on with it."""
        action = visit.advance(_RESULTS[code])
        self._record(visit, action, 0, code, 0, end_ns)
        self._act(visit, action, end_ns)

    def _record(
        self, visit: Visit, action: Action, status: int, error: int, bytes_in: int, end_ns: int
    ) -> None:
        flags = visit.flags if error else visit.flags | _SUCCESS
        skipped = 0
        if isinstance(action, End):
            skipped = action.skipped
            flags |= _LAST_SUCCESS if action.success else _LAST
        visit.flags = 0
        self._log.record(
            visit.seq,
            visit.user,
            visit.step.number,
            skipped,
            visit.due_ns,
            visit.start_ns,
            visit.connect_ns,
            visit.tls_ns,
            visit.first_byte_ns,
            end_ns,
            status,
            error,
            visit.body_bytes,
            bytes_in,
            flags,
            visit.retries,
        )

    # The less common turns of an exchange

    def lose(self, visit: Visit, code: ErrorCode, *, is_stale: bool) -> None:
        """A request has failed: send it again if that is safe and may help, or give it up."""
        if is_stale and not visit.retries and visit.request.startswith(_IDEMPOTENT):
            visit.retries += 1
            pool = visit.connection.pool if visit.connection else self._home
            pool.wait(visit, first=True)
            return
        self._fail_now(visit, code)

    def _fail_now(self, visit: Visit, code: ErrorCode) -> None:
        self._fail(visit, code, time.perf_counter_ns() - self.origin_ns)

    def is_special(self, status: int, reader: ResponseReader) -> bool:
        """Whether a response asks for more than to be judged: a redirect, or cookies to keep."""
        if status in STATUSES and self.settings.max_redirects:
            return reader.first(b"location") is not None
        return self.settings.keeps_cookies and reader.first(b"set-cookie") is not None

    def take_special(self, visit: Visit, status: int, reader: ResponseReader) -> bool:
        """Keep its cookies and follow its redirect; True when the exchange goes on."""
        pool = visit.connection.pool if visit.connection else self._home
        cookies = reader.all(b"set-cookie") if self.settings.keeps_cookies else []
        if cookies:
            visit.jar = visit.jar or CookieJar()
            visit.jar.store(cookies, pool.origin.host, _target(visit.request))
        location = reader.first(b"location")
        if status not in STATUSES or not self.settings.max_redirects or location is None:
            return False
        try:
            if visit.redirects == self.settings.max_redirects:
                raise BadResponse(ErrorCode.REDIRECTS)
            visit.request, origin = follow(visit.request, pool.origin, status, location)
        except BadResponse as error:
            self.soon(self._fail_now, visit, error.code)
            return True
        visit.redirects += 1
        visit.first_byte_ns = 0
        if visit.jar is not None:
            self._add_cookies(visit, origin)
        self._pool(origin).carry(visit)
        return True

    def _add_cookies(self, visit: Visit, origin: Origin) -> None:
        cookies = visit.jar.header(origin.host, _target(visit.request).decode(), origin.is_secure)
        if cookies:
            line = b"\r\nCookie: %b\r\n" % cookies
            visit.request = visit.request.replace(b"\r\n", line, 1)

    # Pools

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            where: tuple[str, int] | str = (origin.host, origin.port)
            if origin == self.settings.origin:
                where = self.settings.unix_socket or self.settings.connect_to or where
            self._pools[origin] = pool = Pool(self, origin, where)
        return pool

    def ssl_context(self) -> ssl.SSLContext:
        """The context of all https connections."""
        if self._context is None:
            self._context = make_context(self.settings.tls)
        return self._context

    def resolve(self, host: str, port: int, when_resolved: WhenResolved) -> None:
        """Call back with the addresses of a name."""
        self._resolver.resolve(host, port, when_resolved)

    def prefer(self, host: str, port: int, address: Address) -> None:
        """Try this address of a name first from now on."""
        self._resolver.prefer(host, port, address)

    # The end

    def abort(self) -> None:
        """Give up everything in flight, with a row for each, and finish."""
        now_ns = self.now_ns()
        for visit in list(self.model.live):
            self._abort(visit, now_ns)
        self.model.live.clear()
        self.model.running = 0
        self.finish()

    def _abort(self, visit: Visit, now_ns: int) -> None:
        visit.actions.close()
        if visit.rest_number >= 0:
            return
        step, body_bytes = -1, 0
        if visit.step is None:
            visit.start_ns = now_ns
            visit.first_byte_ns = visit.connect_ns = visit.tls_ns = visit.retries = 0
        else:
            step, body_bytes = visit.step.number, visit.body_bytes
        self._log.record(
            visit.seq,
            visit.user,
            step,
            0,
            visit.due_ns,
            visit.start_ns,
            visit.connect_ns,
            visit.tls_ns,
            visit.first_byte_ns,
            now_ns,
            0,
            ErrorCode.ABORTED,
            body_bytes,
            0,
            visit.flags | _ABORTED,
            visit.retries,
        )

    def drain(self, until_ns: int) -> None:
        """End the rounds once all sessions have ended, at that time at the latest."""
        self._drain_until_ns = until_ns
        self.wake()

    def finish(self) -> None:
        """End the rounds."""
        self._is_over = True
        self.wake()

    def close(self) -> None:
        """Close everything."""
        for pool in self._pools.values():
            pool.close()
        self._close_sockets()
        self.poller.close()


def _target(request: bytes) -> bytes:
    return request.split(b" ", 2)[1]
