"""Drives a flow over the wire client: the same contract as `flux.clients.tasks.drive`."""

import trio

from flux.clients.wire.loop import Loop
from flux.clients.wire.models import Model
from flux.clients.wire.sessions import Sessions
from flux.clients.wire.settings import WireSettings
from flux.clients.work import Work


async def drive(work: Work, *targets: WireSettings) -> None:
    """Run every session that is due, and return when all of them have ended.

    Args:
        work: what is to be done.
        targets: at least one; of several, `work.choice` picks a session's. What is not about where
            a target is, they have in common.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.log.keep_flushing)
        loop = Loop(work.context.run.clock)
        dispatched = trio.Event()
        try:
            sessions = Sessions(work, targets, loop, nursery)
            try:
                model = sessions.model
                work.context.report_gauge(lambda: model.running)
                nursery.start_soon(_dispatch, work, loop, sessions.model, dispatched)
                nursery.start_soon(_abort_when_told, work, loop, sessions.model)
                await loop.run(sessions.model)
            finally:
                sessions.abort()
                sessions.close()
        finally:
            loop.close()
        await dispatched.wait()
        nursery.cancel_scope.cancel()
    await work.log.flush()


async def _dispatch(work: Work, loop: Loop, model: Model, dispatched: trio.Event) -> None:
    """Hand the inbox on until it ends or the run is stopped, then drain."""
    async with work.starting():
        with model.is_over.cancelling():
            async for batch in work.inbox:
                model.feed(batch)
                loop.wake()
                await model.wait_for_room()
            model.end()
            loop.wake()
            await model.is_over.wait()
    flag = work.never_started
    model.stop(loop.now_ns(), flag)
    if work.are_arrivals:
        async for batch in work.inbox:
            model.feed(batch)
            model.stop(loop.now_ns(), flag)
    loop.drain(work.drained_ns(loop.now_ns()))
    dispatched.set()


async def _abort_when_told(work: Work, loop: Loop, model: Model) -> None:
    await work.context.run.control.aborting.wait()
    model.is_over.set()
    loop.finish()
