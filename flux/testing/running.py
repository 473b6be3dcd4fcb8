"""Sinks, and whole pipelines, at work in virtual time."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import trio

from flux.clock import LiveClock
from flux.config.document import parse
from flux.engine import run_pipeline
from flux.errors import FluxError
from flux.pipeline import compile_document
from flux.schemas import OUTCOME, Flag, Rows, read_only
from flux.stage import Context
from flux.summary import Summary
from flux.testing.virtual import make_run, run_virtually


def make_requests(
    count: int, *, every_ns: int = 1_000_000, service_ns: int = 5_000_000, **columns: Any
) -> Rows:
    """Rows for a sink: sessions of one request each, all of which succeed.

    Args:
        count: how many.
        every_ns: from one to the next.
        service_ns: how long each takes.
        columns: values of columns of OUTCOME, one number or (count,) of them.

    Returns:
        (count,) OUTCOME.
    """
    rows = OUTCOME.empty(count)
    rows["seq"] = rows["session"] = np.arange(count)
    rows["due_ns"] = rows["start_ns"] = np.arange(count) * every_ns
    rows["first_byte_ns"] = rows["end_ns"] = rows["start_ns"] + service_ns
    rows["status"] = 200
    rows["flags"] = int(Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS)
    for name, values in columns.items():
        rows[name] = values
    return read_only(rows)


def run_sink(
    sink: Any,
    batches: Sequence[Rows | Summary],
    folder: pathlib.Path | None = None,
    *,
    steps: Sequence[str] = ("request",),
) -> None:
    """Give a sink all of these batches, then the end of its inbox.

    Args:
        sink: the stage.
        batches: what it accepts, such as `make_requests` makes.
        folder: the run's; None, as in a plan, where nothing is kept.
        steps: names of the run's steps; `step` in a row is an index into them.

    Raises:
        Exception: what the sink raised.
    """

    async def run_all() -> None:
        run = attrs.evolve(make_run("test"), clock=LiveClock(), folder=folder)
        told = Context(run, "sink", steps=tuple(steps), targets=("target",))
        sender, inbox = trio.open_memory_channel[Any](len(batches))
        async with sender:
            for batch in batches:
                await sender.send(batch)
        await sink.consume(told, inbox)

    run_virtually(run_all)


def run_text(text: str, folder: pathlib.Path, *, seed: int = 7) -> Summary:
    """Run a pipeline in virtual time, which passes at once where everybody waits.

    Args:
        text: of the pipeline file.
        folder: where its files go, and what file names in it are relative to.
        seed: of what is random.

    Returns:
        The summary of the whole run.

    Raises:
        FluxError: the pipeline is wrong, or a stage of it failed.
    """
    pipeline = compile_document(
        parse(text, "test", folder, environment=os.environ), default_name="test"
    )

    async def run_all() -> Summary:
        run = attrs.evolve(
            make_run(pipeline.name),
            seed=seed,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=pipeline.settings.drain,
            clock=LiveClock(),
            folder=folder,
        )
        result = await run_pipeline(pipeline, run)
        if result.failures or result.summary is None:
            raise [*result.failures, FluxError("the run ended without a summary")][0]
        return result.summary

    return run_virtually(run_all)
