"""The edges of a running pipeline: channels that count what passes and say who held whom up.

A stage sends to one outbox, however many stages take from it: each gets the same read-only batch.
Buffers are bounded, so memory is; but the load must not bend to a slow sink, so the buffers below
an executor are deep, and the first time one is full the log says which stage filled it.
"""

import logging
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from flux.errors import WrongOutput
from flux.output_checks import BatchCheck
from flux.schemas import ARRIVAL, DEMAND, OUTCOME, ROSTER, SUMMARY, USERS, Schema
from flux.stage import Batch, Inbox

_CAPACITY: Mapping[str, float] = {
    # Computed far ahead of the clock, there is no use in more.
    DEMAND.name: 2,
    USERS.name: 2,
    # A batch is a tick. An executor that is late finds here what has come due; beyond that the
    # pacer waits, and what it sends later is as late as it would have been here.
    ARRIVAL.name: 64,
    ROSTER.name: 64,
    # Up to 1024 rows a batch: four million rows before a slow sink holds up anything.
    OUTCOME.name: 4096,
    SUMMARY.name: 256,
}


@attrs.define
class Edge:
    """What has passed from one stage to another."""

    producer: str
    consumer: str
    schema: Schema
    rows: int = 0
    batches: int = 0
    peak_batches: int = 0
    """Most batches that ever waited in the buffer."""
    held_s: float = 0.0
    """How long the producer waited because the buffer was full."""

    @property
    def capacity(self) -> float:
        """Batches that the buffer holds."""
        return _CAPACITY.get(self.schema.name, 64)


class Fanout(trio.abc.SendChannel[Batch]):
    """The outbox of a stage: sends each batch along every edge that begins there."""

    def __init__(
        self,
        edges: list[tuple[Edge, trio.MemorySendChannel[Batch]]],
        log: logging.Logger,
        check: BatchCheck | None = None,
    ) -> None:
        self._live = list(edges)
        self._had_takers = bool(edges)
        self._log = log
        self._check = check

    @property
    def is_abandoned(self) -> bool:
        """True once every stage that took from it has finished."""
        return self._had_takers and not self._live

    async def send(self, value: Batch) -> None:
        """Send to every stage that still takes.

        Raises:
            trio.BrokenResourceError: if all of them have finished.
            WrongOutput: the batch is not what the stage may send.
        """
        await trio.lowlevel.checkpoint()
        if self._check is not None:
            self._check.check(value)
        for edge, channel in list(self._live):
            try:
                await self._send(edge, channel, value)
            except trio.BrokenResourceError:
                self._live.remove((edge, channel))
        if self.is_abandoned:
            raise trio.BrokenResourceError

    async def _send(self, edge: Edge, channel: trio.MemorySendChannel[Batch], value: Batch) -> None:
        try:
            channel.send_nowait(value)
        except trio.WouldBlock:
            await self._wait_and_send(edge, channel, value)
        edge.batches += 1
        edge.rows += _row_count(value)
        waiting = channel.statistics().current_buffer_used
        edge.peak_batches = max(edge.peak_batches, waiting)

    async def _wait_and_send(
        self, edge: Edge, channel: trio.MemorySendChannel[Batch], value: Batch
    ) -> None:
        if edge.schema is OUTCOME and not edge.held_s:
            self._log.warning(
                "stage %r cannot keep up: %d batches wait for it, rows now wait in %r",
                edge.consumer,
                edge.capacity,
                edge.producer,
            )
        since_s = trio.current_time()
        await channel.send(value)
        edge.held_s += trio.current_time() - since_s

    async def aclose(self) -> None:
        """Tell every taker that there is no more."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """The same, at once."""
        for _, channel in self._live:
            channel.close()
        self._live = []


def check_ended(inbox: Inbox) -> None:
    """Raise WrongOutput if a sink left rows behind: they are nowhere, and nobody would know."""
    try:
        inbox.receive_nowait()
    except trio.EndOfChannel:
        return
    except trio.WouldBlock:
        pass
    raise WrongOutput(
        "it returned before its inbox ended", hint="receive all: async for batch in inbox"
    )


def _row_count(batch: Any) -> int:
    return len(batch) if hasattr(batch, "dtype") else 1
