"""Sinks of rows at work: over real channels, with batches of any size."""

import pathlib
from collections.abc import Sequence
from typing import Any

import attrs
import trio

from flux.schemas import Rows
from flux.stage import Context
from tests.outcomes import as_rows, make_context, request

STEPS = ("login", "list")


def context_in(folder: pathlib.Path | None) -> Context:
    """What a sink is told in a run that keeps its files there."""
    return attrs.evolve(
        make_context(folder=folder, steps=STEPS),
        stage="sink",
        requests=(("GET", "http://127.0.0.1/a"), ("GET", "http://127.0.0.1/b")),
    )


def batch(first: int, count: int) -> Rows:
    """Requests with these numbers, a millisecond apart."""
    return as_rows(
        [request(seq * 10**6, seq=seq, step=seq % 2) for seq in range(first, first + count)]
    )


async def consume(stage: Any, context: Context, batches: Sequence[Any]) -> None:
    """Give a sink all of these batches."""
    sender, inbox = trio.open_memory_channel[Any](len(batches))
    async with sender:
        for one in batches:
            await sender.send(one)
    await stage.consume(context, inbox)
