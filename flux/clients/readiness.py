"""When bytes came in, socket by socket, for a client whose tasks may take long to get their turn.

Strategy. A task that waits for a response runs when the loop comes to it. With a thousand responses
at once, as after a target's freeze, the last one's turn comes some hundred milliseconds late, when
its bytes had long been there: a clock read in that task would measure the generator. So the sockets
are watched a second time, in an edge-triggered epoll set of their own, which is looked at without
waiting, whenever the loop looks at its sockets and whenever a task has done a piece of work. A look
notes the time for every socket that has got bytes since the last one.

What is noted is never before the bytes came, and as little after that as the pieces are short.
"""

import select
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from flux.clock import Clock

_BETWEEN_LOOKS_NS = 200_000
"""A look takes some microseconds."""

_WATCHED = select.EPOLLIN | select.EPOLLET


class Readiness(trio.abc.Instrument):
    """Knows of each socket when it was last seen to have got bytes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._looked_ns = clock.now_ns()
        self._ready_ns: dict[int, int] = {}

    def watch(self, fd: int) -> None:
        """Note when this socket, which was just connected, gets bytes, until it is closed."""
        self._ready_ns[fd] = self._clock.now_ns()
        self._epoll.register(fd, _WATCHED)

    def ready_ns(self, fd: int, since_ns: int) -> int:
        """When the socket last got bytes, run nanoseconds.

        Args:
            fd: the socket's.
            since_ns: what was noted before is not about it; if that is all there is, the answer is
                now.
        """
        self._look(now_ns := self._clock.now_ns())
        noted_ns = self._ready_ns.get(fd, -1)
        return noted_ns if noted_ns >= since_ns else now_ns

    def look(self) -> None:
        """Note who has got bytes by now, unless that was done a moment ago."""
        now_ns = self._clock.now_ns()
        if now_ns - self._looked_ns >= _BETWEEN_LOOKS_NS:
            self._look(now_ns)

    def after_io_wait(self, timeout: float) -> None:
        """The loop has waited for its sockets."""
        self._look(self._clock.now_ns())

    def _look(self, now_ns: int) -> None:
        self._looked_ns = now_ns
        for fd, _ in self._epoll.poll(0, len(self._ready_ns) + 1):
            self._ready_ns[fd] = now_ns

    def close(self) -> None:
        """Watch no more."""
        self._epoll.close()


@contextmanager
def open_readiness(clock: Clock) -> Iterator[Readiness]:
    """Look in each turn of the loop, as long as this is open."""
    readiness = Readiness(clock)
    trio.lowlevel.add_instrument(readiness)
    try:
        yield readiness
    finally:
        trio.lowlevel.remove_instrument(readiness)
        readiness.close()
