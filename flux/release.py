"""Lets demand through just ahead of the clock, under live control.

Everything above is computed as early as it likes; what is released here can no longer be changed.
So rows pass one by one, two ticks before they begin, with the level multiplied by what the control
says at that moment. In a plan there is no clock: batches pass whole, or in pieces that fit memory.
"""

from collections.abc import AsyncGenerator

import trio

from flux.pacing import pieces
from flux.schemas import Rows
from flux.shaping import with_levels
from flux.stage import Inbox, Run

TICKS_AHEAD = 2
"""How early a row is released: late enough for control, early enough never to be late itself."""


async def release(run: Run, inbox: Inbox) -> AsyncGenerator[Rows, None]:
    """Yield the demand as it comes due; ends with the inbox, or when the run is stopped.

    Whoever does not read to the end has to close it (`contextlib.aclosing`).
    """
    if not run.clock.is_live:
        async for demand in inbox:
            for piece in pieces(demand):
                yield piece
        return
    lead_ns = TICKS_AHEAD * run.tick_ns
    while not run.control.stopping.is_set():
        demand = await _receive_unless_stopped(run, inbox)
        if demand is None:
            return
        for index in range(len(demand)):
            row = demand[index : index + 1]
            if not await _wait_unless_stopped(run, int(row["start_ns"][0]) - lead_ns):
                return
            yield _controlled(run, row)


def _controlled(run: Run, row: Rows) -> Rows:
    """The row with its level multiplied by the control's factor at either end."""
    control = run.control
    is_untouched = control.spike is None and not control.paused
    if is_untouched and control.scale == 1.0 and control.guard == 1.0:
        return row
    start = control.factor_at(int(row["start_ns"][0]))
    end = control.factor_at(int(row["end_ns"][0]))
    return with_levels(row, row["level"] * start, row["end_level"] * end)


async def _receive_unless_stopped(run: Run, inbox: Inbox) -> Rows | None:
    """The next batch; None at the end of the inbox or when the run is stopped."""
    demand: Rows | None = None
    with run.control.stopping.cancelling():
        try:
            demand = await inbox.receive()
        except trio.EndOfChannel:
            demand = None
    return demand


async def _wait_unless_stopped(run: Run, time_ns: int) -> bool:
    """Wait until that time; False as soon as the run is stopped."""
    with run.control.stopping.cancelling():
        await run.clock.wait_until(time_ns)
    return not run.control.stopping.is_set()
