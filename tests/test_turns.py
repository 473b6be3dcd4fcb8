"""Long computations let others go first, and lose nothing by it."""

from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import trio

from flux import turns
from flux.pacing import Pacer
from flux.schemas import DEMAND
from flux.turns import Turns, at_once, in_turns
from tests.outcomes import SECOND_NS

PARTS = 5


def counting(done: list[int]) -> Turns[str]:
    """A computation of a few parts, that notes each."""
    for part in range(PARTS):
        done.append(part)
        yield
    return "result"


async def beside(work: Callable[[], Awaitable[object]]) -> int:
    """How many turns somebody else had meanwhile."""
    others = 0

    async def somebody_else() -> None:
        nonlocal others
        while True:
            await trio.lowlevel.checkpoint()
            others += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        await work()
        nursery.cancel_scope.cancel()
    return others


async def test_others_run_between_the_parts_of_what_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TURN_NS", 0)
    done: list[int] = []
    assert await beside(lambda: in_turns(counting(done))) >= PARTS - 1
    assert done == list(range(PARTS))


async def test_what_fits_into_one_turn_is_done_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_NS", 10**12)
    assert await beside(lambda: in_turns(counting([]))) <= 2


async def test_the_result_is_the_same_either_way() -> None:
    assert at_once(counting([])) == await in_turns(counting([])) == "result"


async def test_a_cancellation_waits_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_NS", 0)
    done: list[int] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await in_turns(counting(done))
    assert done == list(range(PARTS))


async def test_arrivals_in_turns_are_those_made_at_once() -> None:
    demand = DEMAND.empty(3)
    demand["start_ns"] = np.arange(3) * SECOND_NS
    demand["end_ns"] = demand["start_ns"] + SECOND_NS
    demand["level"], demand["end_level"] = (10, 200, 0), (200, 0, 300)
    gaps = np.random.default_rng(1).exponential(size=4096)
    one, other = Pacer(iter([gaps])), Pacer(iter([gaps]))
    assert (await in_turns(one.arrivals_in_turns(demand)) == other.arrivals(demand)).all()
