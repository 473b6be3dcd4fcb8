"""When bytes came in, on sockets of the system's and a clock of the test's."""

import socket
from collections.abc import Iterator

import attrs
import pytest

from flux.clients.readiness import Readiness


@attrs.define
class HandClock:
    """Says what it is set to."""

    time_ns: int = 0
    is_live: bool = True

    def now_ns(self) -> int:
        return self.time_ns

    async def wait_until(self, time_ns: int) -> None:
        self.time_ns = max(self.time_ns, time_ns)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def readiness(clock: HandClock) -> Iterator[Readiness]:
    readiness = Readiness(clock)
    yield readiness
    readiness.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_bytes_came_when_a_look_found_them(
    clock: HandClock, readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    readiness.watch(ours.fileno())
    theirs.send(b"a")
    clock.time_ns = 1_000_000
    readiness.look()
    clock.time_ns = 900_000_000  # the task's turn comes late
    assert readiness.ready_ns(ours.fileno(), 0) == 1_000_000


def test_more_bytes_are_noted_though_nobody_has_read_the_first(
    clock: HandClock, readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    readiness.watch(ours.fileno())
    theirs.send(b"a")
    clock.time_ns = 1_000_000
    readiness.after_io_wait(0)
    theirs.send(b"b")
    clock.time_ns = 2_000_000
    readiness.after_io_wait(0)
    clock.time_ns = 3_000_000
    assert readiness.ready_ns(ours.fileno(), 0) == 2_000_000


def test_bytes_that_no_look_has_found_came_now(
    clock: HandClock, readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    readiness.watch(ours.fileno())
    clock.time_ns = 5_000_000
    theirs.send(b"a")
    assert readiness.ready_ns(ours.fileno(), 0) == 5_000_000


def test_what_came_before_a_request_is_not_its_response(
    clock: HandClock, readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    readiness.watch(ours.fileno())
    theirs.send(b"a")
    clock.time_ns = 1_000_000
    readiness.look()
    clock.time_ns = 7_000_000
    assert readiness.ready_ns(ours.fileno(), 2_000_000) == 7_000_000


def test_looks_are_not_closer_than_a_fifth_of_a_millisecond(
    clock: HandClock, readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    readiness.watch(ours.fileno())
    readiness.after_io_wait(0)
    theirs.send(b"a")
    clock.time_ns = 100_000
    readiness.look()
    clock.time_ns = 300_000
    readiness.look()
    assert readiness.ready_ns(ours.fileno(), 0) == 300_000


def test_a_socket_that_is_not_watched_is_ready_now(clock: HandClock, readiness: Readiness) -> None:
    clock.time_ns = 4_000_000
    assert readiness.ready_ns(0, 0) == 4_000_000
