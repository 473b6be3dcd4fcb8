"""The `prometheus` sink: scraped while real runs go on, and once they are over."""

import itertools
import socket
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import trio

from flux.errors import ExitCode
from flux.stages.prometheus import Prometheus
from flux.units import Duration
from tests.metrics.rig import context_of
from tests.metrics.running import PROMETHEUS, Samples, Start, counters_of, start, value
from tests.outcomes import final_of, make_context, request
from tests.stages.loading import load, load_sample, problems

__all__ = ["start"]


def test_the_sample_is_what_its_keys_say() -> None:
    assert load_sample("prometheus") == Prometheus(port=0, linger=Duration.of_seconds(1))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("port = 65536", "port must be at least 0 and at most 65535"),
        ('host = ""', "host must not be empty"),
        ('names = "kar"', 'names must be one of "otel", "kar98k", "volcanion"'),
        ('buckets = ["1s", "1s"]', "buckets must ascend, each edge once"),
        ('buckets = ["2s", "1s"]', "buckets must ascend, each edge once"),
        ('buckets = ["0s"]', "buckets.0 must be greater than 0"),
        (
            'names = "kar98k"\nbuckets = ["1s"]',
            'buckets means nothing beside names = "kar98k"',
        ),
        ("max_series = 0", "max_series must be at least 1"),
    ],
)
def test_a_key_that_makes_no_sense_is_a_problem(text: str, problem: str) -> None:
    assert problems("prometheus", text) == [problem]


# Real runs.


def is_as_in_the_result(samples: Samples, result: dict[str, Any]) -> None:
    """Counts are exactly those of result.json."""
    total = result["latency"]
    assert value(samples, "flux_requests_total") == result["Total"]
    assert value(samples, "flux_requests_failed_total") == result["Failure"]
    for status, count in result["statuses"].items():
        if status != "0":
            code = {"http_response_status_code": status}
            assert value(samples, "flux_requests_total", **code) == count
    for error, count in result["errors"].items():
        assert value(samples, "flux_requests_failed_total", error_type=error) == count
    for name, latency in (
        ("http_client_request_duration_seconds", "service"),
        ("flux_response_duration_seconds", "response"),
        ("flux_schedule_lag_seconds", "lag"),
    ):
        assert value(samples, f"{name}_count") == total[latency]["count"]
        assert value(samples, f"{name}_bucket", le="+Inf") == total[latency]["count"]
        assert value(samples, f"{name}_sum") == pytest.approx((total[latency]["sum"] or 0) / 1e9)
    sessions = result["sessions"]
    for name in ("started", "repeated", "dropped", "withheld", "cancelled", "lost"):
        assert value(samples, f"flux_arrivals_{name}_total") == sessions[name]
    for name in ("succeeded", "failed", "aborted"):
        assert value(samples, "flux_sessions_ended_total", flux_outcome=name) == sessions[name]
    assert value(samples, "flux_arrivals_planned_total") == (sessions["planned"] or 0)
    assert value(samples, "flux_response_body_bytes_total") == result["bytes_in"]
    assert value(samples, "flux_run_valid") == result["validity"]["valid"]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": 'service = "5ms"\nfailures = 0.1\nprocesses = 2'},
        {"source": "users", "load": "users = 5"},
        {"keys": 'service = "50ms"\nmax_in_flight = 3\non_late = "drop"'},
    ],
    ids=["one process", "two processes", "users", "drops"],
)
def test_no_count_ever_falls_and_the_last_is_that_of_the_result(
    start: Start, keys: dict[str, str]
) -> None:
    running = start(**keys)
    scrapes = running.scrape_to_the_end()
    code, _, result = running.finish()
    assert code in (ExitCode.OK, ExitCode.INVALID_RUN)  # so many drops make a run invalid
    for before, after in itertools.pairwise(scrapes):
        counters = counters_of(before)
        assert {key for key, amount in counters.items() if after[key] < amount} == set()
    is_as_in_the_result(scrapes[-1], result)
    assert result["Total"] > 0


@pytest.mark.slow
def test_a_run_against_the_gateway_is_exposed_as_it_is(start: Start) -> None:
    running = start(
        executor="http",
        keys='target = "demo"\nstep = [{ name = "up", get = "/health" }, '
        '{ name = "gone", get = "/nothing", expect = { status = 200 } }]',
    )
    last = running.scrape_to_the_end()[-1]
    code, _, result = running.finish()
    assert code == ExitCode.OK
    is_as_in_the_result(last, result)
    where = {"server_address": "127.0.0.1", "url_template": "/nothing"}
    gone = result["steps"][1]["requests"]
    assert value(last, "flux_requests_total", **where, http_response_status_code="404") == gone > 0


def test_warm_up_is_told_apart_and_the_rest_is_what_the_result_judges(start: Start) -> None:
    running = start(top='[[phase]]\nname = "rise"\nduration = "500ms"\nwarmup = true\n'
                    '[[phase]]\nname = "rest"\nduration = "500ms"')  # fmt: skip
    last = running.scrape_to_the_end()[-1]
    _, _, result = running.finish()
    assert value(last, "flux_requests_total", flux_warmup="false") == result["Total"]
    for phase in result["phases"]:
        name = phase["name"]
        assert value(last, "flux_requests_total", flux_phase=name) == phase["requests"]
        count = phase["latency"]["response"]["count"]
        assert value(last, "flux_response_duration_seconds_count", flux_phase=name) == count


def test_the_names_of_another_tool_can_be_had(start: Start) -> None:
    running = start(PROMETHEUS.replace("60s", "0s") + 'names = "kar98k"', duration="30s")
    url = running.url
    running.wait_for(lambda: value(running.scrape(url), "kar98k_requests_total") > 20)
    found = running.scrape(url)
    assert value(found, "kar98k_target_tps") == 200
    assert not any(name.startswith("flux_") for name, _ in found)
    running.interrupt()
    assert running.finish()[0] == ExitCode.OK


def test_nobody_has_to_come_for_the_last_numbers(start: Start) -> None:
    running = start(PROMETHEUS.replace("60s", "100ms"))
    code, said, _ = running.finish()
    assert code == ExitCode.OK
    assert "waiting up to 100ms for the last numbers" in said


def test_ctrl_c_ends_the_wait_and_nothing_else(start: Start) -> None:
    running = start()
    running.wait_for(lambda: "waiting up to 1m" in running.log)
    running.interrupt()
    code, said, result = running.finish()
    assert code == ExitCode.OK
    assert "SIGINT: not waiting any longer" in said
    assert result["complete"] is True
    assert result["sessions"]["cancelled"] == 0


def test_after_ctrl_c_the_last_numbers_can_still_be_fetched(start: Start) -> None:
    running = start(duration="60s")
    url = running.url
    running.wait_for(lambda: value(running.scrape(url), "flux_requests_total") > 20)
    running.interrupt()
    last = running.scrape_to_the_end()[-1]
    code, _, result = running.finish()
    assert code == ExitCode.OK
    is_as_in_the_result(last, result)


def test_a_port_that_is_taken_is_one_message_before_the_run(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said, result = start(f'use = "prometheus"\nport = {port}').finish()
    assert code == ExitCode.FAILURE
    rule = f"stage[4].port cannot be listened on at 127.0.0.1:{port}: Address already in use"
    assert rule in said
    assert "hint: port = 0 takes any that is free" in said
    assert rule in result["run"]["ended_by"]["text"]
    assert result["validity"]["valid"] is False


def test_clients_that_hang_or_talk_nonsense_touch_nothing(start: Start) -> None:
    running = start(PROMETHEUS.replace("60s", "0s"))
    place = urlsplit(running.url)
    clients = []
    for text in (
        b"",
        b"GET /metrics HTTP/1.1\r\n",
        b"\xff" * 5000,
        b"GET /metrics HTTP/1.1\r\n\r\n",
    ):
        for _ in range(5):
            client = socket.create_connection((place.hostname, place.port))
            client.sendall(text)
            clients.append(client)
    code, _, result = running.finish()
    for client in clients:
        client.close()
    assert code == ExitCode.OK
    assert result["Total"] == 200
    assert result["validity"]["generators"][0]["held_up_s"] == {}


# Without a process.


async def test_a_plan_serves_nothing() -> None:
    told: dict[str, Any] = {}
    context = attrs.evolve(make_context(), report_status=told.__setitem__)
    sender, inbox = trio.open_memory_channel[Any](1)
    await sender.send(final_of([request()]))
    await sender.aclose()
    await Prometheus().consume(context, inbox)
    assert told == {}


async def test_without_a_summary_of_the_run_nobody_is_waited_for(
    autojump_clock: trio.abc.Clock,
) -> None:
    context = context_of()
    sender, inbox = trio.open_memory_channel[Any](1)
    await sender.aclose()
    began_s = trio.current_time()
    await Prometheus(port=0).consume(context, inbox)
    assert trio.current_time() == began_s


async def test_the_wait_is_as_long_as_linger_says(autojump_clock: trio.abc.Clock) -> None:
    context = context_of()
    told: dict[str, Any] = {}
    context = attrs.evolve(context, report_status=told.__setitem__)
    sender, inbox = trio.open_memory_channel[Any](1)
    await sender.send(final_of([request()]))
    await sender.aclose()
    began_s = trio.current_time()
    await load("prometheus", 'port = 0\nlinger = "7s"').consume(context, inbox)
    assert trio.current_time() - began_s == pytest.approx(7)
    assert told["url"]().startswith("http://127.0.0.1:")
