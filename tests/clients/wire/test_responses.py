"""Every shape a response can have, whole and cut anywhere, and the same by httpx."""

import gzip
import itertools
import os
import zlib

import attrs
import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.flows.actions import Result
from flux.schemas import Rows
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


@attrs.frozen
class Case:
    """A response, and what is to come of it."""

    raw: bytes
    status: int = 200
    error: str = "NONE"
    body: bytes = b""
    method: str = "GET"
    closes: bool = False
    """The server closes after it."""
    requests: int = 2
    """Requests that the connection serves; 1: it is not kept."""
    same_by_httpx: bool = True


_LARGE = b"x" * 300_000
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_GZIPPED = gzip.compress(b"plain")
_DEFLATED = zlib.compress(b"plain")
_BROTLI = brotli.compress(b"plain")

CASES = {
    "length": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", body=b"hello"),
    "empty": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "error status": Case(
        b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", status=503, error="STATUS", body=b"no"
    ),
    "no reason": Case(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", body=b"ok"),
    "repeated headers": Case(
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nok", body=b"ok"
    ),
    "chunked": Case(_CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", body=b"abcde"),
    "trailers": Case(_CHUNKED + b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", body=b"abc"),
    "informational": Case(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        body=b"ok",
    ),
    "head": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", method="HEAD"),
    "head chunked": Case(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", method="HEAD"),
    "no content": Case(b"HTTP/1.1 204 No Content\r\n\r\n", status=204),
    "not modified": Case(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", status=304),
    "until close": Case(
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end", body=b"until the end", closes=True, requests=1
    ),
    "connection close": Case(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        body=b"ok",
        closes=True,
        requests=1,
    ),
    "http 1.0": Case(
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", body=b"ok", closes=True, requests=1
    ),
    "large": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + _LARGE, body=_LARGE),
    "gzip": Case(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(_GZIPPED), _GZIPPED),
        body=b"plain",
    ),
    "deflate": Case(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n%b"
        % (len(_DEFLATED), _DEFLATED),
        body=b"plain",
    ),
    "brotli": Case(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: %d\r\n\r\n%b"
        % (len(_BROTLI), _BROTLI),
        body=b"plain",
    ),
    "broken brotli": Case(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nnope",
        status=0,
        error="DECODE",
        same_by_httpx=False,  # as below
    ),
    "broken gzip": Case(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        status=0,
        error="DECODE",
        same_by_httpx=False,  # which then leaves its generators to the garbage collector
    ),
    "garbage": Case(b"SSH-2.0-OpenSSH\r\n\r\n", status=0, error="PROTOCOL", requests=1),
    "early end": Case(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        status=0,
        error="CLOSED",
        closes=True,
        requests=1,
    ),
    "early end of chunks": Case(
        _CHUNKED + b"9\r\nhalf", status=0, error="CLOSED", closes=True, requests=1
    ),
    "end within the head": Case(
        b"HTTP/1.1 200 OK\r\nConte", status=0, error="CLOSED", closes=True, requests=1
    ),
    "bad chunk": Case(_CHUNKED + b"zz\r\n", status=0, error="PROTOCOL", requests=1),
    "two lengths": Case(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        status=0,
        error="PROTOCOL",
        requests=1,
    ),
    "header of a megabyte": Case(
        b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % (b"x" * 1_000_000),
        status=0,
        error="PROTOCOL",
        requests=1,
    ),
    "surplus": Case(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokXX",
        body=b"ok",
        requests=1,
        same_by_httpx=False,  # depends on whether the surplus comes in the same segment
    ),
    "upgrade": Case(
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        status=101,
        requests=1,
        same_by_httpx=False,  # httpx waits for a final response
    ),
}


def replay(case: Case, cuts: list[int], results: list[Result], *, wants: bool) -> Rows:
    """Two requests, each of which is answered with the response, cut at these places."""
    edges = [0, *sorted({cut % len(case.raw) for cut in cuts} - {0}), len(case.raw)]
    chunks = [case.raw[start:end] for start, end in itertools.pairwise(edges)]

    def script(peer: Peer, _: int) -> None:
        while peer.read_request():
            peer.send_apart(chunks)
            if case.closes:
                return

    with serve(script, unix=True) as server:
        one = plan(method=case.method, wants_body=wants, wants_headers=wants)
        flow = flow_of(one, results=results)
        rows = run_sync(
            wire_client(server.settings),
            flow,
            roster=((0, 0, 1),),
            habits=resting(count=2),
            holds_open=True,
        )
        assert server.accepted == 3 - case.requests
    return rows


def _check(case: Case, rows: Rows, results: list[Result], *, wants: bool) -> None:
    assert errors(rows) == [case.error if wants or case.error != "DECODE" else "NONE"] * 2
    if wants:
        assert rows["status"].tolist() == [case.status] * 2
    if case.status and wants:
        assert [result.body for result in results] == [case.body] * 2
        assert all(result.headers is not None for result in results)


@pytest.mark.parametrize("wants", [True, False])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_response_in_one_piece(case: Case, wants: bool) -> None:
    results: list[Result] = []
    _check(case, replay(case, [], results, wants=wants), results, wants=wants)


_NOT_CUT = {"large", "header of a megabyte", "surplus"}
"""Two that are too large, and one that means something else if its surplus comes after the next
request: then it is the start of that one's response, and nobody can tell."""


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(set(CASES) - _NOT_CUT)),
    cuts=st.lists(st.integers(1, 120), max_size=4),
    wants=st.booleans(),
)
def test_a_response_cut_anywhere_is_the_same_response(
    name: str, cuts: list[int], wants: bool
) -> None:
    results: list[Result] = []
    _check(CASES[name], replay(CASES[name], cuts, results, wants=wants), results, wants=wants)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("wants", [True, False])
def test_httpx_sees_the_same(case: Case, wants: bool) -> None:
    if not case.same_by_httpx:
        return

    def script(peer: Peer, _: int) -> None:
        while peer.read_request():
            peer.send(case.raw)
            if case.closes:
                return

    one = plan(method=case.method, wants_body=wants, wants_headers=wants)
    with serve(script) as server:
        by_wire = run_sync(wire_client(server.settings), flow_of(one))
        by_httpx = run_sync(httpx_client_for(f"http://127.0.0.1:{server.port}"), flow_of(one))
    for column in ("status", "error", "bytes_in", "bytes_out", "step", "skipped", "retries"):
        assert by_wire[column].tolist() == by_httpx[column].tolist(), column
    assert (by_wire["flags"] & ~256).tolist() == (by_httpx["flags"] & ~256).tolist()


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.1 ",
                b"Content-Length: 3\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: close\r\n",
                b"\r\n",
                b"3\r\nabc\r\n",
                b"0\r\n\r\n",
                b"abc",
                b"\n",
                b":",
                b"\x00\xff",
            ]
        )
        | st.binary(max_size=8),
        max_size=10,
    )
)
def test_whatever_comes_ends_in_a_row(pieces: list[bytes]) -> None:
    def script(peer: Peer, _: int) -> None:
        if peer.read_request():
            peer.send(b"".join(pieces))

    before = len(os.listdir("/proc/self/fd"))
    with serve(script, unix=True) as server:
        rows = run_sync(wire_client(server.settings), flow_of(plan(wants_body=True)))
    assert len(rows) == 1
    assert errors(rows)[0] in {"NONE", "PROTOCOL", "CLOSED", "DECODE", "STATUS", "RESET"}
    assert len(os.listdir("/proc/self/fd")) == before
