"""An executor, pacer or roster alone, between channels of the test, under the test's own clock."""

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import trio

from flux.arrivals import demand
from flux.clock import LiveClock
from flux.control import Control
from flux.schemas import ARRIVAL, ROSTER, Rows
from flux.stage import Context, Run, Shard

SECOND = 10**9
TICK_NS = SECOND // 10


def context_of(
    source: Any,
    *,
    duration_ns: int = 2 * SECOND,
    seed: int = 7,
    shard: Shard | None = None,
    control: Control | None = None,
    **told: Any,
) -> Context:
    """What a stage below this source is told in a run that begins now."""
    run = Run(
        name="test",
        seed=seed,
        duration_ns=duration_ns,
        tick_ns=TICK_NS,
        drain_ns=60 * SECOND,
        started_at=datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC),
        clock=LiveClock(),
        shard=shard or Shard(),
        control=control or Control(),
    )
    name = type(source).__name__.lower()
    return Context(run, "stage", (source,), source_name=name, **told)


async def drive(stage: Any, context: Context, batches: Sequence[Rows]) -> list[tuple[int, Rows]]:
    """Run a transform on these batches; what it sends, and when."""
    sender, inbox = trio.open_memory_channel[Any](float("inf"))
    outbox, results = trio.open_memory_channel[Any](float("inf"))
    found: list[tuple[int, Rows]] = []

    async def note() -> None:
        async for rows in results:
            found.append((context.run.clock.now_ns(), rows))

    with sender:
        for batch in batches:
            sender.send_nowait(batch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(note)
        async with inbox, outbox:
            await stage.run(context, inbox, outbox)
    return found


def demand_of(source: Any, context: Context, level: float) -> Iterator[Rows]:
    """What the source would send, at a constant level."""
    return demand(context, level, None)


def arrivals_at(*due_s: float) -> Rows:
    """ARRIVAL rows, numbered from 0."""
    return ARRIVAL.rows((seq, round(time_s * SECOND)) for seq, time_s in enumerate(due_s))


def users_for(duration_s: float, count: int) -> Rows:
    """ROSTER rows: so many users join at 0, and leave after that long."""
    end_ns = round(duration_s * SECOND)
    return ROSTER.rows(
        (due_ns, user, change) for due_ns, change in ((0, 1), (end_ns, -1)) for user in range(count)
    )


def rows_of(found: Sequence[tuple[int, Rows]]) -> Rows:
    """All batches as one."""
    return np.concatenate([rows for _, rows in found])
