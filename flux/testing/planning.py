"""Generators and shapers at work with no clock: the demand, and the arrivals that it comes to."""

import datetime
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import trio

from flux.arrivals import drawn_gaps
from flux.blame import first_of
from flux.output_checks import BatchCheck
from flux.pacing import Pacer
from flux.schemas import DEMAND, SAME, Rows, Schema, read_only
from flux.stage import Context, Shard
from flux.testing.virtual import STARTED_AT, make_run, run_virtually


def plan_contexts(
    stages: Sequence[Any],
    duration_ns: int | None,
    *,
    tick_ns: int = 100_000_000,
    seed: int = 7,
    started_at: datetime.datetime = STARTED_AT,
    shard: Shard | None = None,
) -> list[Context]:
    """What each of these stages would be told by the engine.

    Args:
        stages: the source, then the shapers below it, in order.
        duration_ns: the pipeline's duration.

    Returns:
        One context per stage. A stage's name is its class's in lower case, with its number appended
        from the second of that name on.
    """
    run = attrs.evolve(
        make_run("plan"),
        seed=seed,
        duration_ns=duration_ns,
        tick_ns=tick_ns,
        started_at=started_at,
        shard=shard or Shard(),
    )
    names: list[str] = []
    for stage in stages:
        name = type(stage).__name__.lower()
        earlier = sum(one.rstrip("0123456789") == name for one in names)
        names.append(f"{name}{earlier + 1}" if earlier else name)
    contexts = [
        Context(run, name, tuple(stages[:index] or stages[:1]), source_name=names[0])
        for index, name in enumerate(names)
    ]
    contexts[0] = attrs.evolve(contexts[0], shapers=tuple(zip(names[1:], stages[1:])))
    return contexts


def plan_demand(stages: Sequence[Any], duration_ns: int | None, **context: Any) -> Rows:
    """The demand that comes out below a source and its shapers.

    Args:
        stages: the source, then the shapers below it, in order.
        duration_ns: the pipeline's duration; None needs a source that ends by itself.
        context: keyword arguments of `plan_contexts`.

    Returns:
        (n,) DEMAND or USERS: start_ns, end_ns, level and end_level.

    Raises:
        Exception: what a stage raised, or WrongOutput for what it must not send.
    """
    batches: list[Rows] = []

    async def run_all() -> None:
        async with trio.open_nursery() as nursery:
            inbox: trio.MemoryReceiveChannel[Rows] | None = None
            emits = DEMAND
            for stage, told in zip(stages, plan_contexts(stages, duration_ns, **context)):
                outbox, next_inbox = trio.open_memory_channel[Rows](1)
                emits = emits if stage.emits is SAME else stage.emits
                nursery.start_soon(_run_one, stage, told, inbox, outbox, emits)
                inbox = next_inbox
            if inbox is not None:
                async with inbox:
                    batches.extend([batch async for batch in inbox])

    run_virtually(run_all)
    return read_only(np.concatenate(batches))


def plan_arrivals(
    stages: Sequence[Any], duration_ns: int | None, *, count: int | None = None, **context: Any
) -> Rows:
    """The arrivals that the pacer makes of a generator and its shapers: (n,) seq and due_ns.

    Args:
        stages: the source, then the shapers below it, in order.
        duration_ns: the pipeline's duration.
        count: how many there are at the most; the source's own `count` if None.
        context: keyword arguments of `plan_contexts`.
    """
    told = plan_contexts(stages, duration_ns, **context)[0]
    demand = plan_demand(stages, duration_ns, **context)
    pacer = Pacer(drawn_gaps(told), count=count or stages[0].count, shard=told.run.shard)
    try:
        return pacer.arrivals(demand)
    except Exception as error:  # noqa: BLE001  # a stage may raise anything
        raise first_of(error)[1] from None


def wanted_by(demand: Rows, time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Λ: how many arrivals the demand wants by each of these times.

    Args:
        demand: (n,) DEMAND, contiguous.
        time_ns: (m,) int64, within the demand.

    Returns:
        (m,) float64.
    """
    seconds = (demand["end_ns"] - demand["start_ns"]) / 1e9
    per_row = (demand["level"] + demand["end_level"]) / 2 * seconds
    before = np.concatenate([[0.0], np.cumsum(per_row)])
    row = np.searchsorted(demand["end_ns"], time_ns, side="left")
    row = np.minimum(row, len(demand) - 1)
    into_s = (time_ns - demand["start_ns"][row]) / 1e9
    slope = (demand["end_level"][row] - demand["level"][row]) / seconds[row]
    wanted: npt.NDArray[np.float64] = (
        before[row] + demand["level"][row] * into_s + slope * into_s**2 / 2
    )
    return wanted


async def _run_one(stage: Any, context: Context, inbox: Any, outbox: Any, emits: Schema) -> None:
    async with outbox:
        checked = _Checked(outbox, BatchCheck(emits))
        if inbox is None:
            await stage.produce(context, checked)
        else:
            async with inbox:
                await stage.run(context, inbox, checked)


@attrs.frozen
class _Checked:
    """An outbox that takes what the engine's would."""

    outbox: Any
    _check: BatchCheck

    async def send(self, batch: Any) -> None:
        """Check a batch, and send it."""
        self._check.check(batch)
        await self.outbox.send(batch)
