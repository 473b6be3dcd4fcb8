"""Drives a flow with one trio task per session, over any protocol that can make one exchange.

The dispatcher waits for each arrival's due time and starts its session, as far as the limits allow.
In the closed model it lets users join and leave instead, and each user's task loops the flow. Users
who arrive are both: started when due, and looping. Once nothing will start any more, sessions may
go on for the drain time; then, or at a second interrupt, what is still in flight is recorded as
aborted. Nothing is ever cancelled silently: every arrival ends in a row.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import chain
from typing import Any, Protocol

import attrs
import trio

from flux.clients.users import User, Users
from flux.clients.work import Work
from flux.flows.actions import End, Headers, Pause, Result, Send, Session
from flux.schemas import NOBODY, ROSTER, ErrorCode, Flag, Rows


@attrs.define
class Exchange:
    """What is known of one request; the client fills it in as it happens, in run nanoseconds."""

    status: int = 0
    error: ErrorCode = ErrorCode.NONE
    headers: Headers | None = None
    body: bytes | None = None
    connect_ns: int = 0
    tls_ns: int = 0
    first_byte_ns: int = 0
    end_ns: int = 0
    """When the response was complete; 0 if that is when the exchange returns."""
    bytes_out: int = 0
    bytes_in: int = 0
    opened_connection: bool = False
    retries: int = 0
    target: int = 0
    """Which of the executor's targets it goes to; the client is told."""


class Exchanger(Protocol):
    """One session's way to the target: it keeps what belongs to one user, such as cookies."""

    async def exchange(self, send: Send, exchange: Exchange) -> None:
        """Make the request and fill in what came of it; a failure is an error code."""


class Opener(Protocol):
    """Opens a way to the target for one session."""

    def __call__(self) -> AbstractAsyncContextManager[Exchanger]:
        """Open it."""


async def drive(work: Work, open_exchanger: Opener) -> None:
    """Run every session that is due, and return when all of them have ended."""
    async with trio.open_nursery() as flushing:
        flushing.start_soon(work.log.keep_flushing)
        await _driver_for(work)(work, open_exchanger).drive()
        flushing.cancel_scope.cancel()
    await work.log.flush()


def _driver_for(work: Work) -> "type[_Driver]":
    if work.schema is not ROSTER:
        return _OpenDriver
    return _VisitorsDriver if work.are_arrivals else _ClosedDriver


class _Driver:
    """What the open and the closed model share: the life of a session, and the end of the run."""

    def __init__(self, work: Work, open_exchanger: Opener) -> None:
        self._work = work
        self._open_exchanger = open_exchanger
        self._choice = work.choice
        self._clock = work.context.run.clock
        self._control = work.context.run.control
        self._running = 0
        self._idle = trio.Event()

    async def drive(self) -> None:
        """Dispatch until the inbox ends or the run is stopped, then drain."""
        self._work.context.report_gauge(lambda: self._running)
        async with trio.open_nursery() as sessions:
            sessions.start_soon(self._abort_when_told, sessions.cancel_scope)
            try:
                async with self._work.starting():
                    await self._dispatch(sessions)
                await self._cancel_rest()
            except* trio.Cancelled:
                # Aborted before it was stopped. The inbox ends soon, as the pacer has stopped too.
                with trio.CancelScope(shield=True):
                    await self._cancel_rest()
                raise
            now_ns = self._clock.now_ns()
            left_s = max(0, self._work.drained_ns(now_ns) - now_ns) / 1e9
            sessions.cancel_scope.deadline = trio.current_time() + left_s
            if self._running:
                self._idle = trio.Event()
                await self._idle.wait()
            sessions.cancel_scope.cancel()

    async def _abort_when_told(self, scope: trio.CancelScope) -> None:
        await self._control.aborting.wait()
        scope.cancel()

    def _start(
        self, sessions: trio.Nursery, task: Callable[..., Awaitable[None]], *args: Any
    ) -> None:
        """Start a task that the end of the run waits for."""
        self._running += 1
        sessions.start_soon(self._counted, task, args)

    async def _counted(self, task: Callable[..., Awaitable[None]], args: tuple[Any, ...]) -> None:
        try:
            await task(*args)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _dispatch(self, sessions: trio.Nursery) -> None:
        raise NotImplementedError

    async def _cancel_rest(self) -> None:
        raise NotImplementedError

    def _pick(self, seq: int) -> int:
        """Number of the session's target; ~number if the session is to be withheld."""
        return 0 if self._choice is None else self._choice.pick(seq)

    def _not_started(
        self, seq: int, user: int, due_ns: int, flag: Flag, target: int | None = None
    ) -> None:
        number = -1 if target is None else self._work.context.first_target + target
        now_ns = self._clock.now_ns()
        self._work.log.record_not_started(seq, user, due_ns, now_ns, flag, number)

    async def _run_session(
        self,
        session: Session,
        seq: int,
        user: int,
        target: int,
        due_ns: int,
        flags: Flag,
        exchanger: Exchanger,
    ) -> int:
        """Let the flow say what to do until it ends, one row per request; when the last one did."""
        row = _RowOf(seq, user, target, due_ns, flags | Flag.FIRST)
        action = next(session)
        over_ns = self._clock.now_ns()
        try:
            while not isinstance(action, End):
                if isinstance(action, Pause):
                    row.due_ns = over_ns = over_ns + action.duration_ns
                    await self._clock.wait_until(over_ns)
                    action = session.send(None)
                    continue
                row.begin(action, self._clock.now_ns())
                await self._exchange(action, row.exchange, exchanger)
                over_ns = row.end(self._clock.now_ns())
                result = self._judge(action, row)
                action = session.send(result)
                self._record(row, action)
        finally:
            # Not only where Cancelled is raised: libraries raise it in groups as well.
            if not isinstance(action, End):
                self._record_aborted(row)
            session.close()
        return over_ns

    async def _exchange(self, send: Send, exchange: Exchange, exchanger: Exchanger) -> None:
        with trio.move_on_after(send.plan.timeout_ns / 1e9) as scope:
            await exchanger.exchange(send, exchange)
        if scope.cancelled_caught:
            connecting = exchange.opened_connection and not exchange.connect_ns
            exchange.error = ErrorCode.CONNECT_TIMEOUT if connecting else ErrorCode.TIMEOUT

    def _judge(self, send: Send, row: "_RowOf") -> Result:
        exchange = row.exchange
        if not exchange.error:
            exchange.error = send.plan.judge(
                exchange.status, exchange.headers, exchange.body, row.end_ns - row.start_ns
            )
        return Result(exchange.error, exchange.headers, exchange.body)

    def _record(self, row: "_RowOf", next_action: object) -> None:
        skipped = 0
        if not row.exchange.error:
            row.flags |= Flag.SUCCESS
        if isinstance(next_action, End):
            skipped = next_action.skipped
            row.flags |= Flag.LAST | (Flag.SESSION_SUCCESS if next_action.success else Flag(0))
        row.write(self._work, skipped)
        row.next_request()

    def _record_aborted(self, row: "_RowOf") -> None:
        row.end_ns = self._clock.now_ns()
        if not row.in_flight:  # it was pausing: there is no request to tell of
            row.step, row.start_ns, row.exchange = -1, row.end_ns, Exchange()
            row.due_ns = min(row.due_ns, row.end_ns)
        row.exchange.error = ErrorCode.ABORTED
        row.flags |= Flag.ABORTED | Flag.LAST
        row.write(self._work, 0)


class _OpenDriver(_Driver):
    """Sessions start when they are due, whatever became of earlier ones."""

    def __init__(self, work: Work, open_exchanger: Opener) -> None:
        super().__init__(work, open_exchanger)
        self._places = trio.Semaphore(work.limits.max_in_flight)
        self._pending: Iterator[tuple[int, int]] = iter(())
        self._blocked_ns = -1

    async def _dispatch(self, sessions: trio.Nursery) -> None:
        async for batch in self._work.inbox:
            self._pending = _each_arrival(batch)
            for seq, due_ns in self._pending:
                try:
                    await self._clock.wait_until(due_ns)
                    flags = await self._admit(due_ns)
                except trio.Cancelled:
                    self._pending = chain([(seq, due_ns)], self._pending)
                    raise
                if flags is None:
                    self._not_started(seq, seq, due_ns, Flag.DROPPED)
                else:
                    self._admitted(sessions, seq, due_ns, flags)

    def _admitted(self, sessions: trio.Nursery, seq: int, due_ns: int, flags: Flag) -> None:
        """Start a session that has a place, if there is a target for it."""
        target = self._pick(seq)
        if target < 0:
            self._places.release()
            self._not_started(seq, seq, due_ns, Flag.WITHHELD, ~target)
        else:
            self._start(sessions, self._session, seq, target, due_ns, flags)

    async def _admit(self, due_ns: int) -> Flag | None:
        """Take a place for a session that is due; None if it came too late for one."""
        limits = self._work.limits
        deadline_ns = None if limits.max_lag_ns is None else due_ns + limits.max_lag_ns
        if deadline_ns is not None and self._clock.now_ns() > deadline_ns:
            return None
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            if limits.on_late == "drop":
                return None
            patience_s = math.inf
            if deadline_ns is not None:
                patience_s = max(0, deadline_ns - self._clock.now_ns()) / 1e9
            with trio.move_on_after(patience_s) as patience:
                await self._places.acquire()
            self._blocked_ns = self._clock.now_ns()
            return None if patience.cancelled_caught else Flag.HELD
        # Whatever was due while there was no place has waited for one, if only behind others.
        return Flag.HELD if due_ns <= self._blocked_ns else Flag(0)

    async def _session(self, seq: int, target: int, due_ns: int, flags: Flag) -> None:
        has_begun = False
        try:
            async with self._open_exchanger() as exchanger:
                has_begun = True
                session = self._work.flow.session(seq, seq)
                await self._run_session(session, seq, seq, target, due_ns, flags, exchanger)
        finally:
            if not has_begun:
                self._not_started(seq, seq, due_ns, Flag.CANCELLED)
            self._places.release()

    async def _cancel_rest(self) -> None:
        flag = self._work.never_started
        for seq, due_ns in self._pending:
            self._not_started(seq, seq, due_ns, flag)
        async for batch in self._work.inbox:
            for seq, due_ns in _each_arrival(batch):
                self._not_started(seq, seq, due_ns, flag)


class _ClosedDriver(_Driver):
    """Users loop the flow from when they join until they leave."""

    def __init__(self, work: Work, open_exchanger: Opener) -> None:
        super().__init__(work, open_exchanger)
        self._users = Users(work, open_exchanger, self._run_session)

    async def _dispatch(self, sessions: trio.Nursery) -> None:
        with self._users.is_over.cancelling():
            async for batch in self._work.inbox:
                for due_ns, number, change in batch.tolist():
                    await self._clock.wait_until(due_ns)
                    if change < 0:
                        self._users.leave(number)
                    elif number == NOBODY:
                        self._users.attendance.nobody_joins()
                    elif (user := self._users.join(number, due_ns)) is not None:
                        self._start(sessions, self._users.live, user, Flag(0))
            self._users.attendance.end()
            await trio.sleep_forever()

    async def _cancel_rest(self) -> None:
        self._users.all_leave()


class _VisitorsDriver(_OpenDriver):
    """Users arrive when they are due, whatever became of earlier ones, and stay for a while."""

    def __init__(self, work: Work, open_exchanger: Opener) -> None:
        super().__init__(work, open_exchanger)
        self._users = Users(work, open_exchanger, self._run_session)
        self._last_due_ns = 0

    async def _dispatch(self, sessions: trio.Nursery) -> None:
        await super()._dispatch(sessions)
        # Nobody else comes. Who is in stays as long as it is to.
        with self._users.is_over.cancelling():
            self._users.attendance.end()
            if self._users.habits.stay_ns is None:
                await trio.sleep_forever()
            else:
                await self._clock.wait_until(self._last_due_ns + self._users.habits.stay_ns)

    def _admitted(self, sessions: trio.Nursery, seq: int, due_ns: int, flags: Flag) -> None:
        self._last_due_ns = due_ns
        user = self._users.join(seq, due_ns)
        if user is not None:  # an arrival has never been here before
            self._start(sessions, self._visit, user, flags)

    async def _visit(self, user: User, flags: Flag) -> None:
        try:
            await self._users.live(user, flags)
        except trio.Cancelled:
            if not user.done:
                self._not_started(user.number, user.number, user.joined_ns, Flag.CANCELLED)
            raise
        finally:
            self._places.release()

    def _not_started(
        self, seq: int, user: int, due_ns: int, flag: Flag, target: int | None = None
    ) -> None:
        number = self._users.numbers.take()
        if number is not None:  # there is no bound
            super()._not_started(number, user, due_ns, flag, target)

    async def _cancel_rest(self) -> None:
        self._users.all_leave()
        await super()._cancel_rest()


@attrs.define
class _RowOf:
    """The OUTCOME row of the request a session is at."""

    seq: int
    session: int
    target: int
    due_ns: int
    flags: Flag
    step: int = -1
    start_ns: int = 0
    end_ns: int = 0
    in_flight: bool = False
    exchange: Exchange = attrs.field(factory=Exchange)

    def begin(self, send: Send, now_ns: int) -> None:
        self.step, self.start_ns, self.in_flight = send.plan.index, now_ns, True
        self.exchange = Exchange(target=self.target)

    def end(self, now_ns: int) -> int:
        """The exchange has returned; where it failed, nothing was complete before."""
        complete_ns = 0 if self.exchange.error else self.exchange.end_ns
        self.end_ns = max(self.start_ns, complete_ns or now_ns)
        return self.end_ns

    def next_request(self) -> None:
        self.due_ns, self.in_flight, self.flags = self.end_ns, False, Flag(0)

    def write(self, work: Work, skipped: int) -> None:
        exchange = self.exchange
        opened = Flag.NEW_CONNECTION if exchange.opened_connection else Flag(0)
        step = self.step if self.step < 0 else self.step + work.context.first_step
        work.log.record(
            self.seq,
            self.session,
            step,
            skipped,
            self.due_ns,
            self.start_ns,
            exchange.connect_ns,
            exchange.tls_ns,
            exchange.first_byte_ns,
            self.end_ns,
            exchange.status,
            exchange.error,
            exchange.bytes_out,
            exchange.bytes_in,
            self.flags | opened,
            exchange.retries,
            self.target + work.context.first_target,
        )


def _each_arrival(batch: Rows) -> Iterator[tuple[int, int]]:
    """Number and due time of each arrival, be it a session or a user."""
    number = "user" if batch.dtype == ROSTER.dtype else "seq"
    return zip(batch[number].tolist(), batch["due_ns"].tolist())
