"""One probe against real sockets: what it sends, and what it says of every kind of answer."""

import socket
import ssl

import pytest
import trustme

from flux.clients.health import Health
from flux.clients.probing import Prober, Route, probe_all
from flux.clients.target import HostPort, Target
from flux.flows.expect import Status
from flux.units import Duration
from tests.clients.wire.rig import Peer, Script, serve

SECOND = Duration(10**9)


def prober_of(
    url: str,
    health: Health | None = None,
    *,
    context: ssl.SSLContext | None = None,
    **route: object,
) -> Prober:
    return Prober(
        Target.parse(url),
        health or Health(path="/health", timeout=Duration(10 * SECOND)),
        Route(context=context or ssl.create_default_context(), **route),  # type: ignore[arg-type]  # keywords of a test
    )


def answer(reply: bytes, seen: list[bytes] | None = None) -> Script:
    def script(peer: Peer, number: int) -> None:
        request = peer.read_request()
        if seen is not None:
            seen.append(request)
        peer.send(reply)

    return script


async def problem_of(reply: bytes, health: Health | None = None) -> str:
    with serve(answer(reply)) as server:
        return (await prober_of(f"http://127.0.0.1:{server.port}", health).probe()).problem


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nnot all of it", ""),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\n", "status 503"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "status 302"),
        (b"220 mail.example ESMTP\r\n", "protocol"),
        (b"HTTP/1.1 2", "closed"),
        (b"", "closed"),
    ],
)
async def test_the_status_of_the_answer_decides(reply: bytes, problem: str) -> None:
    assert await problem_of(reply) == problem


async def test_another_status_may_be_the_right_one() -> None:
    health = Health(path="/", status=Status.from_toml([404, "5xx"]))
    assert await problem_of(b"HTTP/1.1 503 No\r\n\r\n", health) == ""
    assert await problem_of(b"HTTP/1.1 200 OK\r\n\r\n", health) == "status 200"


async def test_a_probe_is_a_get_below_the_target_with_headers_of_its_own() -> None:
    seen: list[bytes] = []
    health = Health(path="/up?a=é", headers={"x-probe": "1"})
    with serve(answer(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as server:
        await prober_of(f"http://127.0.0.1:{server.port}/base", health).probe()
        host = f"127.0.0.1:{server.port}".encode()
    assert seen[0].split(b"\r\n")[:-2] == [
        b"GET /base/up?a=%C3%A9 HTTP/1.1",
        b"Host: " + host,
        b"Connection: close",
        b"x-probe: 1",
    ]


async def test_nobody_there_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert (await prober_of(f"http://127.0.0.1:{port}").probe()).problem == "refused"


async def test_a_target_that_says_nothing_has_failed_at_the_timeout() -> None:
    health = Health(path="/", timeout=Duration(SECOND // 20))
    with serve(lambda peer, _: peer.wait_for_close()) as server:
        probe = await prober_of(f"http://127.0.0.1:{server.port}", health).probe()
    assert probe.problem == "timeout"
    assert probe.latency_ns >= SECOND // 20


async def test_a_name_that_does_not_resolve_is_a_problem_and_no_exception() -> None:
    probe = await prober_of("http://does-not-exist.invalid").probe()
    assert probe.problem == "dns"


async def test_probes_go_where_connections_go() -> None:
    with serve(answer(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        there = HostPort("127.0.0.1", server.port)
        assert not (await prober_of("http://shop.example", connect_to=there).probe()).problem
    with serve(answer(b"HTTP/1.1 200 OK\r\n\r\n"), unix=True) as server:
        probe = await prober_of("http://shop.example", unix_socket=server.address).probe()
        assert not probe.problem


@pytest.mark.parametrize(("is_trusted", "problem"), [(True, ""), (False, "tls")])
async def test_certificates_are_verified(is_trusted: bool, problem: str) -> None:
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.example").configure_cert(theirs)
    ours = ssl.create_default_context()
    if is_trusted:
        authority.configure_trust(ours)
    with serve(answer(b"HTTP/1.1 200 OK\r\n\r\n"), context=theirs) as server:
        there = HostPort("127.0.0.1", server.port)
        prober = prober_of("https://shop.example", context=ours, connect_to=there)
        assert (await prober.probe()).problem == problem
        server.failures.clear()  # the handshake that we broke off


async def test_all_are_asked_at_once_and_answers_keep_their_order() -> None:
    with (
        serve(answer(b"HTTP/1.1 200 OK\r\n\r\n")) as well,
        serve(answer(b"HTTP/1.1 500 No\r\n\r\n")) as ill,
    ):
        probers = [prober_of(f"http://127.0.0.1:{one.port}") for one in (well, ill, well)]
        assert [probe.problem for probe in await probe_all(probers)] == ["", "status 500", ""]
