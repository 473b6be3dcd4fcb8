"""The loop of the wire client, beside others."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio

from flux import turns
from flux.clients.wire import loop as loop_module
from flux.clients.wire.deadlines import NEVER_NS
from flux.clients.wire.loop import Loop
from flux.clock import LiveClock

MS = 1_000_000


class Waits:
    """Notes how long a loop's poller was to wait at the most, each time; -1 is without end."""

    def __init__(self, loop: Loop) -> None:
        self.timeouts: list[int] = []
        self._poll = loop.poller.poll
        loop.poller.poll = self

    def __call__(self, timeout: int, most: int) -> list[tuple[int, int]]:
        self.timeouts.append(timeout)
        return self._poll(timeout, most)


def every_ms(loop: Loop, count: int) -> Any:
    """A model that has something to start every millisecond, so many times."""
    model: Any = SimpleNamespace(
        next_due_ns=0, running=1, due_together_ns=lambda _: model.next_due_ns
    )
    left = count

    def start_due(now_ns: int) -> None:
        nonlocal left
        left -= 1
        model.next_due_ns = now_ns + MS if left else NEVER_NS
        if not left:
            loop.finish()

    model.start_due = start_due
    return model


async def test_others_that_have_work_left_need_not_wait_a_whole_quantum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They work in short turns: with one each quantum they would not get through."""
    monkeypatch.setattr(loop_module, "_QUANTUM_NS", 10_000 * MS)
    monkeypatch.setattr(turns, "TURN_NS", 0)
    loop, parts = Loop(LiveClock()), 0

    def compute() -> turns.Turns[None]:
        nonlocal parts
        while loop_runs:
            parts += 1
            yield

    loop_runs = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.in_turns, compute())
        while not parts:
            await trio.lowlevel.checkpoint()
        await loop.run(every_ms(loop, 20))
        loop_runs = False
    loop.close()
    assert parts > 10


@pytest.mark.parametrize("count", [1, 2])
async def test_a_loop_blocks_for_its_own_events_only_when_it_is_alone(count: int) -> None:
    clock = LiveClock()
    loops = [Loop(clock) for _ in range(count)]
    waits = [Waits(loop) for loop in loops]
    async with trio.open_nursery() as nursery:
        for loop in loops:
            nursery.start_soon(loop.run, every_ms(loop, 20))
    # While they began, the first one knew of no other; while they ended, the last one was alone.
    blocking = [waited.timeouts[3:10].count(-1) for waited in waits]
    if count == 1:
        assert blocking[0] > 0
    else:
        assert blocking == [0, 0]
    for loop in loops:
        loop.close()
