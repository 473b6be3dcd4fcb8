"""Whatever has a deadline hears of it, not before and at most a bucket after."""

import socket
from types import SimpleNamespace
from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st

from flux.clients.wire.connection import Connection
from flux.clients.wire.deadlines import NEVER_NS, Deadlines
from flux.clients.wire.loop import Loop
from flux.clients.wire.visit import Visit
from flux.clock import LiveClock

_BUCKET_NS = 1 << 23


class _Carrier:
    def __init__(self) -> None:
        self.watched_ns = NEVER_NS
        self.deadline_ns = NEVER_NS
        self.told_ns: list[int] = []

    def current_deadline_ns(self) -> int:
        return self.deadline_ns

    def on_deadline(self, now_ns: int) -> None:
        self.told_ns.append(now_ns)
        self.deadline_ns = NEVER_NS


_STEPS = st.lists(
    st.tuples(
        st.integers(1, 3 * _BUCKET_NS),  # time that passes
        st.none() | st.integers(0, 20 * _BUCKET_NS),  # a new deadline, this far ahead, or none
    ),
    max_size=30,
)


@given(_STEPS)
def test_a_deadline_is_told_once_and_in_time(steps: list[tuple[int, int | None]]) -> None:
    deadlines, carrier = Deadlines(), _Carrier()
    now_ns = 0
    for passed_ns, ahead_ns in steps:
        carrier.deadline_ns = NEVER_NS if ahead_ns is None else now_ns + ahead_ns
        wanted_ns = carrier.deadline_ns
        if carrier.deadline_ns < carrier.watched_ns:
            deadlines.watch(carrier, carrier.deadline_ns)
        now_ns += passed_ns
        told = len(carrier.told_ns)
        if deadlines.next_ns <= now_ns:
            deadlines.sweep(now_ns)
        assert len(carrier.told_ns) == told or wanted_ns <= now_ns
        assert len(carrier.told_ns) > told or wanted_ns > now_ns - _BUCKET_NS
    while deadlines.next_ns < NEVER_NS:
        deadlines.sweep(deadlines.next_ns)
    assert carrier.watched_ns == NEVER_NS
    assert carrier.deadline_ns == NEVER_NS


def test_a_thousand_deadlines_on_one_carrier_are_one_entry() -> None:
    deadlines, carrier = Deadlines(), _Carrier()
    for number in range(1000):
        carrier.deadline_ns = 10**9 + number
        if carrier.deadline_ns < carrier.watched_ns:
            deadlines.watch(carrier, carrier.deadline_ns)
    deadlines.sweep(2 * 10**9)
    assert len(carrier.told_ns) == 1
    assert deadlines.next_ns == NEVER_NS


async def test_a_request_that_is_not_yet_sent_has_no_deadline_to_pass() -> None:
    # The connection is looked at for the sake of an earlier request, in the very round in which
    # the next one is begun on it.
    loop = Loop(LiveClock())
    ours, theirs = socket.socketpair()
    with theirs:
        loop.poller.add(ours.fileno(), lambda _: None, 0)
        pool: Any = SimpleNamespace(loop=loop, on_closed=lambda _: None)
        connection = Connection(pool, ours)
        loop.deadlines.watch(connection, 1)
        connection.begin(visit := Visit(0, pool))
        loop.deadlines.sweep(10**12)
        assert connection.visit is visit
        assert not connection.is_closed
        connection.close()
        loop.close()
    await trio.lowlevel.checkpoint()
