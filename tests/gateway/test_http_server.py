"""The gateway's HTTP/1.1, byte by byte."""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from flux.gateway.http_server import MAX_REQUEST_BYTES, Answer, Request, serve_http


async def _echo(request: Request) -> Answer:
    return Answer(
        200, {"verb": request.verb, "path": request.path, "body": request.body.decode("latin-1")}
    )


@attrs.frozen
class _Server:
    port: int
    stop: trio.Event

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def exchange(self, data: bytes) -> bytes:
        """Send, close our half, and read all that comes."""
        async with await self.connect() as stream:
            await stream.send_all(data)
            await stream.send_eof()
            return b"".join([part async for part in stream])


@asynccontextmanager
async def _serving(handle: object = _echo) -> AsyncIterator[_Server]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = _Server(listener.getsockname()[1], trio.Event())
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_http, handle, listener, server.stop)
            yield server
            server.stop.set()


async def test_answer_is_json_with_its_length_and_keeps_the_connection() -> None:
    async with _serving() as server:
        answer = await server.exchange(b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    assert head.endswith(b"\r\nConnection: keep-alive")
    assert body == b'{"verb": "GET", "path": "/a b", "body": ""}'


@pytest.mark.parametrize(
    "data",
    [
        b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b"POST http://x/a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_body_and_path_arrive_however_they_are_written(data: bytes) -> None:
    async with _serving() as server:
        answer = await server.exchange(data)
    assert answer.endswith(b'{"verb": "POST", "path": "/a", "body": "abc"}')


async def test_requests_in_one_packet_are_answered_in_order() -> None:
    async with _serving() as server:
        answer = await server.exchange(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(3))
        )
    assert [answer.index(b'"/%d"' % number) for number in range(3)] == sorted(
        answer.index(b'"/%d"' % number) for number in range(3)
    )


async def test_request_that_arrives_byte_by_byte_is_one_request() -> None:
    async with _serving() as server, await server.connect() as stream:
        for byte in b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc":
            await stream.send_all(bytes([byte]))
        assert (await stream.receive_some()).endswith(b'"body": "abc"}')


@pytest.mark.parametrize("version", [b"1.0", b"1.1\r\nConnection: close"])
async def test_connection_closes_when_the_client_asks(version: bytes) -> None:
    async with _serving() as server, await server.connect() as stream:
        await stream.send_all(b"GET / HTTP/%s\r\n\r\n" % version)
        answer = b"".join([part async for part in stream])
    assert b"\r\nConnection: close\r\n" in answer


async def test_client_that_waits_for_a_go_ahead_gets_it() -> None:
    async with _serving() as server, await server.connect() as stream:
        await stream.send_all(
            b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert await stream.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send_all(b"abc")
        assert (await stream.receive_some()).endswith(b'"body": "abc"}')


async def test_offer_to_upgrade_is_answered_as_plain_http() -> None:
    async with _serving() as server:
        answer = await server.exchange(
            b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"G@T / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_not_http_is_400_and_harms_nobody_else(data: bytes) -> None:
    async with _serving() as server, await server.connect() as other:
        answer = await server.exchange(data)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b'{"error": "this is not HTTP/1.1: ' in answer
        await other.send_all(b"GET / HTTP/1.1\r\n\r\n")
        assert (await other.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_request_beyond_the_limit_is_413_even_while_the_client_still_sends() -> None:
    async with _serving() as server, await server.connect() as stream:
        await stream.send_all(
            b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + bytes(MAX_REQUEST_BYTES * 4)
        )
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 413 ")


async def test_client_that_resets_in_the_middle_harms_nobody() -> None:
    async with _serving() as server:
        for data in (b"", b"GET", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"):
            stream = await server.connect()
            await stream.send_all(data)
            # Linger of 0 seconds: closing sends a reset.
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()
        assert (await server.exchange(b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_bug_in_a_handler_is_500_with_a_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: Request) -> Answer:
        raise ZeroDivisionError("division by zero")

    async with _serving(broken) as server:
        answer = await server.exchange(b"GET /a HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert "GET /a failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_stop_lets_the_request_in_flight_finish_and_closes_idle_connections() -> None:
    entered, release = trio.Event(), trio.Event()

    async def slow(request: Request) -> Answer:
        entered.set()
        await release.wait()
        return await _echo(request)

    async with (
        _serving(slow) as server,
        await server.connect() as idle,
        await server.connect() as busy,
    ):
        await busy.send_all(b"GET / HTTP/1.1\r\n\r\n")
        await entered.wait()
        server.stop.set()
        assert await idle.receive_some() == b""
        release.set()
        answer = b"".join([part async for part in busy])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer
