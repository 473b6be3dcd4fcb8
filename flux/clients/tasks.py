"""Drives a flow with one trio task per session, over any protocol that can make one exchange.

The dispatcher waits for each arrival's due time and starts its session, as far as the limits allow.
In the closed model it lets users join and leave instead, and each user's task loops the flow. Users
who arrive are both: started when due, and looping. Once nothing will start any more, sessions may
go on for the drain time; then, or at a second interrupt, what is still in flight is recorded as
aborted. Nothing is ever cancelled silently: every arrival ends in a row.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import Any

import trio

from flux.clients.exchange import Opener
from flux.clients.session import SessionRunner
from flux.clients.users import User, Users
from flux.clients.work import Work
from flux.schemas import NOBODY, ROSTER, Flag, Rows


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
    """What the open and the closed model share: who is under way, and the end of the run."""

    def __init__(self, work: Work, open_exchanger: Opener) -> None:
        self._work = work
        self._open_exchanger = open_exchanger
        self._choice = work.choice
        self._runner = SessionRunner(work)
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
                await self._runner.run(session, seq, seq, target, due_ns, flags, exchanger)
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
        self._users = Users(work, open_exchanger, self._runner)

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
        self._users = Users(work, open_exchanger, self._runner)
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


def _each_arrival(batch: Rows) -> Iterator[tuple[int, int]]:
    """Number and due time of each arrival, be it a session or a user."""
    number = "user" if batch.dtype == ROSTER.dtype else "seq"
    return zip(batch[number].tolist(), batch["due_ns"].tolist())
