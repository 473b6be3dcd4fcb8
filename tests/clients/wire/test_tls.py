"""TLS: verification, names, client certificates, resumption, and what goes wrong with each."""

import pathlib
import socket
import ssl

import attrs
import pytest
import trustme

from flux.clients.target import Tls
from flux.clients.wire import WireSettings
from tests.clients.wire.rig import (
    OK,
    Peer,
    Server,
    answer_all,
    errors,
    flow_of,
    plan,
    resting,
    run_sync,
    serve,
    wire_client,
)


@attrs.frozen
class Authority:
    """A CA, and the file that says so."""

    ca: trustme.CA
    file: pathlib.Path

    def server(self, *names: str) -> ssl.SSLContext:
        """A server's context with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, file)


def _https(server: Server, authority: Authority) -> WireSettings:
    tls = Tls(ca=authority.file)
    settings = attrs.evolve(server.settings, scheme="https", host="target.test", tls=tls)
    return attrs.evolve(settings, connect_to=("127.0.0.1", server.port))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_trusted_server(authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.server("target.test")
    context.maximum_version = version
    with serve(answer_all(), context=context) as server:
        rows = run_sync(
            wire_client(_https(server, authority)),
            flow_of(plan(), plan(index=1)),
            roster=((0, 0, 1),),
            habits=resting(count=5),
            holds_open=True,
        )
    assert errors(rows) == ["NONE"] * 10
    assert rows["tls_ns"][0] > 0
    assert (rows["tls_ns"][1:] == 0).all()
    assert server.accepted == 1


def test_large_bodies_in_both_directions(authority: Authority) -> None:
    size = 5_000_000
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"y" * size)
    with serve(answer_all(response), context=authority.server("target.test")) as server:
        one = plan(method="POST", body=b"x" * size, wants_body=True)
        rows = run_sync(
            wire_client(_https(server, authority)),
            flow_of(one, attrs.evolve(one, index=1)),
        )
    assert errors(rows) == ["NONE"] * 2
    assert rows["bytes_in"].tolist() == [size] * 2
    assert rows["bytes_out"].tolist() == [size] * 2


def test_an_unknown_authority_fails(authority: Authority) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("target.test").configure_cert(other)
    with serve(answer_all(), context=other) as server:
        settings = _https(server, authority)
        assert errors(run_sync(wire_client(settings), flow_of(plan()))) == ["TLS"]
        lenient = attrs.evolve(settings, tls=Tls(verify=False))
        assert errors(run_sync(wire_client(lenient), flow_of(plan()))) == ["NONE"]


def test_a_certificate_for_another_name_fails(authority: Authority) -> None:
    with serve(answer_all(), context=authority.server("other.test")) as server:
        settings = _https(server, authority)
        assert errors(run_sync(wire_client(settings), flow_of(plan()))) == ["TLS"]
        named = attrs.evolve(settings, tls=attrs.evolve(settings.tls, server_name="other.test"))
        assert errors(run_sync(wire_client(named), flow_of(plan()))) == ["NONE"]


def test_the_name_is_sent_in_the_handshake(authority: Authority) -> None:
    asked: list[str] = []
    context = authority.server("target.test")
    context.sni_callback = lambda _, name, __: asked.append(str(name))
    with serve(answer_all(), context=context) as server:
        run_sync(wire_client(_https(server, authority)), flow_of(plan()))
    assert asked == ["target.test"]


def test_a_server_that_asks_for_a_certificate(authority: Authority, tmp_path: pathlib.Path) -> None:
    context = authority.server("target.test")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    ours = tmp_path / "ours.pem"
    authority.ca.issue_cert("me.test").private_key_and_cert_chain_pem.write_to_path(str(ours))
    with serve(answer_all(), context=context) as server:
        settings = _https(server, authority)
        rows = run_sync(wire_client(settings), flow_of(plan(timeout_s=2)))
        assert errors(rows)[0] in {"TLS", "RESET", "CLOSED"}
        tls = attrs.evolve(settings.tls, cert=ours)
        rows = run_sync(wire_client(attrs.evolve(settings, tls=tls)), flow_of(plan()))
        assert errors(rows) == ["NONE"]


def test_a_server_that_is_too_old_fails(authority: Authority) -> None:
    context = authority.server("target.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serve(answer_all(), context=context) as server:
        settings = _https(server, authority)
        tls = attrs.evolve(settings.tls, min_version="1.3")
        rows = run_sync(wire_client(attrs.evolve(settings, tls=tls)), flow_of(plan()))
    assert errors(rows) == ["TLS"]


def test_a_server_without_tls_fails(authority: Authority) -> None:
    with serve(lambda peer, _: peer.send(b"HTTP/1.1 400 No\r\n\r\n")) as server:
        rows = run_sync(wire_client(_https(server, authority)), flow_of(plan()))
    assert errors(rows) == ["TLS"]


def test_a_handshake_that_stalls_ends_with_the_time_limit(authority: Authority) -> None:
    with serve(lambda peer, _: peer.wait_for_close()) as server:
        rows = run_sync(wire_client(_https(server, authority)), flow_of(plan(timeout_s=0.1)))
    assert errors(rows) == ["TIMEOUT"]


@pytest.mark.parametrize("resume", [True, False])
def test_later_connections_resume_the_session(authority: Authority, resume: bool) -> None:
    reused: list[bool] = []

    def script(peer: Peer, _: int) -> None:
        peer.read_request()
        assert isinstance(peer.socket, ssl.SSLSocket)
        reused.append(bool(peer.socket.session_reused))
        peer.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    with serve(script, context=authority.server("target.test")) as server:
        settings = _https(server, authority)
        settings = attrs.evolve(settings, resumes_tls=resume)
        rows = run_sync(wire_client(settings), flow_of(plan()), dues_ms=(0, 60, 120))
    assert errors(rows) == ["NONE"] * 3
    assert reused == [False, resume, resume]


def test_a_reset_within_the_handshake() -> None:
    def script(peer: Peer, _: int) -> None:
        peer.socket.recv(10)
        peer.reset()

    with serve(script) as server:
        settings = attrs.evolve(server.settings, scheme="https")
        assert errors(run_sync(wire_client(settings), flow_of(plan()))) == ["RESET"]


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_ipv6_and_the_host_header() -> None:
    def script(peer: Peer, _: int) -> None:
        server.requests.append(peer.read_request())
        peer.send(OK)

    with serve(script, family=socket.AF_INET6) as server:
        rows = run_sync(wire_client(server.settings), flow_of(plan()))
    assert errors(rows) == ["NONE"]
    assert b"Host: [::1]:%d\r\n" % server.port in server.requests[0]
