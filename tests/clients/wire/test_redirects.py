"""Redirects: which request follows, how often, and that httpx does the same."""

import attrs
import pytest

from flux.clients.wire.errors import BadResponse
from flux.clients.wire.redirects import follow
from flux.clients.wire.settings import Origin
from tests.clients.wire.rig import (
    OK,
    Peer,
    Script,
    errors,
    flow_of,
    httpx_client_for,
    plan,
    run_sync,
    serve,
    wire_client,
)

_HERE = Origin("http", "a.test", 80)
_POST = (
    b"POST /x/y?z HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody"
)


@pytest.mark.parametrize(
    ("status", "method", "wanted"),
    [
        (301, b"POST", b"GET"),
        (301, b"PUT", b"PUT"),
        (301, b"HEAD", b"HEAD"),
        (302, b"POST", b"GET"),
        (302, b"HEAD", b"HEAD"),
        (303, b"PUT", b"GET"),
        (303, b"HEAD", b"HEAD"),
        (307, b"POST", b"POST"),
        (308, b"POST", b"POST"),
    ],
)
def test_the_method_of_the_next_request(status: int, method: bytes, wanted: bytes) -> None:
    request, origin = follow(_POST.replace(b"POST", method), _HERE, status, b"next")
    assert origin == _HERE
    assert request.startswith(wanted + b" /x/next HTTP/1.1\r\nHost: a.test\r\n")
    keeps_body = wanted == method
    assert request.endswith(b"\r\n\r\nbody") == keeps_body
    assert (b"Content-Length" in request) == keeps_body
    assert (b"Content-Type" in request) == keeps_body
    assert b"Authorization" in request
    assert b"Cookie" not in request


@pytest.mark.parametrize(
    ("location", "target", "origin"),
    [
        (b"/z", b"/z", _HERE),
        (b"?q=1", b"/x/y?q=1", _HERE),
        (b"../up", b"/up", _HERE),
        (b"//b.test:81/p", b"/p", Origin("http", "b.test", 81)),
        (b"https://a.test", b"/", Origin("https", "a.test", 443)),
        (b"http://[::1]:8/p#part", b"/p", Origin("http", "::1", 8)),
        (b"/with blank\xc3\xa9", b"/with%20blank%C3%A9", _HERE),
    ],
)
def test_where_the_next_request_goes(location: bytes, target: bytes, origin: Origin) -> None:
    request, where = follow(_POST, _HERE, 307, location)
    assert request.startswith(b"POST %b HTTP/1.1\r\n" % target)
    assert where == origin
    assert (b"Authorization" in request) == (origin == _HERE)


@pytest.mark.parametrize("location", [b"ftp://a.test/", b"http://[", b"http://a:x/"])
def test_a_location_that_leads_nowhere(location: bytes) -> None:
    with pytest.raises(BadResponse, match="redirects"):
        follow(_POST, _HERE, 302, location)


def _redirecting(locations: dict[bytes, bytes], status: int = 302) -> Script:
    def script(peer: Peer, _: int) -> None:
        while request := peer.read_request():
            location = locations.get(request.split(b" ")[1])
            if location is None:
                peer.send(OK)
            else:
                peer.send(
                    b"HTTP/1.1 %d Go\r\nLocation: %b\r\nContent-Length: 4\r\n\r\naway"
                    % (status, location)
                )

    return script


_LOCATIONS = {b"/a": b"/b", b"/b": b"/c", b"/loop": b"/loop", b"/bad": b"ftp://x/"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("target", "most"),
    [(b"/a", 2), (b"/a", 1), (b"/a", 0), (b"/loop", 5), (b"/bad", 5)],
)
def test_httpx_gets_to_the_same(status: int, target: bytes, most: int) -> None:
    one = flow_of(plan(target, method="POST", body=b"data"), plan(target, index=1))
    with serve(_redirecting(_LOCATIONS, status)) as server:
        settings = attrs.evolve(server.settings, max_redirects=most)
        by_wire = run_sync(wire_client(settings), one)
        by_httpx = run_sync(httpx_client_for(f"http://127.0.0.1:{server.port}", most), one)
    for column in ("status", "error", "bytes_in", "bytes_out", "step", "skipped"):
        assert by_wire[column].tolist() == by_httpx[column].tolist(), column
    assert (by_wire["flags"] & ~256).tolist() == (by_httpx["flags"] & ~256).tolist()


def test_a_redirect_to_another_server() -> None:
    def target(peer: Peer, _: int) -> None:
        while request := peer.read_request():
            other.requests.append(request)
            peer.send(OK)

    with serve(target) as other:
        there = b"http://127.0.0.1:%d/there" % other.port
        with serve(_redirecting({b"/a": there})) as server:
            one = plan(b"/a", headers=((b"Authorization", b"Bearer x"), (b"X-Kept", b"yes")))
            rows = run_sync(wire_client(server.settings), flow_of(one))
    assert errors(rows) == ["NONE"]
    assert other.requests == [
        b"GET /there HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Kept: yes\r\n\r\n" % other.port
    ]
