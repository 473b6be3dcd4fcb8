"""Everything a network or a broken server can do ends in a row with its code, and nothing leaks."""

import errno
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from flux.clients.wire import WireSettings
from flux.clients.wire.errors import classify
from flux.control import Control
from flux.flows.actions import End, Send, Text
from flux.schemas import ErrorCode
from tests.clients.wire.rig import (
    OK,
    Peer,
    Script,
    answer_all,
    errors,
    flow_from,
    flow_of,
    httpx_client_for,
    plan,
    resting,
    run_sync,
    serve,
    wire_client,
)


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


def _stall(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.wait_for_close()


def _stall_in_body(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.send(OK[:-1])
    peer.wait_for_close()


def _drip(peer: Peer, _: int) -> None:
    peer.read_request()
    for index in range(len(OK)):
        peer.send(OK[index : index + 1])
        peer.socket.settimeout(0.02)
        try:
            if not peer.socket.recv(1):
                return
        except TimeoutError:
            pass


def _reset(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.reset()


def _reset_in_body(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.send_apart([OK[:-1]])
    peer.reset()


def _close(peer: Peer, _: int) -> None:
    peer.read_request()


def _half_close(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.socket.shutdown(socket.SHUT_WR)
    peer.wait_for_close()


def _endless_headers(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.send(b"X-More: and more\r\n" * 1000)


def _endless_informational(peer: Peer, _: int) -> None:
    peer.read_request()
    while True:
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _endless_body(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        peer.send(b"x" * 1_000_000)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (_stall, "TIMEOUT"),
        (_stall_in_body, "TIMEOUT"),
        (_drip, "TIMEOUT"),
        (_reset, "RESET"),
        (_close, "CLOSED"),
        (_half_close, "CLOSED"),
        (_endless_headers, "PROTOCOL"),
    ],
)
def test_a_broken_server_is_an_outcome_and_the_same_by_httpx(script: Script, code: str) -> None:
    flow = flow_of(plan(timeout_s=0.15 if code == "TIMEOUT" else 10))
    with serve(script) as server:
        by_wire = run_sync(wire_client(server.settings), flow, dues_ms=(0, 0, 0))
        by_httpx = run_sync(httpx_client_for(f"http://127.0.0.1:{server.port}"), flow)
    assert errors(by_wire) == [code] * 3
    assert errors(by_httpx) == [code]
    for column in ("status", "bytes_in", "bytes_out", "step", "skipped", "retries"):
        assert by_wire[column].tolist()[:1] == by_httpx[column].tolist(), column


def test_a_reset_within_the_body_is_a_reset() -> None:
    with serve(_reset_in_body, unix=True) as server:
        rows = run_sync(wire_client(server.settings), flow_of(plan()))
    # Over a Unix socket SO_LINGER resets nothing; the body ends early all the same.
    assert errors(rows) == ["CLOSED"]


@pytest.mark.parametrize("script", [_endless_body, _endless_informational])
def test_an_endless_response_ends_with_the_time_limit(script: Script) -> None:
    with serve(script) as server:
        rows = run_sync(wire_client(server.settings), flow_of(plan(timeout_s=0.15)))
    assert errors(rows) == ["TIMEOUT"] or errors(rows) == ["PROTOCOL"]


def test_a_body_that_is_looked_at_is_bounded() -> None:
    with serve(_endless_body) as server:
        rows = run_sync(wire_client(server.settings), flow_of(plan(wants_body=True)))
    assert errors(rows) == ["DECODE"]


def test_a_large_body_is_discarded_unread() -> None:
    size = 40_000_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    with serve(answer_all(head + b"x" * size)) as server:
        rows = run_sync(
            wire_client(server.settings),
            flow_of(plan(timeout_s=20)),
            roster=((0, 0, 1),),
            habits=resting(count=3),
            holds_open=True,
        )
    assert errors(rows) == ["NONE"] * 3
    assert rows["bytes_in"].tolist() == [size] * 3
    assert server.accepted == 1


def test_a_large_request_is_sent_in_parts() -> None:
    body = bytes(range(256)) * 40_000

    def script(peer: Peer, _: int) -> None:
        while request := peer.read_request():
            server.requests.append(request)
            peer.send(OK)

    with serve(script) as server:
        one = plan(method="POST", body=Text((body, 0, b"end")))
        send = Send(one, (b"value",))
        flow = flow_from((one,), lambda: [send, End(success=True, skipped=0)])
        rows = run_sync(wire_client(server.settings), flow, dues_ms=(0, 0))
    assert errors(rows) == ["NONE", "NONE"]
    assert rows["bytes_out"].tolist() == [len(body) + 8] * 2
    assert all(request.endswith(body + b"valueend") for request in server.requests)


def test_an_answer_given_before_the_request_is_complete_counts() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def script(peer: Peer, _: int) -> None:
        peer.socket.recv(100)
        peer.send(refusal)
        peer.wait_for_close()

    with serve(script) as server:
        one = plan(method="POST", body=b"x" * 20_000_000)
        rows = run_sync(wire_client(server.settings), flow_of(one))
    assert rows["status"].tolist() == [413]
    assert errors(rows) == ["STATUS"]


def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings = WireSettings(host="127.0.0.1", port=unused.getsockname()[1])
        rows = run_sync(
            wire_client(settings),
            flow_of(plan()),
            roster=((0, 0, 1), (0, 1, 1)),
            habits=resting(count=500),
            holds_open=True,
        )
    assert errors(rows) == ["REFUSED"] * 500
    assert rows["seq"].tolist() == list(range(500))


def test_a_unix_socket_that_is_not_there_refuses() -> None:
    settings = WireSettings(unix_socket="/nonexistent/socket")
    rows = run_sync(
        wire_client(settings),
        flow_of(plan()),
        roster=tuple((0, user, 1) for user in range(100)),
        habits=resting(count=5000),
        holds_open=True,
    )
    assert errors(rows) == ["REFUSED"] * 5000


def test_a_connection_that_does_not_open_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # The queue holds one; further ones get no answer to their SYN.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        settings = WireSettings(host="127.0.0.1", port=full.getsockname()[1])
        rows = run_sync(wire_client(settings), flow_of(plan(timeout_s=0.1)), dues_ms=(0, 10, 20))
        for filler in fillers:
            filler.close()
    assert errors(rows) == ["CONNECT_TIMEOUT"] * 3


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    rows = run_sync(wire_client(WireSettings(host="a.test")), flow_of(plan()), dues_ms=(0, 0, 5))
    assert errors(rows) == ["DNS"] * 3


def test_a_name_is_looked_up_once_and_the_address_that_works_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve(answer_all()) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        asked = []

        def find(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            asked.append(host)
            dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", unused.getsockname())
            return [dead, (socket.AF_INET, socket.SOCK_STREAM, 6, "", server.address)]

        monkeypatch.setattr(socket, "getaddrinfo", find)
        rows = run_sync(
            wire_client(WireSettings(host="a.test")), flow_of(plan()), dues_ms=(0, 0, 0, 0, 30)
        )
    assert errors(rows) == ["NONE"] * 5
    assert asked == ["a.test"]


def test_running_out_of_descriptors_is_told_and_the_run_goes_on() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serve(_stall) as server:
        held = socket.socket()
        try:

            async def lower(_: Control) -> None:
                # Room for what is open now, and for nothing else.
                resource.setrlimit(resource.RLIMIT_NOFILE, (held.fileno(), hard))

            flow = flow_of(plan(timeout_s=0.1))
            rows = run_sync(wire_client(server.settings), flow, dues_ms=(50, 51, 52), steer=lower)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            held.close()
    assert errors(rows) == ["DESCRIPTORS"] * 3


def test_a_source_address_that_is_not_ours_has_no_port() -> None:
    settings = WireSettings(host="127.0.0.1", port=9, source_address="192.0.2.1")
    assert errors(run_sync(wire_client(settings), flow_of(plan()))) == ["PORTS"]


def test_one_failing_connection_does_not_touch_the_others() -> None:
    def script(peer: Peer, number: int) -> None:
        while peer.read_request():
            if number == 1:
                peer.reset()
                return
            peer.send(OK)

    with serve(script) as server:
        rows = run_sync(
            wire_client(server.settings), flow_of(plan(method="POST")), dues_ms=(0,) * 5
        )
    assert sorted(errors(rows)) == ["NONE"] * 4 + ["RESET"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ECONNREFUSED, ErrorCode.REFUSED),
        (errno.EMFILE, ErrorCode.DESCRIPTORS),
        (errno.ENFILE, ErrorCode.DESCRIPTORS),
        (errno.EADDRNOTAVAIL, ErrorCode.PORTS),
        (errno.EHOSTUNREACH, ErrorCode.UNREACHABLE),
        (errno.ENETUNREACH, ErrorCode.UNREACHABLE),
        (errno.ETIMEDOUT, ErrorCode.CONNECT_TIMEOUT),
        (errno.EPIPE, ErrorCode.RESET),
        (errno.EIO, ErrorCode.OTHER),
    ],
)
def test_each_error_of_the_system_has_its_code(number: int, code: ErrorCode) -> None:
    assert classify(OSError(number, "")) is code
