"""The connections of the httpx client: a stack of lanes, each of which has one request at a time.

httpx keeps all its connections in one list, and whenever a request begins or ends it looks at each
of them, and for each idle one at all the others. That is nothing for ten connections. A target that
froze for two seconds at 500 requests per second leaves a thousand: then a request cost some 20 ms
of CPU, and the generator never caught up. So each lane is a transport with a list of its own, and
finding one is a `pop`, however many there are. The last one used goes first, as in the wire client.

Only HTTP/1.1 goes this way: with HTTP/2 many requests share a connection, and the list is short.
"""

import sys
from collections.abc import AsyncIterator, Callable

import httpx
import trio


class Lanes(httpx.AsyncBaseTransport):
    """As many transports as there are requests at once, reused last in, first out."""

    def __init__(self, open_lane: Callable[[], httpx.AsyncBaseTransport], most: int | None) -> None:
        """Begin with no lane open.

        Args:
            open_lane: makes a transport, which is used for one request at a time.
            most: lanes that may be in use at once; None: as many as it takes.
        """
        self._open_lane = open_lane
        self._places = trio.Semaphore(sys.maxsize if most is None else most)
        self._lanes: list[httpx.AsyncBaseTransport] = []
        self._idle: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on an idle lane; the lane is idle again when the response is closed."""
        lane = await self._take()
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            self._give_back(lane)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # what the interface promises
        response.stream = _Borrowed(response.stream, lambda: self._give_back(lane))
        return response

    async def _take(self) -> httpx.AsyncBaseTransport:
        try:
            self._places.acquire_nowait()  # no checkpoint: a turn of the loop may be long
        except trio.WouldBlock:
            await self._places.acquire()
        if self._idle:
            return self._idle.pop()
        lane = self._open_lane()
        self._lanes.append(lane)
        return lane

    def _give_back(self, lane: httpx.AsyncBaseTransport) -> None:
        self._idle.append(lane)
        self._places.release()

    async def aclose(self) -> None:
        """Close all connections."""
        for lane in self._lanes:
            await lane.aclose()


class _Borrowed(httpx.AsyncByteStream):
    """A response's body, which gives the lane back once it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, give_back: Callable[[], None]) -> None:
        self._stream = stream
        self._give_back: Callable[[], None] | None = give_back

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        try:
            await self._stream.aclose()
        finally:
            give_back()
