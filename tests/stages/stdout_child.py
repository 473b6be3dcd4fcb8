"""A process with a `stdout` sink whose reader misbehaves: its parent.

    python -m tests.stages.stdout_child SCENARIO FORMAT

What became of the sink is said on stderr, a word at a time.
"""

import math
import os
import select
import sys
from typing import Any

import trio

from flux.errors import StorageFailed
from flux.stage import Context
from flux.stages.stdout import Stdout
from tests.stages.sinks import batch, context_in
from tests.stages.summaries import interval

BATCHES = 200
ROWS = 100


async def leaves(stage: Stdout, context: Context) -> None:
    """The reader goes away: send until the run is to stop, then a batch that nobody wants."""
    outbox, inbox = trio.open_memory_channel[Any](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.consume, context, inbox)
        while not context.run.control.stopping.is_set():
            await outbox.send(_message(stage, 0))
        await outbox.send(_message(stage, 0))
        await outbox.aclose()
    say("stopped")


async def blocks(stage: Stdout, context: Context) -> None:
    """The reader reads nothing until everything was sent."""
    outbox, inbox = trio.open_memory_channel[Any](BATCHES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.consume, context, inbox)
        for first in range(0, BATCHES * ROWS, ROWS):
            await outbox.send(_message(stage, first))
        say("sent")
        await outbox.aclose()
    say("done")


async def never_reads(stage: Stdout, context: Context) -> None:
    """The reader never reads, and the run is cancelled when the pipe is full."""
    outbox, inbox = trio.open_memory_channel[Any](math.inf)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.consume, context, inbox)
        while select.select([], [1], [], 0)[1]:
            await outbox.send(_message(stage, 0))
        nursery.cancel_scope.cancel()
    say("cancelled")


async def is_closed(stage: Stdout, context: Context) -> None:
    """There is no standard output."""
    _, inbox = trio.open_memory_channel[Any](0)
    try:
        await stage.consume(context, inbox)
    except StorageFailed as error:
        say(error.message)


def _message(stage: Stdout, first: int) -> Any:
    return interval(first) if stage.format == "interval" else batch(first, ROWS)


def say(word: str) -> None:
    """Tell the parent."""
    os.write(2, f"{word}\n".encode())


if __name__ == "__main__":
    scenario, form = sys.argv[1:]
    run: Any = {one.__name__: one for one in (leaves, blocks, never_reads, is_closed)}[scenario]
    trio.run(run, Stdout(format=form), context_in(None))  # type: ignore[arg-type]  # argv is text
