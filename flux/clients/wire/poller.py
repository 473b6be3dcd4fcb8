"""Waiting for sockets and for a time, in one call: epoll with a timerfd, or whatever there is.

The loop blocks in `poll` for a millisecond or two at a time, which the kernel ends the moment
something happens; when nothing does, it parks in `wait`, where trio runs everything else. Timeouts
of epoll are whole milliseconds, those of a timerfd are nanoseconds: it wakes within about 50 µs.
Setting a timer is dear (3 to 12 µs on virtual machines), so it is set once per time it fires, and
epoll gets no timeout of its own.
"""

import ctypes
import os
import select
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias

import trio

READABLE = 1
"""As in epoll: also errors and the end of the stream, which reading tells apart."""
WRITABLE = 4

Handler: TypeAlias = Callable[[int], None]
"""Called with the mask of what happened."""

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_PARK_S = 0.001


class Poller(Protocol):
    """Tells which sockets are ready, and wakes up at a given time."""

    handlers: dict[int, Handler]
    """By file descriptor."""
    armed_ns: int
    """The time it will wake up at; 0: none."""
    timer_fd: int
    """The descriptor that tells of the armed time; -1: then `poll` just returns."""
    poll: Callable[..., list[tuple[int, int]]]
    """(0 or -1 for not waiting or waiting, events at the most) to (descriptor, mask) of each."""

    def add(self, fd: int, handler: Handler, mask: int) -> None:
        """Begin to watch a descriptor."""

    def change(self, fd: int, handler: Handler, mask: int) -> None:
        """Watch it for something else."""

    def remove(self, fd: int) -> None:
        """Forget a descriptor; it must still be open."""

    def arm(self, at_ns: int) -> None:
        """Wake up at that time of `time.perf_counter_ns`, not at the one set before."""

    async def wait(self) -> None:
        """Let other tasks run until there is something to poll, or return early."""

    def close(self) -> None:
        """Give everything back."""


def open_poller() -> Poller:
    """The best there is on this system."""
    if hasattr(select, "epoll"):
        return EpollPoller()
    return SelectPoller()


class EpollPoller:
    """Level-triggered epoll: what is not read now is reported again, so nothing can be missed."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.handlers: dict[int, Handler] = {}
        self.armed_ns = 0
        self.poll: Callable[..., list[tuple[int, int]]] = self._epoll.poll
        self._timer = _open_timer()
        self.timer_fd = self._timer.fd
        self.add(self.timer_fd, self._on_timer, READABLE)

    def _on_timer(self, _: int) -> None:
        # Setting it anew, which the loop does before it waits, also makes it unreadable.
        self.armed_ns = 0

    def add(self, fd: int, handler: Handler, mask: int) -> None:
        """Begin to watch a descriptor."""
        self._epoll.register(fd, mask)
        self.handlers[fd] = handler

    def change(self, fd: int, handler: Handler, mask: int) -> None:
        """Watch it for something else."""
        self._epoll.modify(fd, mask)
        self.handlers[fd] = handler

    def remove(self, fd: int) -> None:
        """Forget a descriptor; it must still be open."""
        self._epoll.unregister(fd)
        self.handlers[fd] = _ignore

    def arm(self, at_ns: int) -> None:
        """Wake up at that time of `time.perf_counter_ns`, not at the one set before."""
        self.armed_ns = at_ns
        self._timer.set(at_ns)

    async def wait(self) -> None:
        """Let other tasks run until there is something to poll."""
        await trio.lowlevel.wait_readable(self._epoll.fileno())

    def close(self) -> None:
        """Give everything back."""
        self._epoll.close()
        os.close(self._timer.fd)


class SelectPoller:
    """The same over `selectors`, with whole milliseconds for a clock."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        # Some selectors cannot wait for nothing.
        self._anchor, self._other_end = socket.socketpair()
        self._selector.register(self._anchor, selectors.EVENT_READ)
        self.handlers: dict[int, Handler] = {}
        self.armed_ns = 0
        self.timer_fd = -1
        self.poll: Callable[..., list[tuple[int, int]]] = self._poll

    def add(self, fd: int, handler: Handler, mask: int) -> None:
        """Begin to watch a descriptor."""
        self._selector.register(fd, _events(mask))
        self.handlers[fd] = handler

    def change(self, fd: int, handler: Handler, mask: int) -> None:
        """Watch it for something else."""
        self._selector.modify(fd, _events(mask))
        self.handlers[fd] = handler

    def remove(self, fd: int) -> None:
        """Forget a descriptor; it must still be open."""
        self._selector.unregister(fd)
        self.handlers[fd] = _ignore

    def arm(self, at_ns: int) -> None:
        """Wake up at that time of `time.perf_counter_ns`, not at the one set before."""
        self.armed_ns = at_ns

    def _poll(self, timeout_s: float, max_events: int) -> list[tuple[int, int]]:
        """Wait until the armed time at the most; the loop always arms before it waits."""
        if timeout_s:
            timeout_s = max(0, self.armed_ns - time.perf_counter_ns()) / 1e9
        ready = self._selector.select(timeout_s)[:max_events]
        if not ready:
            self.armed_ns = 0
        return [(key.fd, _mask(events)) for key, events in ready]

    async def wait(self) -> None:
        """Let other tasks run for a millisecond."""
        await trio.sleep(_PARK_S)

    def close(self) -> None:
        """Give everything back."""
        self._selector.close()
        self._anchor.close()
        self._other_end.close()


def _ignore(_: int) -> None:
    """An event of a descriptor that was forgotten after it was polled."""


def _events(mask: int) -> int:
    read = selectors.EVENT_READ if mask & READABLE else 0
    return read | (selectors.EVENT_WRITE if mask & WRITABLE else 0)


def _mask(events: int) -> int:
    read = READABLE if events & selectors.EVENT_READ else 0
    return read | (WRITABLE if events & selectors.EVENT_WRITE else 0)


class _Timer(Protocol):
    fd: int

    def set(self, at_ns: int) -> None: ...


def _open_timer() -> _Timer:
    if sys.version_info >= (3, 13):
        return _OsTimer()
    return _LibcTimer()


if sys.version_info >= (3, 13) and sys.platform == "linux":

    class _OsTimer:
        """A timerfd by the os module."""

        def __init__(self) -> None:
            flags = os.TFD_NONBLOCK | os.TFD_CLOEXEC
            self.fd = os.timerfd_create(time.CLOCK_MONOTONIC, flags=flags)

        def set(self, at_ns: int) -> None:
            os.timerfd_settime_ns(self.fd, flags=os.TFD_TIMER_ABSTIME, initial=at_ns)


class _LibcTimer:
    """A timerfd by way of libc, for Pythons whose os module has none."""

    def __init__(self) -> None:
        libc = ctypes.PyDLL(None, use_errno=True)  # keeps the GIL: these calls never block
        self.fd = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        # struct itimerspec: interval and value, each in seconds and nanoseconds.
        self._spec = (ctypes.c_long * 4)()
        self._settime = libc.timerfd_settime
        self._settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._address = ctypes.addressof(self._spec)

    def set(self, at_ns: int) -> None:
        self._spec[2] = at_ns // 1_000_000_000
        self._spec[3] = at_ns % 1_000_000_000
        self._settime(self.fd, _TFD_TIMER_ABSTIME, self._address, None)
