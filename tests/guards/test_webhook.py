"""The breaker's webhook: who is told what, and that nobody waits for it."""

import datetime
import json
import logging
import pathlib
import socket
from typing import Any

import pytest
import trio

from flux.config.http_url import HttpUrl
from flux.engine import RunResult, run_pipeline
from flux.guards import webhook as module
from flux.guards.manners import Manners
from flux.guards.webhook import QUEUED, open_webhook
from tests.clients.wire.rig import OK, Peer, answer_all, serve
from tests.guards.running import ELSEWHERE, pipeline_of, resolve, run_of

TRIPPING = """
    name = "checkout"
    duration = "2s"
    [breaker]
    error_share = 0.5
    sustained = "0s"
    min_requests = 1
    cool_down = "200ms"
    probe = 1
    probe_for = "100ms"
    trips = 1
    webhook = "{url}"
    [[stage]]
    use = "constant"
    rate = "50/s"
    [[stage]]
    use = "null"
    failures = 1
"""


def run_here(text: str, tmp_path: pathlib.Path) -> RunResult:
    pipeline = pipeline_of(text, tmp_path)

    async def main() -> RunResult:
        return await run_pipeline(pipeline, run_of(pipeline))

    return trio.run(main)


class Listed(logging.Handler):
    """A log whose lines are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.log = logging.Logger("flux.tests.webhook")
        self.log.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


async def post(url: str, *messages: dict[str, Any], manners: Manners | None = None) -> list[str]:
    """Have messages posted; return what the log says."""
    listed = Listed()
    opening = open_webhook(HttpUrl.from_toml(url), manners or Manners(), listed.log)
    async with opening as webhook:
        for message in messages:
            webhook.send_nowait(message)
    return listed.lines


def test_each_transition_is_posted_as_json(tmp_path: pathlib.Path) -> None:
    requests: list[bytes] = []

    def answer(peer: Peer, _: int) -> None:
        while request := peer.read_request():
            requests.append(request)
            peer.send(OK)

    with serve(answer) as server:
        url = f"http://127.0.0.1:{server.port}/flux?x=1"
        result = run_here(TRIPPING.format(url=url), tmp_path)
    assert result.ending is not None
    heads, bodies = zip(*(request.split(b"\r\n\r\n") for request in requests))
    assert all(head.startswith(b"POST /flux?x=1 HTTP/1.1\r\n") for head in heads)
    assert all(b"content-type: application/json" in head.lower() for head in heads)
    assert all(b"run checkout" in head for head in heads)
    messages = [json.loads(body) for body in bodies]
    assert [one["transition"] for one in messages] == ["open", "half_open", "stopped"]
    assert [one["trips"] for one in messages] == [1, 1, 2]
    assert {(one["run"], one["guard"]) for one in messages} == {("checkout", "breaker")}
    assert "failed, more than 50 %" in messages[0]["reason"]
    assert datetime.datetime.fromisoformat(messages[0]["at"]).tzinfo is not None
    times_ns = [one["time_ns"] for one in messages]
    assert times_ns == sorted(times_ns)


def test_a_webhook_that_never_answers_does_not_hold_the_run_up(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FINISH_WITHIN_S", 0.1)

    def never(peer: Peer, _: int) -> None:
        peer.wait_for_close()

    with serve(never) as server:
        url = f"http://127.0.0.1:{server.port}/"
        result = run_here(TRIPPING.format(url=url), tmp_path)
    assert result.ending is not None
    assert result.summary is not None
    stopped_ns = result.summary.marks[-1].time_ns
    assert result.summary.end_ns - stopped_ns < 2 * 10**9
    assert result.failures == []


async def test_a_failure_is_logged_and_the_next_message_is_sent() -> None:
    with serve(answer_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")) as server:
        url = f"http://127.0.0.1:{server.port}/services/T0/hidden"
        lines = await post(url, {"number": 1}, {"number": 2})
    assert lines == ["webhook: 127.0.0.1 was not told: it answered 500"] * 2


async def test_a_redirect_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Go\r\nLocation: http://255.255.255.255/\r\nContent-Length: 0\r\n\r\n"
    with serve(answer_all(moved)) as server:
        lines = await post(f"http://127.0.0.1:{server.port}/", {})
    assert lines[0].endswith("was not told: it answered 302")


async def test_nobody_listening_is_logged() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        lines = await post(f"http://127.0.0.1:{unused.getsockname()[1]}/", {})
    assert "was not told: " in lines[0]


async def test_somebody_else_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, far_test=ELSEWHERE)
    lines = await post("http://far.test/", {})
    assert "far.test (255.255.255.255) is neither loopback nor private" in lines[0]


async def test_what_finds_no_place_in_the_queue_is_dropped() -> None:
    with serve(answer_all()) as server:
        url = f"http://127.0.0.1:{server.port}/"
        lines = await post(url, *({"number": number} for number in range(QUEUED + 2)))
    assert lines == ["webhook: too many messages wait, one was dropped"] * 2
