"""The general HTTP client, over httpx: HTTP/2, proxies, redirects, everything httpx knows.

Each session has a client of its own, and so its own cookies; all share the connections, of which
each target has a pool. Times come from httpcore's trace events, and those of a response from when
its socket got the bytes. Only this module, `httpx_lanes`, `guarded_transport` and the breaker's
webhook import httpx.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx

from flux.clients.exchange import Exchange, Exchanger
from flux.clients.guarded_transport import GuardedTransport, NotAllowed, WhenRefused
from flux.clients.httpx_lanes import Lanes
from flux.clients.readiness import Readiness, open_readiness
from flux.clients.system_errors import BY_ERRNO
from flux.clock import Clock
from flux.errors import MissingExtra
from flux.flows.actions import Send
from flux.guards.hosts import HostRule
from flux.schemas import ErrorCode


@attrs.frozen
class HttpxSettings:
    """How httpx is to connect."""

    base_urls: tuple[str, ...]
    """Scheme, host, port and base path of each target; at least one."""
    verify: ssl.SSLContext
    server_name: str | None = None
    """For SNI and verification, in place of the URL's host."""
    http2: bool = False
    proxy: str | None = None
    max_redirects: int = 0
    """0: a redirect is a response like any other."""
    max_connections: int | None = None
    """To each target, at the most."""
    unix_socket: str | None = None
    source_address: str | None = None
    hosts: HostRule = HostRule()  # noqa: RUF009  # immutable
    """Which hosts may be talked to, whether named by the target or by a redirect."""
    when_refused: WhenRefused = lambda *_: None
    """Is told of those that may not."""


@asynccontextmanager
async def open_pool(settings: HttpxSettings, clock: Clock) -> AsyncIterator["Pool"]:
    """Open the connections that all sessions share."""
    if settings.http2:
        try:
            import h2  # noqa: F401  # only to say which extra is missing
        except ImportError:
            raise MissingExtra("http2 = true", extra="http2") from None
    bases = tuple(map(httpx.URL, settings.base_urls))
    by_origin = {_origin(base): _transport(settings) for base in bases}
    transport: httpx.AsyncBaseTransport = by_origin[_origin(bases[0])]
    if len(by_origin) > 1:
        transport = _Transports(by_origin)
    if settings.unix_socket is None:  # to which everything goes, wherever redirects point
        transport = GuardedTransport(
            transport,
            settings.hosts,
            settings.when_refused,
            resolves=settings.proxy is None,
        )
    with open_readiness(clock) as readiness:
        async with transport:
            yield Pool(settings, bases, transport, clock, readiness)


def _transport(settings: HttpxSettings) -> httpx.AsyncBaseTransport:
    def open_one(most: int | None) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(
            verify=settings.verify,
            http2=settings.http2,
            proxy=settings.proxy,
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=None),
            uds=settings.unix_socket,
            local_address=settings.source_address,
        )

    most = settings.max_connections
    if settings.http2:
        return open_one(most)
    # Of a bounded number, each lane has one: it closes that to one host to redirect to another.
    return Lanes(lambda: open_one(None if most is None else 1), most)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


class _Transports(httpx.AsyncBaseTransport):
    """A pool for each target, so that one which hangs takes no connection from another."""

    def __init__(
        self, by_origin: dict[tuple[str, str, int | None], httpx.AsyncBaseTransport]
    ) -> None:
        self._by_origin = by_origin
        self._elsewhere = next(iter(by_origin.values()))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        transport = self._by_origin.get(_origin(request.url), self._elsewhere)
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._by_origin.values():
            await transport.aclose()


@attrs.frozen
class Pool:
    """Opens sessions over the shared connections."""

    settings: HttpxSettings
    bases: tuple[httpx.URL, ...]
    transport: httpx.AsyncBaseTransport
    clock: Clock
    readiness: Readiness

    @asynccontextmanager
    async def open_session(self) -> AsyncIterator[Exchanger]:
        """A way to the targets with cookies of its own."""
        yield _HttpxSession(
            httpx.AsyncClient(
                transport=self.transport,
                timeout=None,
                trust_env=False,
                follow_redirects=self.settings.max_redirects > 0,
                max_redirects=max(1, self.settings.max_redirects),
            ),
            self.bases,
            self.settings.server_name,
            self.clock,
            self.readiness,
        )
        # The client is not closed: that would close the connections of all sessions.


@attrs.frozen
class _HttpxSession:
    client: httpx.AsyncClient
    bases: tuple[httpx.URL, ...]
    server_name: str | None
    clock: Clock
    readiness: Readiness

    async def exchange(self, send: Send, exchange: Exchange) -> None:
        """Make the request and fill in what came of it."""
        plan = send.plan
        body = plan.body.fill(send.values) if plan.body else None
        headers = [(name, value.fill(send.values)) for name, value in plan.headers]
        exchange.bytes_out = len(body or b"")
        began_ns = self.clock.now_ns()
        try:
            request = self.client.build_request(
                plan.method,
                self._url(exchange.target, plan.target.fill(send.values)),
                headers=headers,
                content=body,
                extensions=self._extensions(exchange),
            )
            _leave_out_defaults(request, headers)
            response = await self.client.send(request, stream=True)
            # Of redirects, what counts is the response that the session gets.
            exchange.first_byte_ns = self._received_ns(response, began_ns)
            try:
                await self._receive(response, exchange, plan.wants_headers, plan.wants_body)
                exchange.end_ns = self._received_ns(response, began_ns)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            exchange.error = classify(error)

    def _extensions(self, exchange: Exchange) -> dict[str, Any]:
        trace: dict[str, Any] = {"trace": _Trace(exchange, self.clock, self.readiness)}
        return trace | ({"sni_hostname": self.server_name} if self.server_name else {})

    def _url(self, number: int, target: bytes) -> httpx.URL:
        base = self.bases[number]
        return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + target)

    def _received_ns(self, response: httpx.Response, since_ns: int) -> int:
        """When the last bytes came that were read of it so far."""
        stream = response.extensions.get("network_stream")
        opened = stream.get_extra_info("socket") if stream is not None else None
        if opened is None:
            return self.clock.now_ns()
        return self.readiness.ready_ns(opened.fileno(), since_ns)

    async def _receive(
        self, response: httpx.Response, exchange: Exchange, wants_headers: bool, wants_body: bool
    ) -> None:
        if wants_headers:
            exchange.headers = {
                name.lower(): ", ".join(response.headers.get_list(name))
                for name in response.headers
            }
        if wants_body:
            exchange.body = await response.aread()
        else:
            async for _ in response.aiter_raw():
                pass
        exchange.bytes_in = response.num_bytes_downloaded
        exchange.status = response.status_code


def _leave_out_defaults(request: httpx.Request, headers: list[tuple[bytes, bytes]]) -> None:
    """Remove the headers that httpx adds on its own and that nobody asked for."""
    asked = {name.lower() for name, _ in headers}
    for name in (b"accept-encoding", b"accept", b"user-agent"):
        if name not in asked:
            del request.headers[name.decode()]


class _Trace:
    """Notes the times of httpcore's trace events in the exchange."""

    def __init__(self, exchange: Exchange, clock: Clock, readiness: Readiness) -> None:
        self._exchange = exchange
        self._clock = clock
        self._readiness = readiness
        self._began_ns = 0

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        exchange = self._exchange
        self._readiness.look()
        match event:
            case (
                "connection.connect_tcp.started"
                | "connection.connect_unix_socket.started"
                | "connection.start_tls.started"
            ):
                exchange.opened_connection = True
                self._began_ns = self._clock.now_ns()
            case "connection.connect_tcp.complete" | "connection.connect_unix_socket.complete":
                exchange.connect_ns = max(1, self._clock.now_ns() - self._began_ns)
                self._readiness.watch(info["return_value"].get_extra_info("socket").fileno())
            case "connection.start_tls.complete":
                exchange.tls_ns = self._clock.now_ns() - self._began_ns


_BY_TYPE: tuple[tuple[type[BaseException], ErrorCode], ...] = (
    (NotAllowed, ErrorCode.NOT_ALLOWED),
    (ssl.SSLError, ErrorCode.TLS),
    (socket.gaierror, ErrorCode.DNS),
    (httpx.TooManyRedirects, ErrorCode.REDIRECTS),
    (httpx.ConnectTimeout, ErrorCode.CONNECT_TIMEOUT),
    (httpx.TimeoutException, ErrorCode.TIMEOUT),
    (httpx.ProxyError, ErrorCode.PROXY),
    (httpx.UnsupportedProtocol, ErrorCode.REDIRECTS),
    (httpx.LocalProtocolError, ErrorCode.REQUEST),
    (httpx.InvalidURL, ErrorCode.REQUEST),
    (httpx.DecodingError, ErrorCode.DECODE),
)


def classify(error: BaseException) -> ErrorCode:
    """The error code of an exception of httpx, by the most telling exception in its chain.

    httpx wraps httpcore's exceptions, which wrap trio's, which wrap the system's.
    """
    chain = list(_causes(error))
    for cause in chain:
        for kind, meant in _BY_TYPE:
            if isinstance(cause, kind):
                return meant
        code = BY_ERRNO.get(cause.errno or 0) if isinstance(cause, OSError) else None
        if code is not None:
            return code
    if any(isinstance(cause, httpx.RemoteProtocolError) for cause in chain):
        return _protocol_or_closed(str(error))
    if any(isinstance(cause, (httpx.ReadError, httpx.WriteError)) for cause in chain):
        return ErrorCode.RESET
    return ErrorCode.REFUSED if isinstance(error, httpx.ConnectError) else ErrorCode.OTHER


def _protocol_or_closed(text: str) -> ErrorCode:
    closed = "disconnected" in text or "closed connection" in text
    return ErrorCode.CLOSED if closed else ErrorCode.PROTOCOL


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
