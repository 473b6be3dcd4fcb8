"""The httpx client against real sockets: times, cookies, redirects, a code for every failure."""

import functools
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trustme

from flux.clients.exchange import Exchange
from flux.clients.httpx_client import HttpxSettings, open_pool
from flux.clock import LiveClock
from flux.flows.actions import RequestPlan, Send, Text
from flux.schemas import ErrorCode

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@asynccontextmanager
async def serving(
    *replies: bytes, close_after: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers its n-th request with the n-th reply, the last one again and again."""
    requests: list[bytes] = []

    async def handle(stream: trio.abc.Stream) -> None:
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        async with stream:
            while True:
                head = b""
                while not is_complete(head):
                    try:
                        data = await stream.receive_some()
                    except (trio.BrokenResourceError, ssl.SSLError):
                        return
                    if not data:
                        return
                    head += data
                requests.append(head)
                await stream.send_all(replies[min(len(requests), len(replies)) - 1])
                if close_after:
                    return

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            functools.partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
        )
        yield listeners[0].socket.getsockname()[1], requests
        nursery.cancel_scope.cancel()


def is_complete(request: bytes) -> bool:
    head, separator, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(separator) and len(body) >= int(length[1] if length else 0)


def plan_of(method: str = "GET", target: bytes = b"/", **wants: bool) -> RequestPlan:
    return RequestPlan(
        index=0,
        name="x",
        method=method,
        target=Text((target,)),
        headers=((b"x-a", Text((b"b",))),),
        body=Text((b"name=", 0)) if method == "POST" else None,
        timeout_ns=10**10,
        wants_headers=wants.get("headers", False),
        wants_body=wants.get("body", False),
        judge=lambda *_: ErrorCode.NONE,
    )


def settings_of(port: int, **more: object) -> HttpxSettings:
    url = f"http://127.0.0.1:{port}/base"
    return HttpxSettings(**{"base_urls": (url,), "verify": ssl.create_default_context(), **more})  # type: ignore[arg-type]  # keywords of a test


async def exchange_once(settings: HttpxSettings, plan: RequestPlan) -> Exchange:
    async with open_pool(settings, LiveClock()) as pool, pool.open_session() as session:
        exchange = Exchange()
        await session.exchange(Send(plan, (b"v",)), exchange)
        return exchange


async def test_sends_what_the_plan_says_and_nothing_else() -> None:
    async with serving(OK) as (port, requests):
        await exchange_once(settings_of(port), plan_of("POST", b"/x?y=1"))
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /base/x?y=1 HTTP/1.1"
    names = {line.split(b":")[0].lower() for line in lines[1:]}
    assert names == {b"host", b"x-a", b"content-length", b"connection"}
    assert body == b"name=v"


async def test_notes_the_times_in_order() -> None:
    clock = LiveClock()
    async with (
        serving(OK) as (port, _),
        open_pool(settings_of(port), clock) as pool,
        pool.open_session() as session,
    ):
        first, second = Exchange(), Exchange()
        began_ns = clock.now_ns()
        await session.exchange(Send(plan_of(), ()), first)
        await session.exchange(Send(plan_of(), ()), second)
    assert first.status == second.status == 200
    assert first.opened_connection
    assert first.connect_ns > 0
    assert began_ns < first.first_byte_ns <= first.end_ns
    assert first.end_ns < second.first_byte_ns <= second.end_ns < clock.now_ns()
    assert not second.opened_connection
    assert second.connect_ns == 0
    assert first.bytes_in == 2


async def test_each_session_has_cookies_of_its_own() -> None:
    set_cookie = b"HTTP/1.1 200 OK\r\nset-cookie: id=1\r\ncontent-length: 0\r\n\r\n"
    async with (
        serving(set_cookie, OK) as (port, requests),
        open_pool(settings_of(port), LiveClock()) as pool,
    ):
        async with pool.open_session() as session:
            await session.exchange(Send(plan_of(), ()), Exchange())
            await session.exchange(Send(plan_of(), ()), Exchange())
        async with pool.open_session() as session:
            await session.exchange(Send(plan_of(), ()), Exchange())
    assert [b"cookie: id=1" in one.lower() for one in requests] == [False, True, False]


@pytest.mark.parametrize(
    ("allowed", "status", "error"),
    [(0, 302, ErrorCode.NONE), (5, 200, ErrorCode.NONE), (1, 0, ErrorCode.REDIRECTS)],
)
async def test_follows_as_many_redirects_as_allowed(
    allowed: int, status: int, error: ErrorCode
) -> None:
    redirect = b"HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n"
    async with serving(redirect, redirect, OK) as (port, _):
        exchange = await exchange_once(settings_of(port, max_redirects=allowed), plan_of())
    assert (exchange.status, exchange.error) == (status, error)


async def test_gives_headers_and_body_only_when_asked() -> None:
    async with serving(OK) as (port, _):
        bare = await exchange_once(settings_of(port), plan_of())
        full = await exchange_once(settings_of(port), plan_of(headers=True, body=True))
    assert (bare.headers, bare.body) == (None, None)
    assert full.headers == {"content-length": "2"}
    assert full.body == b"hi"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", ErrorCode.CLOSED),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhi", ErrorCode.CLOSED),
        (b"NOT HTTP AT ALL\r\n\r\n", ErrorCode.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", ErrorCode.PROTOCOL),
    ],
)
async def test_a_broken_response_has_a_code(reply: bytes, error: ErrorCode) -> None:
    async with serving(reply, close_after=True) as (port, _):
        exchange = await exchange_once(settings_of(port), plan_of())
    assert exchange.error is error


async def test_a_port_where_nobody_listens_is_refused() -> None:
    exchange = await exchange_once(settings_of(closed_port()), plan_of())
    assert exchange.error is ErrorCode.REFUSED


async def test_a_name_that_does_not_resolve_is_dns() -> None:
    settings = settings_of(1, base_urls=("http://does-not-exist.invalid",))
    exchange = await exchange_once(settings, plan_of())
    assert exchange.error is ErrorCode.DNS


@pytest.fixture
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def test_verifies_certificates(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = certificates
    async with serving(OK, tls=server) as (port, _):
        url = f"https://127.0.0.1:{port}"
        trusted = await exchange_once(settings_of(port, base_urls=(url,), verify=client), plan_of())
        distrusted = await exchange_once(settings_of(port, base_urls=(url,)), plan_of())
    assert (trusted.status, trusted.error) == (200, ErrorCode.NONE)
    assert trusted.tls_ns > 0
    assert (distrusted.status, distrusted.error) == (0, ErrorCode.TLS)
