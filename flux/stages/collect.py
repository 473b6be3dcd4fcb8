"""`collect`: turns outcomes into counts and histograms, each interval and at the end."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import ClassVar

import attrs
import numpy as np
import trio

from flux.collection import Collection
from flux.config.problems import Violation
from flux.schemas import OUTCOME, SUMMARY, Rows, Schema
from flux.stage import Context, Inbox, Outbox
from flux.summary import Summary
from flux.turns import in_turns
from flux.units import Duration

GRACE_NS = 250_000_000
"""How long after its end an interval is closed: clients hold a row for 100 ms at the most."""

PLANNED_GRACE_INTERVALS = 10
"""The same in a plan, where rows come in as fast as they are made: as many intervals."""

ROWS_AT_ONCE = 1024
"""Rows that are counted at once, at the least; fewer wait for the end of the interval."""

SHORTEST_INTERVAL = Duration.parse("100ms")


@attrs.frozen(kw_only=True)
class Collect:
    """Counts outcomes and records latencies per step, each interval and over the whole run.

    A pipeline has one after its executors, whether or not it is written down. It sends a summary
    each interval, and at the end one of the whole run.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    emits: ClassVar[Schema] = SUMMARY
    sample: ClassVar[str] = '[[stage]]\nuse = "collect"\ninterval = "1s"\n'

    interval: Duration = Duration.parse("1s")
    """How often a summary is sent, and how long a row of the series is; at least 100ms."""

    def check(self) -> Iterator[Violation]:
        """Rules about single fields that need words."""
        if self.interval < SHORTEST_INTERVAL:
            yield Violation(f"must be at least {SHORTEST_INTERVAL}", key="interval")

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Collect until the inbox ends; send a summary each interval, then the final one."""
        collection = Collection(
            context.steps,
            self.interval,
            targets=context.targets,
            phases=context.phases,
            has_users=context.has_users,
        )
        rows_at_once = ROWS_AT_ONCE if context.run.clock.is_live else 1
        pending, ready = _Pending(collection, rows_at_once), deque[Summary]()
        stopped_ns: list[int] = []
        async with trio.open_nursery() as ticking:
            if context.run.clock.is_live:
                ticking.start_soon(self._note_stop, context, stopped_ns)
                ticking.start_soon(self._tick, context, pending, ready, outbox)
            async for rows in inbox:
                await pending.take(rows)
                if not context.run.clock.is_live:
                    until_ns = collection.newest_ns - PLANNED_GRACE_INTERVALS * self.interval
                    ready.extend(collection.close(until_ns))
                    await _send_all(ready, outbox)
            ticking.cancel_scope.cancel()
        await pending.count()
        end_ns, load_end_ns = _ends_ns(context, stopped_ns)
        *closed, final = collection.finish(end_ns, context.run.planned(), load_end_ns)
        opened = context.run.open_sessions()
        ready.extend(attrs.evolve(one, open_sessions=opened) for one in closed)
        await _send_all(ready, outbox)
        await outbox.send(context.run.conclude(final))

    async def _note_stop(self, context: Context, stopped_ns: list[int]) -> None:
        """Note when the run is stopped, if it is."""
        await context.run.control.stopping.wait()
        stopped_ns.append(context.run.clock.now_ns())

    async def _tick(
        self, context: Context, pending: "_Pending", ready: deque[Summary], outbox: Outbox
    ) -> None:
        """Close intervals by the clock; what could not be sent stays in `ready`."""
        clock = context.run.clock
        end_ns = int(self.interval)
        while True:
            await clock.wait_until(end_ns + GRACE_NS)
            until_ns = clock.now_ns() - GRACE_NS
            opened = context.run.open_sessions()
            for closed in await pending.close(max(end_ns, until_ns)):
                ready.append(attrs.evolve(closed, open_sessions=opened))
            await _send_all(ready, outbox)
            end_ns = (until_ns // self.interval + 1) * self.interval


class _Pending:
    """Rows that wait to be counted together.

    To count a batch takes some 0.4 ms, whether it has 20 rows or 2,000. So at low rates they are
    counted once an interval, when somebody wants to know.
    """

    def __init__(self, collection: Collection, rows_at_once: int) -> None:
        self._collection = collection
        self._counting = trio.Lock()
        """Held while a batch is counted or an interval closed: others have turns meanwhile."""
        self._rows_at_once = rows_at_once
        self._batches: list[Rows] = []
        self._rows = 0

    async def take(self, rows: Rows) -> None:
        """Take a batch, and count all of them if they are many."""
        self._batches.append(rows)
        self._rows += len(rows)
        if self._rows >= self._rows_at_once:
            await self.count()

    async def count(self) -> None:
        """Count those that wait."""
        async with self._counting:
            if self._batches:
                # Eight times as fast as np.concatenate, which copies such rows column by column.
                together = b"".join([np.ascontiguousarray(batch).data for batch in self._batches])
                self._batches.clear()
                self._rows = 0
                rows = np.frombuffer(together, OUTCOME.dtype)
                await in_turns(self._collection.add_in_turns(rows))

    async def close(self, until_ns: int) -> list[Summary]:
        """Count what waits, close the intervals that end by then, and summarise each."""
        await self.count()
        closed = []
        async with self._counting:
            while self._collection.is_over(until_ns):
                closed.append(await in_turns(self._collection.close_first()))
        return closed


async def _send_all(ready: deque[Summary], outbox: Outbox) -> None:
    while ready:
        await outbox.send(ready[0])
        ready.popleft()


def _ends_ns(context: Context, stopped_ns: Sequence[int]) -> tuple[int, int | None]:
    """When the run ended, and when arrivals did: as planned, unless it was stopped.

    As far as clock and plan know: the collector knows of requests that ended later, and of the last
    arrival, if there were to be so many of them.
    """
    run = context.run
    now_ns, planned_ns = run.clock.now_ns(), run.duration_ns
    if not run.clock.is_live:
        return planned_ns or 0, planned_ns
    if not run.control.stopping.is_set():
        return now_ns if planned_ns is None else planned_ns, planned_ns
    latest_ns = now_ns if planned_ns is None else min(now_ns, planned_ns)
    return latest_ns, max(0, min([latest_ns, *stopped_ns]))
