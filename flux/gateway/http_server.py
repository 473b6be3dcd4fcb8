"""HTTP/1.1 for the gateway: httptools parses, one trio task per connection.

A connection does one thing at a time: read until a request is complete, answer it, read again. A
request is limited in size, a connection can only harm itself, and a stop lets go of idle
connections at once and of busy ones after their answer.
"""

import json
import logging
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import unquote

import attrs
import httptools
import trio

MAX_REQUEST_BYTES = 64 * 1024
IDLE_TIMEOUT_S = 3600.0
"""A client under test would count a connection that closes early as a failure of the target."""
GRACE_S = 1.0
"""How long requests in flight may take once the server is asked to stop."""
LINGER_S = 0.5
BACKLOG = 4096
READ_BYTES = 64 * 1024


@attrs.frozen
class Request:
    """One whole request."""

    verb: str
    """GET, POST …"""
    path: str
    """Decoded, without the query."""
    body: bytes
    """Empty when there is none."""


@attrs.frozen
class Answer:
    """One answer; always a JSON object."""

    status: int
    """HTTP status."""
    body: Mapping[str, object]
    """What becomes JSON."""


Handle: TypeAlias = Callable[[Request], Awaitable[Answer]]


async def serve_http(
    handle: Handle,
    listener: socket.socket,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer requests until `stop` is set.

    Args:
        listener: bound; becomes the server's own.
    """
    listener.setblocking(False)
    listener.listen(BACKLOG)
    idle_scopes: set[trio.CancelScope] = set()

    async def serve(stream: trio.SocketStream) -> None:
        connection = _Connection(handle, stream, stop, idle_scopes)
        try:
            await connection.run()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client went away, which is its right

    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepts:
            await accepts.start(
                partial(trio.serve_listeners, serve, [accepting], handler_nursery=connections)
            )
            task_status.started()
            await stop.wait()
            accepts.cancel_scope.cancel()
        for scope in idle_scopes:
            scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + GRACE_S


class _Connection:
    """What a connection has received and not yet answered."""

    def __init__(
        self,
        handle: Handle,
        stream: trio.SocketStream,
        stop: trio.Event,
        idle_scopes: set[trio.CancelScope],
    ) -> None:
        self._handle = handle
        self._stream = stream
        self._stop = stop
        self._idle_scopes = idle_scopes
        self._parser = httptools.HttpRequestParser(self)
        self._complete: deque[tuple[Request, bool]] = deque()
        self._request_bytes = 0
        self._continues = False
        self._url = b""
        self._body = bytearray()

    async def run(self) -> None:
        """Answer requests until either side has had enough."""
        while not self._stop.is_set():
            data = await self._read()
            if not data:
                return
            refusal = self._feed(data)
            while self._complete:
                request, keeps_alive = self._complete.popleft()
                answer = await self._answer(request)
                keeps_alive = keeps_alive and not refusal and not self._stop.is_set()
                await self._send(request.verb, answer, keeps_alive)
                if not keeps_alive:
                    return
            if refusal:
                await self._send("", refusal, keeps_alive=False)
                await self._linger()
                return
            if self._continues:
                self._continues = False
                await self._stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _read(self) -> bytes:
        with trio.CancelScope(deadline=trio.current_time() + IDLE_TIMEOUT_S) as scope:
            self._idle_scopes.add(scope)
            try:
                return bytes(await self._stream.receive_some(READ_BYTES))
            finally:
                self._idle_scopes.discard(scope)
        return b""

    def _feed(self, data: bytes) -> Answer | None:
        # Returns: what to say to a client that cannot be served further, after the requests that
        # were complete by then.
        self._request_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return Answer(400, {"error": "this connection speaks only HTTP/1.1"})
        except httptools.HttpParserError as error:
            return Answer(400, {"error": f"this is not HTTP/1.1: {error}"})
        if self._request_bytes > MAX_REQUEST_BYTES:
            message = f"a request must have at most {MAX_REQUEST_BYTES} bytes"
            return Answer(413, {"error": message})
        return None

    async def _answer(self, request: Request) -> Answer:
        try:
            return await self._handle(request)
        except Exception:
            logging.getLogger(__name__).exception("%s %s failed", request.verb, request.path)
            return Answer(500, {"error": "the gateway has a bug, see its log"})

    async def _send(self, verb: str, answer: Answer, keeps_alive: bool) -> None:
        body = json.dumps(answer.body).encode()
        head = (
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
            f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if keeps_alive else 'close'}\r\n\r\n"
        ).encode("ascii")
        await self._stream.send_all(head if verb == "HEAD" else head + body)

    async def _linger(self) -> None:
        # Closing while the client still sends would reset the connection, and the reset would
        # overtake the answer.
        await self._stream.send_eof()
        with trio.move_on_after(LINGER_S):
            while await self._stream.receive_some(READ_BYTES):
                pass

    # What follows is called by httptools while it is fed.

    def on_message_begin(self) -> None:
        self._url = b""
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect" and value.lower() == b"100-continue":
            self._continues = True

    def on_body(self, body: bytes) -> None:
        self._continues = False
        self._body += body

    def on_message_complete(self) -> None:
        self._continues = False
        self._request_bytes = 0
        path = unquote(httptools.parse_url(self._url).path.decode("latin-1"))
        request = Request(self._parser.get_method().decode("ascii"), path, bytes(self._body))
        self._complete.append((request, self._parser.should_keep_alive()))
