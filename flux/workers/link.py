"""What a worker and its parent say to each other, over one inherited socket.

A frame is a head of 21 bytes and a body. Rows travel as the bytes of their array; everything else
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

_HEAD = struct.Struct("<BqqI")

_UNKNOWN = -1


@attrs.frozen
class Count:
    """Where a worker is; None where it cannot tell."""

    planned: int | None = None
    """Arrivals planned so far; not known in the closed model."""
    open_sessions: int | None = None
    """Sessions under way."""


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
    """From the worker: OUTCOME rows, and the count with them."""
    COUNT = 8
    """From the worker: the count with no rows."""
    LOG = 9
    """From the worker: a list of (level, text, traceback or nothing)."""
    STOPPED = 10
    """From the worker: it stops though nobody told it to; an `Ending`, or why follows."""
    FAILED = 11
    """From the worker: (text, hint, details) of what went wrong."""
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
    count: Count
    """Of ROWS and COUNT; of others it knows nothing."""
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
        await self._send(kind, Count(), b"" if value is None else pickle.dumps(value))

    async def send_count(self, count: Count, rows: Rows | None = None) -> None:
        """Send where the worker is, perhaps with rows."""
        if rows is None:
            await self._send(Kind.COUNT, count, b"")
        else:
            body = np.ascontiguousarray(rows).view(np.uint8).data
            await self._send(Kind.ROWS, count, body)

    async def _send(self, kind: Kind, count: Count, body: bytes | memoryview) -> None:
        numbers = (_coded(count.planned), _coded(count.open_sessions))
        async with self._sending:
            await self._send_all(memoryview(_HEAD.pack(kind, *numbers, len(body))))
            await self._send_all(memoryview(body))

    async def _send_all(self, data: memoryview) -> None:
        while data:
            data = data[await self._socket.send(data) :]

    async def receive(self) -> Frame | None:
        """The next frame; None when the other end is gone, were it in the middle of one."""
        head = await self._receive_exactly(_HEAD.size)
        if head is None:
            return None
        kind, planned, open_sessions, length = _HEAD.unpack(head)
        body = await self._receive_exactly(length)
        if body is None:
            return None
        return Frame(Kind(kind), Count(_decoded(planned), _decoded(open_sessions)), body)

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


def _coded(number: int | None) -> int:
    return _UNKNOWN if number is None else number


def _decoded(number: int) -> int | None:
    return None if number == _UNKNOWN else number
