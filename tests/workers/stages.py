"""Stages for tests and measurements that worker processes have to find: importable ones."""

from typing import Any, ClassVar

import attrs
import numpy as np
import trio

from flux.schemas import ARRIVAL, OUTCOME, Flag, Rows, Schema, read_only
from flux.stage import Context, Inbox, Outbox
from flux.workers.keys import OnWorkerLoss, Processes


@attrs.frozen
class Rowkeeper:
    """A sink that keeps every row."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    batches: list[Rows] = attrs.field(factory=list, eq=False)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Keep batches until the inbox ends."""
        async for batch in inbox:
            self.batches.append(batch)

    @property
    def rows(self) -> Rows:
        """All of them, in the order of their arrivals."""
        rows = np.concatenate([np.zeros(0, OUTCOME.dtype), *self.batches])
        return np.sort(rows, order=["seq", "step"])


@attrs.frozen
class Executor:
    """What the executors here have in common."""

    accepts: ClassVar[tuple[Schema, ...]] = (ARRIVAL,)
    emits: ClassVar[Schema] = OUTCOME

    processes: Processes = attrs.field(default=Processes(2))
    on_worker_loss: OnWorkerLoss = "continue"
    field: Any = None

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Take arrivals and answer none."""
        async for _ in inbox:
            pass


class Broken(Executor):
    """Raises at the first arrival of worker 1."""

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Take arrivals, and fail."""
        async for _ in inbox:
            if context.run.shard.index == 1:
                raise ValueError("the spring is broken")


class Unreadable(Executor):
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("flux_module_that_is_not_there",)


class Flood(Executor):
    """Sends `field` batches of 1024 rows as fast as they are taken."""

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Take the arrivals, then send."""
        shard = context.run.shard
        rows = OUTCOME.empty(1024)
        rows["flags"] = Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS
        number = np.arange(1024)
        for _ in range(self.field):
            rows = rows.copy()
            rows["seq"] = rows["session"] = number * shard.count + shard.index
            number = number + 1024
            rows["due_ns"] = rows["start_ns"] = now_ns = context.run.clock.now_ns()
            rows["end_ns"] = now_ns + 1000
            await outbox.send(read_only(rows))
        await trio.lowlevel.checkpoint()
        async for _ in inbox:
            pass
