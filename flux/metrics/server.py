"""Where Prometheus fetches the metrics: HTTP/1.1 on a port of its own, never in the load's way.

A connection is for one request. It may take so long and be so large and no more, and so many are
open at once and no more; whoever wants more is sent away. Text is made a piece at a time, once for
all who ask at about the same time, so a scraper in a frenzy costs what a calm one does.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

import attrs
import httptools
import trio

from flux.config.problems import Violation
from flux.metrics.meter import Meter
from flux.metrics.text import Format, format_for, render
from flux.stage import Run

MOST_CLIENTS = 16
"""Connections open at once; more are closed as they come."""

MAX_REQUEST_BYTES = 16 << 10

REQUEST_S = 5.0
"""How long a client may take for its request."""

ANSWER_S = 10.0
"""How long it may take to read the answer."""

FRESH_S = 0.25
"""Who asks again before this is over gets the same text again."""

LAST_WORDS_S = 0.5
"""How long is waited for a client to see that it was refused."""

PATH = "/metrics"


def listen(host: str, port: int) -> socket.socket:
    """Take the address.

    Raises:
        Violation: it cannot be taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        hint = 'write an address of this machine, as in "127.0.0.1" or "0.0.0.0"'
        raise Violation(f"cannot be resolved: {error.strerror}", key="host", hint=hint) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(MOST_CLIENTS)
    except OSError as error:
        listener.close()
        rule = f"cannot be listened on at {host}:{port}: {error.strerror}"
        raise Violation(rule, key="port", hint="port = 0 takes any that is free") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Where metrics are, with the real port."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}{PATH}" if ":" in host else f"http://{host}:{port}{PATH}"


class Exposition:
    """The metrics of a run as text, for whoever asks."""

    def __init__(self, meter: Meter) -> None:
        """Make text of this meter's readings."""
        self._meter = meter
        self._lock = trio.Lock()
        self._kept: dict[str, _Kept] = {}
        self.was_served_whole = trio.Event()
        """Set once somebody has read the numbers of the whole run."""

    async def text(self, form: Format) -> "_Kept":
        """The metrics as they are, or were a moment ago."""
        async with self._lock:
            kept = self._kept.get(form.content_type)
            if kept is None or not kept.is_fresh(self._meter):
                is_whole = self._meter.has_ended
                kept = _Kept(await render(self._meter, form), is_whole, trio.current_time())
                self._kept[form.content_type] = kept
            return kept


@attrs.frozen
class _Kept:
    text: bytes
    is_whole: bool
    """Whether it is of the whole run."""
    made_s: float

    def is_fresh(self, meter: Meter) -> bool:
        """Whether it will do for somebody who asks now."""
        is_recent = trio.current_time() - self.made_s < FRESH_S
        return is_recent and self.is_whole == meter.has_ended


@asynccontextmanager
async def open_server(listener: socket.socket, page: Exposition, run: Run) -> AsyncIterator[None]:
    """Answer scrapers while the block lasts.

    Args:
        listener: becomes the server's own.
    """
    clients = trio.CapacityLimiter(MOST_CLIENTS)
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with accepting, trio.open_nursery() as nursery:
        serve = partial(_serve, page=page, clients=clients, run=run)
        nursery.start_soon(trio.serve_listeners, serve, [accepting])
        yield
        nursery.cancel_scope.cancel()


async def _serve(
    stream: trio.SocketStream, *, page: Exposition, clients: trio.CapacityLimiter, run: Run
) -> None:
    """Answer one client; whatever it does is its own affair."""
    try:
        clients.acquire_on_behalf_of_nowait(stream)
    except trio.WouldBlock:
        await trio.aclose_forcefully(stream)
        return
    try:
        async with stream:
            await _answer(stream, page)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        run.log.debug("a client of the metrics went away")
    finally:
        clients.release_on_behalf_of(stream)


async def _answer(stream: trio.SocketStream, page: Exposition) -> None:
    request = _Request()
    with trio.move_on_after(REQUEST_S) as reading:
        await request.read(stream)
    if reading.cancelled_caught or request.is_absent:
        return
    kept: _Kept | None = None
    status = request.status
    body, content_type = f"{status.phrase}\n".encode(), "text/plain; charset=utf-8"
    if status is HTTPStatus.OK:
        form = format_for(request.accept)
        kept = await page.text(form)
        body, content_type = kept.text, form.content_type
    head = _head(status, content_type, len(body))
    is_read = False
    with trio.move_on_after(ANSWER_S):
        await stream.send_all(head)
        if request.verb != "HEAD":
            await stream.send_all(body)
            is_read = kept is not None and kept.is_whole
        await _part(stream)
    if is_read:
        page.was_served_whole.set()


async def _part(stream: trio.SocketStream) -> None:
    """Close so that the answer arrives: what the client still sends would make a reset of it."""
    try:
        await stream.send_eof()
        with trio.move_on_after(LAST_WORDS_S):
            while await stream.receive_some(4096):
                pass
    except trio.BrokenResourceError:
        pass  # it has what it wanted, and is gone


def _head(status: HTTPStatus, content_type: str, size: int) -> bytes:
    allow = "Allow: GET, HEAD\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n{allow}"
        f"Content-Type: {content_type}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


class _Request:
    """What a client has asked so far; the methods below `read` are for httptools."""

    def __init__(self) -> None:
        self.verb = ""
        self.accept = ""
        self.is_absent = False
        """The client said nothing."""
        self._url = b""
        self._is_complete = False
        self._problem: HTTPStatus | None = None

    async def read(self, stream: trio.SocketStream) -> None:
        """Read until it is complete, or no request."""
        parser, taken = httptools.HttpRequestParser(self), 0
        while not self._is_complete and self._problem is None:
            data = await stream.receive_some(4096)
            taken += len(data)
            if not data:
                self.is_absent = True
                return
            if taken > MAX_REQUEST_BYTES:
                self._problem = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                return
            try:
                parser.feed_data(bytes(data))
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                if not self._is_complete:
                    self._problem = HTTPStatus.BAD_REQUEST
        if self._is_complete:
            self.verb = parser.get_method().decode("ascii", "replace")

    @property
    def status(self) -> HTTPStatus:
        """What it is to be answered with."""
        if self._problem is not None:
            return self._problem
        if self.verb not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED
        path = self._url.partition(b"?")[0].decode("latin-1")
        return HTTPStatus.OK if path == PATH else HTTPStatus.NOT_FOUND

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"accept":
            self.accept += ("," if self.accept else "") + value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._is_complete = True  # bodies are of no interest
