"""The endpoint, over real sockets: good scrapers, slow ones, silent ones, and garbage."""

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import httpx
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from flux.config.problems import Violation
from flux.metrics import server
from flux.metrics.meter import Meter
from flux.metrics.server import Exposition, listen, open_server, url_of
from tests.metrics.rig import context_of, meter_of
from tests.outcomes import final_of, request

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@attrs.frozen
class Served:
    """A meter behind an endpoint."""

    meter: Meter
    page: Exposition
    url: str
    port: int

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def exchange(self, text: bytes) -> bytes:
        """Send it, and read until the other side closes."""
        async with await self.connect() as stream:
            await stream.send_all(text)
            return b"".join([bytes(piece) async for piece in stream])


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    context = context_of()
    meter = meter_of(context)
    listener = listen("127.0.0.1", 0)
    page = Exposition(meter)
    url, port = url_of(listener), listener.getsockname()[1]
    async with open_server(listener, page, context.run):
        yield Served(meter, page, url, port)


async def read_rest(stream: trio.SocketStream) -> int:
    """How many bytes come before the other side has had enough, in whatever way it says so."""
    size = 0
    try:
        async for piece in stream:
            size += len(piece)
    except trio.BrokenResourceError:
        pass  # it was reset
    return size


async def test_a_scrape_has_the_type_that_was_asked_for() -> None:
    async with served() as one, httpx.AsyncClient(trust_env=False) as client:
        plain = await client.get(one.url)
        rich = await client.get(one.url, headers={"accept": "application/openmetrics-text"})
    assert plain.status_code == rich.status_code == 200
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "version=1.0.0" in rich.headers["content-type"]
    assert rich.text.endswith("# EOF\n")
    assert "# EOF" not in plain.text


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"GET /metrics?name=x HTTP/1.1", b"HTTP/1.1 200 OK"),
        (b"GET / HTTP/1.1", b"HTTP/1.1 404 Not Found"),
        (b"POST /metrics HTTP/1.1", b"HTTP/1.1 405 Method Not Allowed"),
        (b"GET /metrics HTTP/1.0", b"HTTP/1.1 200 OK"),
        (b"HEAD /metrics HTTP/1.1", b"HTTP/1.1 200 OK"),
        (b"\x16\x03\x01\x02\x00\x01", b"HTTP/1.1 400 Bad Request"),
        (b"SSH-2.0-OpenSSH_9.2", b"HTTP/1.1 400 Bad Request"),
    ],
)
async def test_every_request_has_its_answer(line: bytes, answer: bytes) -> None:
    async with served() as one:
        found = await one.exchange(line + b"\r\nHost: x\r\n\r\n")
    assert found.split(b"\r\n")[0] == answer


async def test_a_head_has_no_body() -> None:
    async with served() as one:
        found = await one.exchange(b"HEAD /metrics HTTP/1.1\r\n\r\n")
    head, _, body = found.partition(b"\r\n\r\n")
    assert b"Content-Length: " in head
    assert body == b""


async def test_a_request_that_is_too_large_is_refused() -> None:
    async with served() as one:
        head = b"GET /metrics HTTP/1.1\r\nCookie: "
        found = await one.exchange(head + b"x" * (server.MAX_REQUEST_BYTES + 1))
    assert found.startswith(b"HTTP/1.1 413 ")


async def test_a_silent_client_is_sent_away(mock_clock: MockClock) -> None:
    async with served() as one, await one.connect() as stream:
        await wait_all_tasks_blocked(0.01)
        await stream.send_all(b"GET /met")
        await wait_all_tasks_blocked(0.01)
        mock_clock.jump(server.REQUEST_S)
        assert await stream.receive_some() == b""


async def test_a_client_that_reads_nothing_is_sent_away(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def render(*_: object) -> bytes:
        return b"x" * (32 << 20)

    monkeypatch.setattr(server, "render", render)
    async with served() as one, await one.connect() as stream:
        await stream.send_all(GET)
        assert await stream.receive_some(1)
        await wait_all_tasks_blocked(0.01)
        mock_clock.jump(server.ANSWER_S)
        assert await read_rest(stream) < 32 << 20
        assert not one.page.was_served_whole.is_set()


async def test_clients_beyond_the_limit_are_sent_away_and_those_below_are_served() -> None:
    async with served() as one:
        silent = [await one.connect() for _ in range(server.MOST_CLIENTS)]
        await wait_all_tasks_blocked(0.01)
        async with await one.connect() as surplus:
            assert await read_rest(surplus) == 0
        await silent[0].send_all(GET)
        assert (await silent[0].receive_some()).startswith(b"HTTP/1.1 200 OK")
        for stream in silent:
            await stream.aclose()
        await wait_all_tasks_blocked(0.01)
        assert (await one.exchange(GET)).startswith(b"HTTP/1.1 200 OK")


async def test_those_who_ask_at_once_get_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    async def render(meter: Meter, form: object) -> bytes:
        made.append(form)
        await trio.lowlevel.checkpoint()
        return b"text"

    monkeypatch.setattr(server, "render", render)
    async with served() as one, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(one.exchange, GET)
    assert len(made) == 1


async def test_the_last_numbers_count_as_fetched_only_once_they_were() -> None:
    async with served() as one:
        await one.exchange(GET)
        assert not one.page.was_served_whole.is_set()
        await one.meter.take(final_of([request()]))
        await one.exchange(b"HEAD /metrics HTTP/1.1\r\n\r\n")
        await one.exchange(b"GET / HTTP/1.1\r\n\r\n")
        assert not one.page.was_served_whole.is_set()
        found = await one.exchange(GET)  # not the text that was kept from before the end
        assert b'flux_run_state{flux_state="ended"} 1.0' in found
        await one.page.was_served_whole.wait()


def test_a_port_that_is_taken_is_a_problem_of_the_key() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Violation, match=f"127.0.0.1:{port}: Address already in use") as caught:
            listen("127.0.0.1", port)
    assert (caught.value.key, caught.value.hint) == ("port", "port = 0 takes any that is free")


def test_an_address_that_is_none_is_a_problem_of_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Violation, match="cannot be resolved") as caught:
        listen("no.such.host", 0)
    assert caught.value.key == "host"


def test_an_address_of_another_machine_is_a_problem() -> None:
    with pytest.raises(Violation, match="Cannot assign requested address"):
        listen("192.0.2.1", 0)


def test_an_address_of_version_6_has_brackets() -> None:
    try:
        listener = listen("::1", 0)
    except Violation as violation:
        cause = violation.__cause__
        assert isinstance(cause, OSError)
        assert cause.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
        pytest.skip("this machine has no IPv6")
    with listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}/metrics"
