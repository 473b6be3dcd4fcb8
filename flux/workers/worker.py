"""A worker: the engine over a share of the run, with a sink that writes to the parent.

It lives as long as its parent: when the socket ends, so does the process, at once and whatever it
is doing, for there is nobody left to tell.
"""

import logging
import os
import socket
import traceback
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import trio

from flux.control import Control
from flux.engine import RunResult, prepare_stages, run_pipeline
from flux.errors import FluxError
from flux.garbage import seldom_collected
from flux.graph import Node
from flux.pipeline import Pipeline
from flux.schemas import OUTCOME, Rows, Schema
from flux.stage import Context, Inbox, Run
from flux.workers.job import Job, Order, Work
from flux.workers.link import Count, Kind, Link
from flux.workers.steering import SteeredControl

ORPHANED = 75
"""Exit code of a worker whose parent is gone (EX_TEMPFAIL of sysexits.h)."""

_REPORT_NAME = "(to the parent)"


async def work(descriptor: int) -> None:
    """Take a job from the parent, do it, and tell how it went.

    Args:
        descriptor: of the socket to the parent.
    """
    link = Link(trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor)))
    try:
        await _work(link)
    except OSError as error:
        if not isinstance(error, ConnectionError):
            raise
        os._exit(ORPHANED)


async def _work(link: Link) -> None:
    frame = await link.receive()
    if frame is None:
        return
    job: Job = frame.value
    try:
        work = job.read()
        prepared = await prepare_stages(work.pipeline)
    except Exception as error:  # noqa: BLE001  # importing a plug-in may raise anything: the parent names it
        await _tell_failure(link, error)
        return
    with seldom_collected():
        await link.send(Kind.READY)
        frame = await link.receive()
        if frame is not None:
            await _run(link, work, frame.value, prepared)


async def _run(link: Link, work: Work, order: Order, prepared: Mapping[str, Any]) -> None:
    control, lines, news = SteeredControl(), _Lines(), _News()
    control.add(order.change)
    run = Run(
        name=order.name,
        seed=order.seed,
        duration_ns=order.duration_ns,
        tick_ns=order.tick_ns,
        drain_ns=order.drain_ns,
        started_at=order.started_at,
        clock=order.clock,
        control=control,
        shard=order.shard,
        manners=order.manners,
        log=_logger(lines, order.log_level),
    )
    report = Report(link, lines, news, work.first_step, work.first_target)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tell_stop, link, control, told := trio.Event())
        nursery.start_soon(_obey, link, control, told)
        pipeline = _with_report(work.pipeline, report)
        result = await run_pipeline(pipeline, run, prepared=prepared)
        nursery.cancel_scope.cancel()
    await lines.send(link)
    await news.send_marks(link, run)
    await _tell_end(link, result)


def _with_report(pipeline: Pipeline, report: "Report") -> Pipeline:
    inputs = tuple(node.name for node in pipeline.executors)
    node = Node(_REPORT_NAME, _REPORT_NAME, "userflux", report, inputs, OUTCOME, None)
    return attrs.evolve(pipeline, nodes=(*pipeline.nodes, node))


async def _obey(link: Link, control: SteeredControl, told: trio.Event) -> None:
    """Do as the parent says; when it says nothing any more, end."""
    while (frame := await link.receive()) is not None:
        match frame.kind:
            case Kind.CHANGE:
                control.add(frame.value)
            case Kind.STOP:
                told.set()
                control.stop()
            case Kind.ABORT:
                told.set()
                control.abort()
            case _:
                raise FluxError(f"a worker cannot make sense of {frame.kind!r}")
    os._exit(ORPHANED)


async def _tell_stop(link: Link, control: Control, told: trio.Event) -> None:
    """Say at once if this worker stops of itself: a stage of it has failed."""
    await control.stopping.wait()
    if not told.is_set():
        with trio.CancelScope(shield=True):  # half a frame would make the next one unreadable
            await link.send(Kind.STOPPED, control.ending)


async def _tell_failure(link: Link, error: Exception) -> None:
    if isinstance(error, FluxError):
        await link.send(Kind.FAILED, (error.message, error.hint, error.details))
    else:
        details = "".join(traceback.format_exception(error))
        await link.send(Kind.FAILED, (f"{type(error).__name__}: {error}", None, details))


async def _tell_end(link: Link, result: RunResult) -> None:
    for failure in result.failures:
        await _tell_failure(link, failure)
    await link.send(Kind.END, result.generator)


class _Lines(logging.Handler):
    """Log lines that wait to be sent."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[tuple[int, str, str]] = deque()

    def emit(self, record: logging.LogRecord) -> None:
        details: str = getattr(record, "traceback", "")
        self._waiting.append((record.levelno, record.getMessage(), details))

    async def send(self, link: Link) -> None:
        """Send what there is."""
        if self._waiting:
            lines = list(self._waiting)
            self._waiting.clear()
            await link.send(Kind.LOG, lines)


@attrs.define
class _News:
    """What a worker notes in its own run, as far as it was not sent yet."""

    _sent_marks: int = 0
    _status: dict[str, Any] = attrs.field(factory=dict)

    async def send_marks(self, link: Link, run: Run) -> None:
        """Send what was marked since the last time."""
        marks = run.marks[self._sent_marks :]
        if marks:
            self._sent_marks += len(marks)
            await link.send(Kind.MARKS, marks)

    async def send_status(self, link: Link, run: Run) -> None:
        """Send what the stages tell of themselves, if it has changed."""
        status = {what: told for stage in run.status().values() for what, told in stage.items()}
        if status != self._status:
            self._status = status
            await link.send(Kind.STATUS, status)


def _count(run: Run) -> Count:
    return Count(run.planned(), run.open_sessions())


def _logger(lines: _Lines, level: int) -> logging.Logger:
    log = logging.getLogger("flux")
    log.setLevel(level)
    log.addHandler(lines)
    log.propagate = False
    return log


@attrs.frozen
class Report:
    """The sink of a worker: its rows, and once a tick where it is and whatever is new."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)

    link: Link
    lines: _Lines
    news: _News
    first_step: int
    """Number of the worker's first step in the whole run."""
    first_target: int
    """Number of its first target."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Send until the inbox ends."""
        run = context.run
        async with trio.open_nursery() as ticking:
            ticking.start_soon(self._tick, run)
            async for rows in inbox:
                await self.link.send_count(_count(run), self._renumbered(rows))
            ticking.cancel_scope.cancel()
        await self.link.send_count(_count(run))

    async def _tick(self, run: Run) -> None:
        while True:
            await trio.sleep(run.tick_ns / 1e9)
            with trio.CancelScope(shield=True):  # half a frame would make the next one unreadable
                await self.link.send_count(_count(run))
                await self.lines.send(self.link)
                await self.news.send_marks(self.link, run)
                await self.news.send_status(self.link, run)

    def _renumbered(self, rows: Rows) -> Rows:
        """The rows with their steps and targets numbered as in the whole run."""
        if not self.first_step and not self.first_target:
            return rows
        rows = rows.copy()
        for name, first in (("step", self.first_step), ("target", self.first_target)):
            rows[name][rows[name] >= 0] += first
        return rows
