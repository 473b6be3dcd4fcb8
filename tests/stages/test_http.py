"""The `http` stage: what its keys refuse, and what they do to requests, seen from the server."""

import base64
import pathlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trustme

from flux.errors import UsageError
from flux.schemas import ARRIVAL, ErrorCode, Flag, Rows
from tests.stages.driving import arrivals_at, context_of, drive, rows_of
from tests.stages.loading import load, load_sample, problems

STEP = 'step = [{ get = "/" }]\n'
URL = 'target = "http://127.0.0.1:1"\n'
CLIENTS = ("wire", "httpx")

Answer = Callable[[str], tuple[int, bytes]]
"""Status and body, by the request's path."""


@asynccontextmanager
async def serving(answer: Answer = lambda _: (200, b"{}")) -> AsyncIterator[tuple[str, list[str]]]:
    """A server on the loopback address: its URL, and the requests it has had."""
    requests: list[str] = []

    async def handle(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # the client went in the middle, as probes may
            await answer_all(stream)

    async def answer_all(stream: trio.SocketStream) -> None:
        data = b""
        async with stream:
            while True:
                while not (whole := _whole_request(data)):
                    received = await stream.receive_some()
                    if not received:
                        return
                    data += received
                requests.append(data[:whole].decode())
                data = data[whole:]
                status, body = answer(requests[-1].split(" ")[1])
                head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n"
                await stream.send_all(head.encode() + body)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", requests
        nursery.cancel_scope.cancel()


def _whole_request(data: bytes) -> int:
    """Length of the first request, 0 if it is not whole."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    needed = int(length[1]) if length else 0
    return len(head) + 4 + needed if end and len(body) >= needed else 0


async def outcomes(text: str, url: str, sessions: int = 1) -> Rows:
    """What becomes of sessions that are due at once."""
    stage = load("http", f'target = "{url}"\n{text}')
    context = context_of(load("constant", 'rate = "1/s"'), given=ARRIVAL)
    rows = rows_of(await drive(stage, context, [arrivals_at(*[0.0] * sessions)]))
    rows.sort(order=["seq", "step"])
    return rows


def headers_of(request: str) -> dict[str, str]:
    lines = request.partition("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STEP, "needs either target or [[stage.targets]] tables"),
        (STEP + 'target = "127.0.0.1:8080"', "target must be a URL"),
        (STEP + 'target = "ftp://127.0.0.1"', "target must be a URL"),
        (STEP + 'target = "http://127.0.0.1/?a=1"', "target must have no query and no fragment"),
        (STEP + 'target = "http://a:b@127.0.0.1"', "target must have no user and password"),
        (STEP + 'target = "http://127.0.0.1:99999"', "target must be a URL"),
        (URL, "needs one of [[stage.step]] tables, script, and"),
        (URL + "step = []", "needs one of [[stage.step]] tables, script, and"),
        (URL + STEP + 'client = "wire"\nhttp2 = true', 'http2 needs client = "httpx"'),
        (URL + STEP + 'client = "wire"\nproxy = "http://127.0.0.1:3"', "proxy needs client"),
        (URL + STEP + 'client = "httpx"\nconnect_to = "127.0.0.1:1"', "connect_to needs client"),
        (URL + STEP + 'http2 = true\nconnect_to = "127.0.0.1:1"', "connect_to needs client"),
        (URL + STEP + 'client = "curl"', 'client must be one of "wire", "httpx"'),
        (URL + STEP + "auth = {}", "auth needs either basic or bearer"),
        (URL + STEP + 'auth = { basic = "a:b", bearer = "c" }', "auth needs either basic or"),
        (URL + STEP + 'auth = { basic = "ann" }', 'auth.basic must be "user:password"'),
        (URL + STEP + 'tls = { ca = "no.pem" }', "tls.ca names no file"),
        (URL + STEP + 'tls = { key = "no.pem" }', "tls.key needs cert too"),
        (URL + STEP + 'tls = { min_version = "1.1" }', 'tls.min_version must be one of "1.2"'),
        (URL + STEP + 'connect_to = "127.0.0.1"', "connect_to must be an address"),
        (URL + STEP + 'source_address = "localhost"', "source_address must be an IP address"),
        (URL + STEP + "redirects = -1", "redirects must be at least 0"),
        (URL + STEP + 'timeout = "0s"', "timeout must be greater than 0"),
        (URL + 'script = "none.yml"', "script cannot be used"),
        (URL + 'step = [{ get = "/{{who}}" }]', "step.0"),
    ],
)
def test_wrong_tables_are_told_why(text: str, expected: str) -> None:
    found = problems("http", text)
    assert any(one.startswith(expected) for one in found), found


def test_a_file_that_is_no_certificate_is_refused(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing of the kind")
    (found,) = problems("http", f'{URL}{STEP}tls = {{ ca = "{file}" }}')
    assert found.startswith("tls cannot be used: ")


def test_a_key_that_does_not_fit_its_certificate_is_refused(tmp_path: pathlib.Path) -> None:
    authority = trustme.CA()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.issue_cert("a.example").cert_chain_pems[0].write_to_path(str(cert))
    authority.issue_cert("b.example").private_key_pem.write_to_path(str(key))
    (found,) = problems("http", f'{URL}{STEP}tls = {{ cert = "{cert}", key = "{key}" }}')
    assert found.startswith("tls cannot be used: ")


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_session_makes_its_steps_in_order_below_the_target(client: str) -> None:
    text = f'client = "{client}"\nstep = [{{ get = "/a" }}, {{ post = "/b", json = {{ c = 1 }} }}]'
    async with serving() as (url, requests):
        rows = await outcomes(text, f"{url}/base")
    lines = [request.split("\r\n")[0] for request in requests]
    assert lines == ["GET /base/a HTTP/1.1", "POST /base/b HTTP/1.1"]
    assert requests[1].endswith('\r\n\r\n{"c":1}')
    assert rows["step"].tolist() == [0, 1]
    assert set(rows["status"]) == {200}
    assert (rows["flags"][-1] & Flag.SESSION_SUCCESS) != 0


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ('{ bearer = "abc" }', "Bearer abc"),
        ('{ basic = "ann:pass:word" }', "Basic " + base64.b64encode(b"ann:pass:word").decode()),
    ],
)
@pytest.mark.parametrize("client", CLIENTS)
async def test_auth_is_a_header_of_every_request(client: str, auth: str, expected: str) -> None:
    text = f'client = "{client}"\nauth = {auth}\nstep = [{{ get = "/" }}, {{ get = "/" }}]'
    async with serving() as (url, requests):
        await outcomes(text, url)
    assert [headers_of(one)["authorization"] for one in requests] == [expected] * 2


async def test_headers_of_a_step_replace_those_of_the_stage() -> None:
    text = (
        'headers = { x-a = "stage", x-b = "stage", authorization = "own" }\n'
        'auth = { bearer = "abc" }\nstep = [{ get = "/", headers = { x-a = "step" } }]'
    )
    async with serving() as (url, requests):
        await outcomes(text, url)
    found = headers_of(requests[0])
    assert (found["x-a"], found["x-b"], found["authorization"]) == ("step", "stage", "own")


@pytest.mark.parametrize(
    ("success", "status", "body", "error"),
    [
        ("status", 200, b"", ErrorCode.NONE),
        ("status", 304, b"", ErrorCode.NONE),
        ("status", 404, b"{}", ErrorCode.STATUS),
        ("status", 500, b"", ErrorCode.STATUS),
        ("userflux", 200, b'{"a": 1}', ErrorCode.NONE),
        ("userflux", 200, b"[1]", ErrorCode.EXPECT_BODY),
        ("userflux", 200, b"", ErrorCode.DECODE),
        ("userflux", 302, b"{}", ErrorCode.STATUS),
    ],
)
async def test_success_is_decided_by_the_rule(
    success: str, status: int, body: bytes, error: ErrorCode
) -> None:
    async with serving(lambda _: (status, body)) as (url, _):
        rows = await outcomes(f'success = "{success}"\n{STEP}', url)
    assert (rows["status"].tolist(), rows["error"].tolist()) == ([status], [error])


@pytest.mark.parametrize(
    ("on_failure", "steps", "skipped"), [("stop", [0], 1), ("continue", [0, 1], 0)]
)
async def test_a_failed_step_stops_its_session_or_not(
    on_failure: str, steps: list[int], skipped: int
) -> None:
    text = f'on_failure = "{on_failure}"\nstep = [{{ get = "/bad" }}, {{ get = "/good" }}]'
    async with serving(lambda path: (500 if path == "/bad" else 200, b"")) as (url, _):
        rows = await outcomes(text, url)
    assert rows["step"].tolist() == steps
    assert rows["skipped"].tolist()[-1] == skipped


async def test_a_userflux_script_gives_the_steps_but_not_the_target(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "a script.yml"
    script.write_text(
        "config: { time: 1s }\nscript:\n  name: x\n  flow:\n"
        "    - { name: one, url: 'http://127.0.0.1:1', body: [user],"
        " request: { method: POST, path: /one } }\n"
    )
    async with serving() as (url, requests):
        rows = await outcomes(f'success = "userflux"\nscript = "{script}"', url)
    assert rows["error"].tolist() == [ErrorCode.NONE]
    assert re.search(r'^POST /one .*\{"user": ?"[A-Za-z0-9]{10}"\}$', requests[0], re.DOTALL)


async def test_connections_go_where_connect_to_says() -> None:
    async with serving() as (url, requests):
        address = url.removeprefix("http://")
        rows = await outcomes(f'connect_to = "{address}"\n{STEP}', "http://shop.example:81")
    assert rows["status"].tolist() == [200]
    assert headers_of(requests[0])["host"] == "shop.example:81"


async def test_the_demo_target_is_for_runs_only() -> None:
    expected = pytest.RaisesExc(UsageError, match='target "demo" is started by flux run')
    with pytest.RaisesGroup(expected):
        await outcomes(STEP, "demo")


@pytest.mark.parametrize("client", CLIENTS)
async def test_nobody_there_is_a_row_and_not_an_exception(client: str) -> None:
    rows = await outcomes(f'client = "{client}"\n{STEP}', "http://127.0.0.1:1", sessions=3)
    assert rows["error"].tolist() == [ErrorCode.REFUSED] * 3
    assert rows["status"].tolist() == [0] * 3


def test_the_sample_asks_the_demo_gateway_how_it_is() -> None:
    stage = load_sample("http")
    assert stage.target.is_demo
    assert stage.requests == (("GET", "/health"),)
    assert (stage.target_names, stage.target_urls) == (("demo",), ("demo",))
