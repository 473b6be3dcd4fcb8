"""What a worker and its parent say to each other, over one inherited socket.

A frame is a head of 13 bytes and a body. Rows travel as the bytes of their array; everything else
is pickled: both ends are the same program, and nobody else holds the socket.
"""

import enum
import pickle
import struct
from typing import Any

import attrs
import numpy as np
import trio

from flux.schemas import OUTCOME, Rows, read_only

_HEAD = struct.Struct("<BqI")

UNKNOWN = -1
"""In the place of the number of arrivals planned, in the closed model."""


class Kind(enum.IntEnum):
    """What a frame is."""

    JOB = 1
    """To the worker: a `Job`."""
    GO = 2
    """To the worker: an `Order`; time has begun."""
    CHANGE = 3
    """To the worker: a `Change` of the level."""
    STOP = 4
    """To the worker: stop arrivals and drain."""
    ABORT = 5
    """To the worker: give up what is in flight."""
    READY = 6
    """From the worker: it holds its job and waits for GO."""
    ROWS = 7
    """From the worker: OUTCOME rows; the number is that of arrivals planned so far."""
    PLANNED = 8
    """From the worker: the same number with no rows."""
    LOG = 9
    """From the worker: a list of (level, text)."""
    STOPPED = 10
    """From the worker: it stops though nobody told it to; an `Ending`, or why follows."""
    FAILED = 11
    """From the worker: (text, hint) of what went wrong."""
    END = 12
    """From the worker: the CPU time that it took, seconds. Nothing follows."""
    MARKS = 13
    """From the worker: a list of `Mark`."""
    STATUS = 14
    """From the worker: what its executor tells of itself, by what it is."""


@attrs.frozen
class Frame:
    """One message."""

    kind: Kind
    number: int
    """Arrivals planned so far, where the kind says so."""
    body: bytearray

    @property
    def rows(self) -> Rows:
        """The body of ROWS: (n,) OUTCOME, read-only, not copied."""
        return read_only(np.frombuffer(self.body, OUTCOME.dtype))

    @property
    def value(self) -> Any:
        """The body of every other kind."""
        return pickle.loads(self.body) if self.body else None


@attrs.frozen(eq=False)
class Link:
    """One end of the socket."""

    _socket: trio.socket.SocketType
    _sending: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def send(self, kind: Kind, value: object = None) -> None:
        """Send a frame with a pickled value; after one that was cancelled, send no more.

        Raises:
            OSError: the other end is gone.
        """
        await self._send(kind, 0, b"" if value is None else pickle.dumps(value))

    async def send_planned(self, planned: int | None, rows: Rows | None = None) -> None:
        """Send how many arrivals were planned so far, perhaps with rows."""
        number = UNKNOWN if planned is None else planned
        if rows is None:
            await self._send(Kind.PLANNED, number, b"")
        else:
            body = np.ascontiguousarray(rows).view(np.uint8).data
            await self._send(Kind.ROWS, number, body)

    async def _send(self, kind: Kind, number: int, body: bytes | memoryview) -> None:
        async with self._sending:
            await self._send_all(memoryview(_HEAD.pack(kind, number, len(body))))
            await self._send_all(memoryview(body))

    async def _send_all(self, data: memoryview) -> None:
        while data:
            data = data[await self._socket.send(data) :]

    async def receive(self) -> Frame | None:
        """The next frame; None when the other end is gone, were it in the middle of one."""
        head = await self._receive_exactly(_HEAD.size)
        if head is None:
            return None
        kind, number, length = _HEAD.unpack(head)
        body = await self._receive_exactly(length)
        return None if body is None else Frame(Kind(kind), number, body)

    async def _receive_exactly(self, length: int) -> bytearray | None:
        data = bytearray(length)
        free = memoryview(data)
        while free:
            try:
                received = await self._socket.recv_into(free)
            except ConnectionError:
                return None
            if not received:
                return None
            free = free[received:]
        return data

    def close(self) -> None:
        """Close this end: the other one is told."""
        self._socket.close()
