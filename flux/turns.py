"""Long computations in turns: whatever is due meanwhile goes first.

All stages of a run share one thread. What a stage computes in one go holds up every request that is
due by then, and shows as lag. So a computation of more than some 50 µs is written as a generator
that yields between its parts: in a run, `in_turns` lets others run there; elsewhere `at_once` takes
no notice. A part is never cut short, so it should be no more than a few calls of numpy, of a few
thousand values.
"""

import time
from collections.abc import Generator
from typing import Final, TypeAlias, TypeVar

import trio

TURN_NS = 50_000
"""After so long the others have a turn, at the next yield."""

T = TypeVar("T")

Turns: TypeAlias = Generator[None, None, T]
"""A computation that yields where others may have a turn, and returns its result."""

_UNDER_WAY: Final[trio.lowlevel.RunVar[int]] = trio.lowlevel.RunVar("flux turns under way", 0)


def are_wanted() -> bool:
    """Whether a computation of this thread is between two turns.

    Trio does not tell: of the tasks it is about to run it counts those that come after all others.
    """
    return _UNDER_WAY.get() > 0


async def in_turns(work: Turns[T]) -> T:
    """Do it, and let other tasks run first, and again whenever a turn is over.

    Cancellation waits for the end of it: what is computed is whole.
    """
    _UNDER_WAY.set(_UNDER_WAY.get() + 1)
    try:
        while True:
            await trio.lowlevel.cancel_shielded_checkpoint()
            until_ns = time.perf_counter_ns() + TURN_NS
            next(work)
            while time.perf_counter_ns() < until_ns:
                next(work)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        _UNDER_WAY.set(_UNDER_WAY.get() - 1)


def at_once(work: Turns[T]) -> T:
    """Do it without a break."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
