"""The life of users, one trio task each: the flow again and again until a user is gone."""

from contextlib import nullcontext

import attrs
import trio

from flux.cancelling_event import CancellingEvent
from flux.clients.attendance import Attendance, IterationNumbers
from flux.clients.exchange import Opener
from flux.clients.session import SessionRunner
from flux.clients.work import Work
from flux.schemas import Flag


@attrs.define(eq=False)
class User:
    """A virtual user."""

    number: int
    joined_ns: int
    """When it was due."""
    done: int = 0
    """Iterations it has begun."""
    is_leaving: bool = False
    _rest: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)

    def resting(self) -> trio.CancelScope:
        """A scope for the time between two iterations, which leaving cuts short."""
        self._rest = trio.CancelScope()
        if self.is_leaving:
            self._rest.cancel()
        return self._rest

    def leave(self) -> None:
        """Finish the flow, but begin no other."""
        self.is_leaving = True
        self._rest.cancel()


class Users:
    """The users of one executor."""

    def __init__(
        self,
        work: Work,
        open_exchanger: Opener,
        runner: SessionRunner,
    ) -> None:
        """Begin with nobody."""
        if work.habits is None:
            raise TypeError("an executor of users needs to know what they do")
        run = work.context.run
        self.habits = work.habits
        self.is_over = CancellingEvent()
        """Set once nothing will begin any more."""
        self.numbers = IterationNumbers(run.shard, self.habits.count)
        self.attendance = Attendance(self.habits, self.is_over.set)
        self._flow, self._seed, self._clock = work.flow, run.seed, run.clock
        self._choice, self._log = work.choice, work.log
        self._first_target = work.context.first_target
        self._open_exchanger = open_exchanger
        self._runner = runner
        self._present: dict[int, User] = {}

    def join(self, number: int, due_ns: int) -> User | None:
        """A user joins; None if it has nothing left to do."""
        done = self.attendance.join(number)
        if done is None:
            return None
        self._present[number] = user = User(number, due_ns, done)
        return user

    def leave(self, number: int) -> None:
        """A user is told to leave, unless it has left by itself."""
        user = self._present.pop(number, None)
        if user is not None:
            self.attendance.leave(number, user.done)
            user.leave()

    def all_leave(self) -> None:
        """Everybody is told to leave."""
        for number in list(self._present):
            self.leave(number)

    async def live(self, user: User, flags: Flag) -> None:
        """Run the flow until the user is gone; `flags` are its first row's."""
        try:
            if self._flow.identity == "iteration":
                await self._iterate(user, flags, self._open_exchanger)
                return
            async with self._open_exchanger() as exchanger:
                await self._iterate(user, flags, lambda: nullcontext(exchanger))
        finally:
            if self._present.get(user.number) is user:
                del self._present[user.number]

    async def _iterate(
        self,
        user: User,
        flags: Flag,
        open_exchanger: Opener,
    ) -> None:
        sessions = self._flow.sessions_of(user.number)
        flags |= Flag.AGAIN if user.done else Flag(0)
        due_ns: int | None = user.joined_ns
        while due_ns is not None and not self._is_gone(user):
            seq = self.numbers.take()
            if seq is None:
                self.is_over.set()
                return
            start_ns = self._clock.now_ns()
            target = 0 if self._choice is None else self._choice.pick(seq)
            if target < 0:
                due_ns = self._withhold(user, seq, due_ns, flags & Flag.AGAIN, ~target)
            else:
                async with open_exchanger() as exchanger:
                    self._begin(user)
                    end_ns = await self._runner.run(
                        sessions(seq), seq, user.number, target, due_ns, flags, exchanger
                    )
                due_ns = self._next_due_ns(user, start_ns, end_ns)
            flags = Flag.AGAIN
            if due_ns is not None:
                with user.resting():
                    await self._clock.wait_until(due_ns)
        if self._present.get(user.number) is user:
            self.attendance.stop_early(user.number)

    def _begin(self, user: User) -> None:
        user.done += 1
        self.attendance.begin(user.number, user.done)

    def _withhold(self, user: User, seq: int, due_ns: int, flags: Flag, target: int) -> int | None:
        """The iteration has nowhere to go: when the user looks again, None if it is gone."""
        now_ns = self._clock.now_ns()
        number = self._first_target + target
        self._log.record_not_started(
            seq, user.number, due_ns, now_ns, flags | Flag.WITHHELD, number
        )
        self._begin(user)
        if self.habits.are_arrivals and not flags:
            return None  # it was turned away at the door
        next_ns = self._next_due_ns(user, now_ns, now_ns)
        rest_ns = self._choice.rest_ns if self._choice is not None else 0
        return None if next_ns is None else max(next_ns, now_ns + rest_ns)

    def _is_gone(self, user: User) -> bool:
        # An arrival must end in a row: it makes its first iteration, even if told to leave since.
        return user.is_leaving and (user.done > 0 or not self.habits.are_arrivals)

    def _next_due_ns(self, user: User, start_ns: int, end_ns: int) -> int | None:
        return self.habits.next_due_ns(
            self._seed,
            user.number,
            user.done,
            joined_ns=user.joined_ns,
            start_ns=start_ns,
            end_ns=end_ns,
        )
