"""The `otlp` sink: real runs with a collector that takes what it is sent, and with others."""

import itertools
import pathlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trio

from flux.errors import ExitCode, MissingExtra
from flux.stages.otlp import Otlp
from flux.units import Duration
from tests.guards.running import pipeline_of
from tests.metrics.collector import FakeCollector, open_collector
from tests.metrics.running import Running, Start, start
from tests.outcomes import final_of, make_context, request
from tests.stages.loading import load, load_sample, problems

__all__ = ["start"]

SINK = 'use = "otlp"\nendpoint = "{url}"\ninterval = "100ms"\ntimeout = "{timeout}"\n'


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with open_collector() as collector:
        yield collector


def findings(result: dict[str, Any]) -> list[str]:
    return [one["text"] for one in result["validity"]["findings"]]


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("otlp") == Otlp()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('endpoint = "127.0.0.1:4318"', 'endpoint must be a URL, as in "http://127.0.0.1:4318"'),
        ('endpoint = "http://u:p@x"', "endpoint must have no user and password"),
        ('endpoint = "http://x/?a=b"', "endpoint must have no query and no fragment"),
        ('interval = "1ms"', "interval must be at least 100ms"),
        ('timeout = "0s"', "timeout must be greater than 0"),
        ('temporality = "both"', 'temporality must be one of "cumulative", "delta"'),
        ('headers = { "a b" = "x" }', "headers.a b is not the name of a header"),
    ],
)
def test_a_key_that_makes_no_sense_is_a_problem(text: str, problem: str) -> None:
    assert problems("otlp", text) == [problem]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://a:4318", "http://a:4318/v1/metrics"),
        ("http://a:4318/", "http://a:4318/v1/metrics"),
        ("https://a/otlp", "https://a/otlp/v1/metrics"),
        ("https://a/v1/metrics", "https://a/v1/metrics"),
    ],
)
def test_the_path_of_metrics_is_added(written: str, meant: str) -> None:
    assert load("otlp", f'endpoint = "{written}"').endpoint.text == meant


def test_a_collector_elsewhere_must_be_allowed(tmp_path: pathlib.Path) -> None:
    text = """
    {allow}
    duration = "1s"
    [[stage]]
    use = "constant"
    rate = "10/s"
    [[stage]]
    use = "null"
    [[stage]]
    use = "otlp"
    endpoint = "https://203.0.113.9/otlp"
    """
    with pytest.raises(Exception, match=r"stage\[2\].endpoint is neither loopback nor private"):
        pipeline_of(text.format(allow=""), tmp_path)
    pipeline_of(text.format(allow='allow_hosts = ["203.0.113.9"]'), tmp_path)


# Real runs.


@pytest.mark.parametrize("more", ["", 'histogram = "exponential"'])
def test_the_last_message_says_what_the_result_says(
    start: Start, collector: FakeCollector, more: str
) -> None:
    running = start(SINK.format(url=collector.url, timeout="5s") + more)
    code, said, result = running.finish()
    assert code == ExitCode.OK, said
    assert findings(result) == []
    assert set(collector.paths) == {"/v1/metrics"}
    assert {one["content-type"] for one in collector.headers} == {"application/x-protobuf"}
    assert collector.total(-1, "flux.requests") == result["Total"] > 0
    assert collector.total(-1, "flux.requests.failed") == result["Failure"] > 0
    assert collector.total(-1, "flux.arrivals.planned") == result["sessions"]["planned"]
    count = result["latency"]["response"]["count"]
    assert collector.total(-1, "flux.response.duration") == count
    amounts = [collector.total(index, "flux.requests") for index in range(len(collector.messages))]
    assert len(amounts) > 2
    assert all(low <= high for low, high in itertools.pairwise(amounts))


def test_deltas_add_up_to_what_the_result_says(start: Start, collector: FakeCollector) -> None:
    sink = SINK.format(url=collector.url, timeout="5s") + 'temporality = "delta"'
    _, _, result = start(sink).finish()
    messages = range(len(collector.messages))
    assert sum(collector.total(one, "flux.requests") for one in messages) == result["Total"]
    count = result["latency"]["service"]["count"]
    assert sum(collector.total(one, "http.client.request.duration") for one in messages) == count


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def is_told_once(running: Running, why: str) -> None:
    """The run is as good as without the sink, and one line says what is wrong with that."""
    code, said, result = running.finish()
    assert code == ExitCode.OK, said
    assert result["Total"] == 200
    (finding,) = (one for one in findings(result) if "otlp" in one)
    assert "does not take metrics" in finding
    assert why in finding
    assert said.count("does not take metrics") == 2  # in the log, and among the findings
    assert said.count("the last numbers did not get to") == 1


def test_a_collector_that_is_not_there_is_told_once(start: Start) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    is_told_once(start(SINK.format(url=url, timeout="5s")), "Connection refused")


def test_a_collector_that_refuses_is_told_once(start: Start, collector: FakeCollector) -> None:
    collector.status = 503
    running = start(SINK.format(url=collector.url, timeout="5s"))
    is_told_once(running, "it answered 503")


def test_a_collector_that_never_answers_is_told_once(
    start: Start, collector: FakeCollector
) -> None:
    collector.hangs.set()
    running = start(SINK.format(url=collector.url, timeout="200ms"))
    is_told_once(running, "no answer within 0.2 s")


def test_points_that_a_collector_drops_are_told(start: Start, collector: FakeCollector) -> None:
    collector.rejected = 3
    running = start(SINK.format(url=collector.url, timeout="5s"))
    is_told_once(running, "it refused 3 points: too old")


def test_what_answers_but_does_not_speak_the_protocol_is_told(start: Start) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        running = start(SINK.format(url=url, timeout="200ms"))
        is_told_once(running, "no answer within 0.2 s")


def test_a_secret_header_is_sent_and_shown_nowhere(start: Start, collector: FakeCollector) -> None:
    sink = SINK.format(url=collector.url, timeout="5s")
    running = start(sink + 'headers = { api-key = "s3cr3t-t0ken" }', duration="300ms")
    _, said, _ = running.finish()
    assert {one["api-key"] for one in collector.headers} == {"s3cr3t-t0ken"}
    folder = running.folder / "results" / "result_1"
    assert "s3cr3t" not in said
    for file in ("session.toml", "flux.log", "result.json"):
        assert "s3cr3t" not in (folder / file).read_text()
    assert "${STAGE_OTLP_HEADERS_API_KEY}" in (folder / "session.toml").read_text()


# Without a process.


def test_without_the_protocol_the_extra_is_named_before_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "flux.metrics.otlp", raising=False)
    for name in [name for name in sys.modules if name.startswith("opentelemetry.proto")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.proto", None)
    with pytest.raises(MissingExtra, match=r'pip install "userflux\[otel\]"'):
        Otlp().prepare()


async def test_a_plan_sends_nothing() -> None:
    told: dict[str, Any] = {}
    context = attrs.evolve(make_context(), report_status=told.__setitem__)
    sender, inbox = trio.open_memory_channel[Any](1)
    await sender.send(final_of([request()]))
    await sender.aclose()
    await Otlp(interval=Duration.of_seconds(1)).consume(context, inbox)
    assert told == {}
