"""Who is in, and whether anybody will begin anything any more: the bookkeeping of users. Pure.

A user that was told to leave may join again, and then goes on with the iterations it has left. A
run is over once nobody will join and nobody who is in will begin another iteration; what is under
way by then has the drain time to end, as in the open model.
"""

from collections.abc import Callable

from flux.habits import Habits
from flux.stage import Shard


class Attendance:
    """The users of one executor, by number."""

    def __init__(self, habits: Habits, on_over: Callable[[], None]) -> None:
        """Begin with nobody.

        Args:
            habits: of the users.
            on_over: called once nothing will begin any more, maybe more than once.
        """
        self._iterations = habits.iterations
        self._comes_back = habits.iterations is not None and not habits.are_arrivals
        self._on_over = on_over
        self._staying: set[int] = set()
        self._done: dict[int, int] = {}  # of those who have left and may come back, or are through
        self._unfinished: set[int] = set()  # of those who ever joined, if anybody comes back
        self._nobody_joins = False
        self._has_ended = False

    def join(self, user: int) -> int | None:
        """A user joins: how many iterations it has begun before; None if it may begin no other."""
        done = self._done.pop(user, 0)
        if self._iterations is not None and done >= self._iterations:
            self._done[user] = done
            return None
        self._staying.add(user)
        if self._comes_back:
            self._unfinished.add(user)
        return done

    def begin(self, user: int, done: int) -> None:
        """A user that is in has begun its `done`-th iteration; if that is the last, it is through.

        That of one who was told to leave in the meantime does not count for whoever comes back.
        """
        if done == self._iterations and user in self._staying:
            if self._comes_back:
                self._done[user] = done
            self._gone(user)

    def stop_early(self, user: int) -> None:
        """A user will begin no other iteration, as its stay is over."""
        if user in self._staying:
            self._gone(user)

    def leave(self, user: int, done: int) -> None:
        """A user that is in was told to leave, and has begun so many iterations."""
        if user in self._staying:
            self._staying.discard(user)
            if self._comes_back:
                self._done[user] = done
            self._look()

    def nobody_joins(self) -> None:
        """By the plan nobody else will join; who was told to leave may come back even so."""
        self._nobody_joins = True
        self._look()

    def end(self) -> None:
        """Nobody will join or be told to leave any more."""
        self._has_ended = True
        self._look()

    def _gone(self, user: int) -> None:
        self._staying.discard(user)
        self._unfinished.discard(user)
        self._look()

    def _look(self) -> None:
        are_through = self._nobody_joins and not self._unfinished
        if are_through or (self._has_ended and not self._staying):
            self._on_over()


class IterationNumbers:
    """Numbers iterations in the order in which they begin: a shard takes every n-th."""

    def __init__(self, shard: Shard, count: int | None) -> None:
        """Begin at the shard's first.

        Args:
            shard: whose iterations they are.
            count: how many there are in the whole run; None: no bound.
        """
        self._next = shard.index
        self._step = shard.count
        self._count = count

    def take(self) -> int | None:
        """The next number; None if there is none left."""
        number = self._next
        if self._count is not None and number >= self._count:
            return None
        self._next += self._step
        return number
