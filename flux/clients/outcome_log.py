"""Where clients write their OUTCOME rows: one call a request, batches by count or by age.

Recording is synchronous and cheap: one `struct` call packs a row into a preallocated buffer, and
the buffer becomes a structured array without being looked at again. Sending is asynchronous, in a
task of its own, so that a slow sink never bends the load; rows wait here rather than be lost.
"""

import struct
from collections import deque
from types import MappingProxyType

import numpy as np
import trio

from flux.schemas import NOT_STARTED, OUTCOME, ErrorCode, Flag, Rows, read_only
from flux.stage import Outbox

ROWS_PER_BATCH = 4096
"""Enough that what a batch costs the stages below is spread over many rows."""

MAX_AGE_S = 0.1
"""A row waits here no longer, if the stages below keep up."""

_ROW = struct.Struct("<qqiiqqqqqqiiqqihh")
if _ROW.size != OUTCOME.dtype.itemsize:  # type: ignore[union-attr]  # OUTCOME has a dtype
    raise AssertionError("the packed row and OUTCOME's columns differ")


_WHY_NOT_STARTED = MappingProxyType(
    {
        Flag.DROPPED: ErrorCode.DROPPED,
        Flag.WITHHELD: ErrorCode.WITHHELD,
        Flag.CANCELLED: ErrorCode.CANCELLED,
    }
)


class OutcomeLog:
    """Collects rows and sends them on."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._ready: deque[Rows] = deque()
        self._filled = trio.Event()
        self._begin()

    def _begin(self) -> None:
        self._buffer = bytearray(ROWS_PER_BATCH * _ROW.size)
        self._offset = 0

    def record(
        self,
        seq: int,
        session: int,
        step: int,
        skipped: int,
        due_ns: int,
        start_ns: int,
        connect_ns: int,
        tls_ns: int,
        first_byte_ns: int,
        end_ns: int,
        status: int,
        error: int,
        bytes_out: int,
        bytes_in: int,
        flags: int,
        retries: int,
        target: int,
    ) -> None:
        """Add one row; the arguments are OUTCOME's columns, in order."""
        _ROW.pack_into(
            self._buffer,
            self._offset,
            seq,
            session,
            step,
            skipped,
            due_ns,
            start_ns,
            connect_ns,
            tls_ns,
            first_byte_ns,
            end_ns,
            status,
            error,
            bytes_out,
            bytes_in,
            flags,
            retries,
            target,
        )
        self._offset += _ROW.size
        if self._offset == len(self._buffer):
            self._seal()
            self._filled.set()

    def record_not_started(
        self, seq: int, user: int, due_ns: int, now_ns: int, flag: Flag, target: int = -1
    ) -> None:
        """Add the row of an arrival, or an iteration, that was dropped, withheld or cancelled."""
        error = _WHY_NOT_STARTED[flag & NOT_STARTED]
        self.record(
            seq, user, -1, 0, due_ns, now_ns, 0, 0, 0, now_ns, 0, error, 0, 0, flag, 0, target
        )

    @property
    def waiting_rows(self) -> int:
        """Rows that were recorded and not yet sent."""
        return sum(map(len, self._ready)) + self._offset // _ROW.size

    def _seal(self) -> None:
        if self._offset == len(self._buffer):
            rows = np.frombuffer(self._buffer, OUTCOME.dtype)
            self._begin()
        else:  # a part is copied, so that it does not keep a whole buffer in memory
            rows = np.frombuffer(bytes(self._buffer[: self._offset]), OUTCOME.dtype)
            self._offset = 0
        self._ready.append(read_only(rows))

    async def flush(self) -> None:
        """Send everything recorded so far."""
        if self._offset:
            self._seal()
        while self._ready:
            await self._outbox.send(self._ready[0])
            self._ready.popleft()

    async def keep_flushing(self) -> None:
        """Send batches as they fill up, and every 100 ms what there is; until cancelled."""
        while True:
            with trio.move_on_after(MAX_AGE_S):
                await self._filled.wait()
            self._filled = trio.Event()
            await self.flush()
