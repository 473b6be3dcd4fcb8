"""Cookies: what a session is given it gives back, where it belongs, for as long as it lasts."""

import attrs
import pytest

from flux.clients.wire.cookies import CookieJar
from flux.flows.actions import Identity
from tests.clients.wire.rig import (
    Peer,
    errors,
    flow_of,
    httpx_client_for,
    plan,
    resting,
    run_sync,
    serve,
    wire_client,
)


@pytest.mark.parametrize(
    ("given", "host", "path", "secure", "sent"),
    [
        ("a=1", "x.test", "/", False, b"a=1"),
        ("a=1", "y.test", "/", False, b""),
        ("a=1", "sub.x.test", "/", False, b""),
        ("a=1; Domain=x.test", "sub.x.test", "/", False, b"a=1"),
        ("a=1; Domain=.x.test", "sub.x.test", "/", False, b"a=1"),
        ("a=1; Domain=other.test", "other.test", "/", False, b""),
        ("a=1; Path=/p", "x.test", "/p", False, b"a=1"),
        ("a=1; Path=/p", "x.test", "/p/q?r", False, b"a=1"),
        ("a=1; Path=/p", "x.test", "/pq", False, b""),
        ("a=1; Secure", "x.test", "/", False, b""),
        ("a=1; Secure; HttpOnly", "x.test", "/", True, b"a=1"),
        ("a=1; Max-Age=10", "x.test", "/", False, b"a=1"),
        ("a=1; Max-Age=0", "x.test", "/", False, b""),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "x.test", "/", False, b""),
        ("a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "x.test", "/", False, b"a=1"),
        ("a=1; Expires=nonsense", "x.test", "/", False, b"a=1"),
        ("a=1; Max-Age=x; Expires=nonsense", "x.test", "/", False, b"a=1"),
        ("nothing", "x.test", "/", False, b""),
        ("=1", "x.test", "/", False, b""),
    ],
)
def test_where_a_cookie_is_sent(
    given: str, host: str, path: str, secure: bool, sent: bytes
) -> None:
    jar = CookieJar()
    jar.store([given.encode()], "x.test", "/", now_s=1e9)
    assert jar.header(host, path, secure, now_s=1e9 + 5) == sent


def test_a_cookie_ends_with_its_time() -> None:
    jar = CookieJar()
    jar.store([b"a=1; Max-Age=10", b"b=2"], "x.test", "/", now_s=1e9)
    assert jar.header("x.test", "/", False, now_s=1e9 + 9) == b"a=1; b=2"
    assert jar.header("x.test", "/", False, now_s=1e9 + 11) == b"b=2"


def test_longer_paths_come_first_and_the_path_is_by_default_the_directory() -> None:
    jar = CookieJar()
    jar.store([b"a=1; Path=/", b"b=2"], "x.test", "/dir/page", now_s=1e9)
    assert jar.header("x.test", "/dir/other", False, now_s=1e9) == b"b=2; a=1"
    assert jar.header("x.test", "/", False, now_s=1e9) == b"a=1"


def test_a_new_value_replaces_the_old_one() -> None:
    jar = CookieJar()
    jar.store([b"a=1", b"a=2"], "x.test", "/")
    assert jar.header("x.test", "/", False) == b"a=2"


def _cookies_seen(identity: Identity | None, *, by_httpx: bool = False) -> list[bytes]:
    """What a server sees that gives every request a cookie of its own.

    Args:
        identity: of a user of the closed model, who makes two iterations; None: two arrivals.
    """
    seen: list[bytes] = []

    def script(peer: Peer, _: int) -> None:
        while request := peer.read_request():
            lines = request.split(b"\r\n")
            seen.append(b"".join([line for line in lines if line.lower().startswith(b"cookie")]))
            peer.send(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: n=%d\r\nContent-Length: 0\r\n\r\n" % len(seen)
            )

    flow = flow_of(plan(), plan(index=1), plan(index=2, headers=((b"Cookie", b"own=1"),)))
    with serve(script) as server:
        httpx = httpx_client_for(f"http://127.0.0.1:{server.port}")
        client = httpx if by_httpx else wire_client(server.settings)
        if identity is None:
            rows = run_sync(client, flow, dues_ms=(0, 60))
        else:
            closed = {"roster": ((0, 0, 1),), "habits": resting(count=2), "holds_open": True}
            rows = run_sync(client, attrs.evolve(flow, identity=identity), **closed)
    assert errors(rows) == ["NONE"] * 6
    return [line.replace(b"cookie", b"Cookie") for line in seen]


def test_each_session_of_the_open_model_has_cookies_of_its_own() -> None:
    assert _cookies_seen(None) == [
        b"",
        b"Cookie: n=1",
        b"Cookie: own=1",
        b"",
        b"Cookie: n=4",
        b"Cookie: own=1",
    ]


@pytest.mark.parametrize("by_httpx", [False, True], ids=["wire", "httpx"])
def test_a_user_that_stays_the_same_keeps_cookies_over_iterations(by_httpx: bool) -> None:
    seen = _cookies_seen("user", by_httpx=by_httpx)
    assert seen[3:5] == [b"Cookie: n=3", b"Cookie: n=4"]


@pytest.mark.parametrize("by_httpx", [False, True], ids=["wire", "httpx"])
def test_each_iteration_of_a_user_that_is_new_each_time_has_cookies_of_its_own(
    by_httpx: bool,
) -> None:
    seen = _cookies_seen("iteration", by_httpx=by_httpx)
    assert seen[:2] == [b"", b"Cookie: n=1"]
    assert seen[3:5] == [b"", b"Cookie: n=4"]
