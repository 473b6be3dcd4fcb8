"""When the iterations of users start: of those who are kept in, and of those who arrive.

`Rounds` is what both have in common: a user runs the flow, rests, and runs it again, until it is
gone. The models say when a user comes, and what becomes of its place.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import trio

from flux.cancelling_event import CancellingEvent
from flux.clients.attendance import Attendance, IterationNumbers
from flux.clients.wire.deadlines import NEVER_NS
from flux.clients.wire.models import BURST, MOST_AHEAD, OpenModel
from flux.clients.wire.visit import Home, Visit
from flux.clients.work import Work
from flux.habits import Habits
from flux.schemas import NOBODY, Flag, Rows

if TYPE_CHECKING:
    from flux.clients.wire.loop import Loop
    from flux.clients.wire.sessions import Sessions

_AGAIN = int(Flag.AGAIN)


class Rounds:
    """The iterations of users who are in."""

    def __init__(
        self,
        sessions: "Sessions",
        loop: "Loop",
        work: Work,
        *,
        on_gone: Callable[[Visit, int], None],
        is_over: CancellingEvent,
    ) -> None:
        """Begin with nobody.

        Args:
            sessions: that make the requests.
            loop: that tells the time.
            work: whose habits the users have.
            on_gone: told each user that is gone, and when.
            is_over: to be set once nothing will begin any more.
        """
        if work.habits is None:
            raise TypeError("an executor of users needs to know what they do")
        run = work.context.run
        self.habits: Habits = work.habits
        self.numbers = IterationNumbers(run.shard, self.habits.count)
        self.attendance = Attendance(self.habits, is_over.set)
        self._is_over = is_over
        self._is_endless = self.habits.are_endless
        self._keeps_cookies = work.flow.identity == "user"
        self._sessions_of = work.flow.sessions_of
        self._homes, self._choice, self._log = sessions.homes, work.choice, work.log
        self._sessions = sessions
        self._loop = loop
        self._seed = run.seed
        self._on_gone = on_gone

    def join(self, visit: Visit, due_ns: int, done: int, flags: int) -> None:
        """A user begins its first iteration since it joined."""
        visit.begin = self._sessions_of(visit.user)
        visit.joined_ns = due_ns
        visit.done = done
        self._begin(visit, self._loop.now_ns(), due_ns, flags | _AGAIN if done else flags)

    def _begin(self, visit: Visit, now_ns: int, due_ns: int, flags: int) -> None:
        seq = self.numbers.take()
        if seq is None:
            self._is_over.set()
            self._on_gone(visit, now_ns)
            return
        visit.done += 1
        visit.began_ns = now_ns
        if not self._keeps_cookies:
            visit.jar = None
        if not visit.is_leaving:
            self.attendance.begin(visit.user, visit.done)
        if self._choice is not None:
            target = self._choice.pick(seq)
            if target < 0:
                self._withhold(visit, seq, due_ns, flags & _AGAIN, self._homes[~target])
                return
            visit.home = self._homes[target]
        self._sessions.start(visit, seq, visit.begin(seq), due_ns, flags)

    def _withhold(self, visit: Visit, seq: int, due_ns: int, again: int, home: Home) -> None:
        """The iteration has nowhere to go: the user looks again after a rest, or is gone."""
        now_ns = self._loop.now_ns()
        flag = Flag.WITHHELD | Flag(again)
        self._log.record_not_started(seq, visit.user, due_ns, now_ns, flag, home.number)
        next_ns = self._next_due_ns(visit, now_ns)
        if next_ns is None or (self.habits.are_arrivals and not again):
            self.attendance.stop_early(visit.user)
            self._on_gone(visit, now_ns)
            return
        rest_ns = self._choice.rest_ns if self._choice is not None else 0
        self._rest(visit, max(next_ns, now_ns + rest_ns))

    def _next_due_ns(self, visit: Visit, end_ns: int) -> int | None:
        return self.habits.next_due_ns(
            self._seed,
            visit.user,
            visit.done,
            joined_ns=visit.joined_ns,
            start_ns=visit.began_ns,
            end_ns=end_ns,
        )

    def _rest(self, visit: Visit, until_ns: int) -> None:
        visit.due_ns = until_ns
        visit.rest_number = self._loop.later(until_ns, self._after_rest, visit)

    def on_end(self, visit: Visit, now_ns: int) -> None:
        """A user has finished the flow: another one follows after a rest, or it is gone."""
        if visit.is_leaving:
            self._on_gone(visit, now_ns)
            return
        if self._is_endless:
            self._begin(visit, now_ns, now_ns, _AGAIN)
            return
        due_ns = self._next_due_ns(visit, now_ns)
        if due_ns is None:
            self.attendance.stop_early(visit.user)
            self._on_gone(visit, now_ns)
        elif due_ns <= now_ns:
            self._begin(visit, now_ns, due_ns, _AGAIN)
        else:
            self._rest(visit, due_ns)

    def _after_rest(self, visit: Visit, number: int) -> None:
        if visit.rest_number == number:
            visit.rest_number = -1
            self._begin(visit, self._loop.now_ns(), visit.due_ns, _AGAIN)

    def leave(self, visit: Visit, now_ns: int) -> None:
        """Finish the flow, but begin no other."""
        self.attendance.leave(visit.user, visit.done)
        visit.is_leaving = True
        if visit.rest_number >= 0:
            visit.rest_number = -1
            self._on_gone(visit, now_ns)


class ClosedModel:
    """Users run the flow again and again, from when they join until they leave."""

    def __init__(self, sessions: "Sessions", loop: "Loop", work: Work) -> None:
        self._homes = sessions.homes
        self._changes: deque[tuple[int, int, int]] = deque()
        self._present: dict[int, Visit] = {}
        self._has_ended = False
        self._room = trio.Event()
        self.next_due_ns = NEVER_NS
        self.running = 0
        self.live: set[Visit] = set()
        self.is_over = CancellingEvent()
        self._rounds = Rounds(sessions, loop, work, on_gone=self._on_gone, is_over=self.is_over)
        self.on_end = self._rounds.on_end

    def feed(self, batch: Rows) -> None:
        """Take a batch of users who join or leave."""
        self._changes.extend(batch.tolist())
        self._look_ahead()

    def _look_ahead(self) -> None:
        self.next_due_ns = self._changes[0][0] if self._changes else NEVER_NS
        if len(self._changes) <= MOST_AHEAD:
            self._room.set()
        if self._has_ended and not self._changes:
            self._rounds.attendance.end()

    async def wait_for_room(self) -> None:
        """Wait until few enough changes are ahead."""
        while len(self._changes) > MOST_AHEAD:
            self._room = trio.Event()
            await self._room.wait()

    def end(self) -> None:
        """Nobody else will join or leave."""
        self._has_ended = True
        self._look_ahead()

    def start_due(self, now_ns: int) -> None:
        """Let users join and leave whose time has come."""
        for _ in range(BURST):
            if self.next_due_ns > now_ns:
                return
            self._change(*self._changes.popleft(), now_ns)
            self._look_ahead()

    def _change(self, due_ns: int, number: int, change: int, now_ns: int) -> None:
        if change < 0:
            visit = self._present.get(number)
            if visit is not None:
                self._leave(visit, now_ns)
        elif number == NOBODY:
            self._rounds.attendance.nobody_joins()
        elif (done := self._rounds.attendance.join(number)) is not None:
            self._present[number] = visit = Visit(number, self._homes[0])
            self.live.add(visit)
            self.running += 1
            self._rounds.join(visit, due_ns, done, 0)

    def _leave(self, visit: Visit, now_ns: int) -> None:
        del self._present[visit.user]
        self._rounds.leave(visit, now_ns)

    def _on_gone(self, visit: Visit, now_ns: int) -> None:
        if visit in self.live:
            self.live.discard(visit)
            self.running -= 1
        if self._present.get(visit.user) is visit:
            del self._present[visit.user]

    def due_together_ns(self, slack_ns: int) -> int:
        """When the next one is due: users join and leave too seldom to wait for each other."""
        return self.next_due_ns

    def stop(self, now_ns: int, flag: Flag) -> None:
        """Nobody joins any more; those who are in leave once their flow is finished."""
        self._changes.clear()
        self.next_due_ns = NEVER_NS
        for visit in list(self._present.values()):
            self._leave(visit, now_ns)


class VisitorsModel(OpenModel):
    """Users start when they are due, whatever became of earlier ones, and stay for a while."""

    number: ClassVar[str] = "user"

    def __init__(self, sessions: "Sessions", loop: "Loop", work: Work) -> None:
        super().__init__(sessions, work)
        self._loop = loop
        self._last_due_ns = 0
        self._rounds = Rounds(sessions, loop, work, on_gone=self._leave_place, is_over=self.is_over)

    def _begin(self, seq: int, due_ns: int, now_ns: int, flags: int) -> None:
        self._last_due_ns = due_ns
        self._rounds.attendance.join(seq)
        self._rounds.join(self._enter(seq, self._homes[0]), due_ns, 0, flags)

    def _on_last(self) -> None:
        # Later, for the last one has left the queue but is not in yet.
        self._loop.soon(self._end_arrivals)

    def _end_arrivals(self) -> None:
        """Nobody else comes. Who is in stays as long as it is to."""
        stay_ns = self._rounds.habits.stay_ns
        if stay_ns is not None:
            self._loop.later(self._last_due_ns + stay_ns, self._on_stays_over, None)
        self._rounds.attendance.end()

    def _on_stays_over(self, _: None, number: int) -> None:
        self.is_over.set()

    def _not_started(self, number: int, due_ns: int, now_ns: int, flag: Flag) -> None:
        seq = self._rounds.numbers.take()
        if seq is not None:  # there is no bound
            self._log.record_not_started(seq, number, due_ns, now_ns, flag)

    def on_end(self, visit: Visit, now_ns: int) -> None:
        """A user has finished the flow, and may run it again."""
        self._rounds.on_end(visit, now_ns)

    def stop(self, now_ns: int, flag: Flag) -> None:
        """Nobody starts any more; those who are in leave once their flow is finished."""
        super().stop(now_ns, flag)
        for visit in list(self.live):
            self._rounds.leave(visit, now_ns)
