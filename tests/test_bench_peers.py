"""The pure parts of the comparison with other tools: reading their output, ratios, and the page."""

import contextlib
import datetime
import json
import math
import os
import select
import socket
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import attrs
import pytest

from tests.bench.peers import bare_loop
from tests.bench.peers.children import ChildRun, Sample, cpu_share, rss_growth
from tests.bench.peers.flux_runs import Flux, read_result, read_version
from tests.bench.peers.listeners import open_listeners
from tests.bench.peers.measure import (
    Outcome,
    Reading,
    interleaved,
    judge,
    reading_of,
    round_ratios,
    spread_of,
)
from tests.bench.peers.report import MARKER, Circumstances, kept_notes, table, write_page
from tests.bench.peers.scenarios import (
    BoundClaim,
    Claim,
    Contender,
    RatioClaim,
    Scenario,
    all_scenarios,
)
from tests.bench.peers.target import Counters, parse_counters
from tests.bench.peers.tools import (
    Figures,
    Hey,
    ToolMissing,
    Work,
    Wrk,
    parse_bare_loop,
    parse_hey,
    parse_k6,
    parse_locust,
    parse_wrk,
)

WRK_FINE = """\
Running 3s test @ http://127.0.0.1:18080/health
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   239.12us  364.67us   7.91ms   97.95%
    Req/Sec   102.64k    13.72k  113.98k    80.00%
  306289 requests in 3.00s, 47.32MB read
Requests/sec: 102056.63
Transfer/sec:     15.77MB
"""

WRK_REFUSED = """\
Running 1s test @ http://127.0.0.1:18080/nope
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    73.19us  264.28us   5.56ms   98.76%
    Req/Sec    78.31k     9.27k   88.13k    80.00%
  77854 requests in 1.00s, 21.83MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 77854
Requests/sec:  77653.50
Transfer/sec:     21.77MB
"""

HEY_FINE = """\

Summary:
  Total:\t3.0009 secs
  Slowest:\t0.0094 secs
  Requests/sec:\t46320.8455

Response time histogram:
  0.000 [1]\t|
  0.001 [104606]\t|■■■■■■■■■■

Details (average, fastest, slowest):
  DNS+dialup:\t0.0000 secs, 0.0000 secs, 0.0094 secs

Status code distribution:
  [200]\t139003 responses



"""

HEY_REFUSED = """\

Summary:
  Total:\t0.0011 secs
  Requests/sec:\t3636.3636

Status code distribution:
  [404]\t15854 responses

Error distribution:
  [4]\tGet "http://127.0.0.1:18099/nope": dial tcp 127.0.0.1:18099: connect: connection refused

"""

K6_CHECKS_FAILED = {
    "metrics": {
        "http_reqs": {"count": 12, "rate": 4012.4680758008717},
        "http_req_failed": {"passes": 0, "fails": 12, "value": 0},
        "checks": {"passes": 12, "fails": 6, "value": 0.6666666666666666},
    }
}

LOCUST_CHECKS_FAILED = [
    {
        "name": "/health",
        "last_request_timestamp": 1795228510.4412465,
        "start_time": 1795228509.5943406,
        "num_requests": 1892,
        "num_failures": 0,
    },
    {
        "name": "/auth/register",
        "last_request_timestamp": 1795228510.418935,
        "start_time": 1795228509.594712,
        "num_requests": 1891,
        "num_failures": 1891,
    },
]

STUB_STATUS = """\
Active connections: 33
server accepts handled requests
 330 331 1013317
Reading: 0 Writing: 1 Waiting: 32
"""


def reading(contender: str, round_: int, rate_per_s: float, **figures: float) -> Reading:
    """A reading of which only the rate, and maybe some other figures, matter."""
    samples = tuple(Sample(at, at, 1000, at, 0) for at in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    run = ChildRun(0, "", "", 4.0, 4.0, samples)
    return reading_of(contender, round_, run, Figures(100, rate_per_s, 0, figures), served=100)


def scenario(*claims: Claim) -> Scenario:
    """Two contenders under their own names."""
    return Scenario(
        name="closed",
        title="Closed loop",
        contenders=(Contender(Wrk("fast")), Contender(Hey("slow"))),
        claims=claims,
    )


def work(base_url: str = "http://127.0.0.1:8080") -> Work:
    """Two seconds of the flow."""
    return Work("register", base_url, seconds=2, connections=32, authority=Path("/ca.pem"))


def test_wrk_rate_and_count_are_read() -> None:
    assert parse_wrk(WRK_FINE) == Figures(306289, 102056.63, 0)


def test_wrk_errors_are_socket_errors_and_refused_requests() -> None:
    assert parse_wrk(WRK_REFUSED).errors == 1 + 2 + 4 + 77854


def test_hey_rate_is_read_and_its_histogram_is_not_taken_for_statuses() -> None:
    figures = parse_hey(HEY_FINE)
    assert figures.requests_per_s == 46320.8455
    assert figures.errors == 0
    assert figures.requests == pytest.approx(139003, abs=5)  # from a total of five digits


def test_hey_errors_are_other_statuses_and_failed_requests() -> None:
    assert parse_hey(HEY_REFUSED).errors == 15854 + 4


def test_the_bare_loop_counts_what_the_target_serves() -> None:
    served = 0

    def serve(listener: socket.socket) -> None:
        nonlocal served
        peer, _ = listener.accept()
        with peer, contextlib.suppress(ConnectionError):
            while peer.recv(65536):
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                served += 1

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        command = [sys.executable, bare_loop.__file__, f"http://127.0.0.1:{port}/x", "1", "0.2"]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        thread.join()
    figures = parse_bare_loop(told.stdout)
    assert served - 1 <= figures.requests <= served
    assert figures.requests_per_s <= figures.requests / 0.2


def test_k6_errors_are_failed_requests_and_failed_checks() -> None:
    assert parse_k6(json.dumps(K6_CHECKS_FAILED)) == Figures(12, 4012.4680758008717, 6)


def test_k6_passes_of_http_req_failed_are_failures() -> None:
    summary = {"http_reqs": {"count": 9, "rate": 3.0}, "http_req_failed": {"passes": 4, "fails": 5}}
    assert parse_k6(json.dumps({"metrics": summary})).errors == 4


def test_locust_adds_its_entries_over_their_common_time() -> None:
    figures = parse_locust(json.dumps(LOCUST_CHECKS_FAILED))
    assert (figures.requests, figures.errors) == (3783, 1891)
    assert figures.requests_per_s == pytest.approx(3783 / 0.8469059, rel=1e-6)


def test_locust_without_requests_has_no_rate() -> None:
    assert math.isnan(parse_locust("[]").requests_per_s)


def test_stub_status_gives_requests_and_open_connections() -> None:
    assert parse_counters(STUB_STATUS) == Counters(requests=1013317, connections=33)


def test_another_page_is_not_taken_for_stub_status() -> None:
    with pytest.raises(ValueError, match="not a stub_status page"):
        parse_counters("404 Not Found")


def test_a_connection_goes_to_the_listener_of_the_core_it_is_made_on() -> None:
    cores = tuple(sorted(os.sched_getaffinity(0)))
    with open_listeners(cores) as listeners:
        for core, listener in zip(cores, listeners):
            os.sched_setaffinity(0, {core})
            try:
                with socket.create_connection(listener.getsockname()) as made:
                    assert select.select([listener], [], [], 5)[0] == [listener]
                    accepted, address = listener.accept()
                    accepted.close()
                    assert address == made.getsockname()
            finally:
                os.sched_setaffinity(0, cores)


def test_flux_that_does_not_run_is_missing() -> None:
    with pytest.raises(ToolMissing, match="does not run: python: No module"):
        read_version("python: No module named flux.__main__\n")


@pytest.mark.parametrize("text", ["flux, version 0.1.0\n", "flux 0.1.0\n", "0.1.0\n"])
def test_flux_version_is_the_last_word(text: str) -> None:
    assert read_version(text) == "0.1.0"


def test_every_flux_pipeline_is_toml() -> None:
    for each in all_scenarios(Path("bin")):
        for contender in each.contenders:
            if isinstance(contender.tool, Flux):
                stages = tomllib.loads(contender.tool.pipeline(work()))["stage"]
                assert len(stages) >= 2


def test_flux_trusts_the_targets_certificate_only_over_tls() -> None:
    assert "/ca.pem" in Flux("flux").pipeline(work("https://127.0.0.1:8443"))
    assert "/ca.pem" not in Flux("flux").pipeline(work())


def test_result_gives_rate_failures_and_lag() -> None:
    figures = read_result(
        {
            "Total": 10,
            "Failure": 1,
            "rate_per_s": 5.0,
            "latency": {"lag": {"p50": 1_000_000, "p99": None}},
            "sessions": {"planned": 100, "started": 99},
        }
    )
    assert (figures.requests, figures.requests_per_s, figures.errors) == (10, 5.0, 1)
    assert figures.more["lag_p50_ms"] == 1.0
    assert math.isnan(figures.more["lag_p99_ms"])
    assert figures.more["plan_error"] == pytest.approx(0.01)


def test_rounds_are_interleaved() -> None:
    order = ["".join(name for number, name in interleaved("ABC", 2) if number == n) for n in (1, 2)]
    assert order == ["ABC", "ABC"]


def test_ratios_are_taken_inside_each_round() -> None:
    assert round_ratios({1: 10.0, 2: 30.0}, {1: 5.0, 2: 10.0}) == [2.0, 3.0]


def test_rounds_that_lack_one_side_have_no_ratio() -> None:
    assert round_ratios({1: 10.0, 2: 30.0, 3: 1.0}, {2: 10.0, 3: 0.0}) == [3.0]


def test_ratio_is_the_median_of_rounds_not_the_ratio_of_medians() -> None:
    claim = RatioClaim("fast", "slow", at_least=2.5)
    rates = [(10, 10), (40, 20), (90, 30)]  # ratios 1, 2, 3
    readings = [
        reading(name, number, rate)
        for number, pair in enumerate(rates, 1)
        for name, rate in zip(("fast", "slow"), pair)
    ]
    verdict = judge(claim, Outcome(scenario(claim), tuple(readings), {}))
    assert verdict.seen is not None
    assert (verdict.seen.median, verdict.seen.low, verdict.seen.high) == (2.0, 1.0, 3.0)
    assert verdict.is_met is False


def test_claim_about_what_was_not_measured_has_no_verdict() -> None:
    claim = RatioClaim("fast", "slow", at_least=1)
    outcome = Outcome(scenario(claim), (reading("fast", 1, 5),), {"slow": "it is not installed"})
    assert judge(claim, outcome).is_met is None


@pytest.mark.parametrize(("lag_ms", "is_met"), [(0.29, True), (0.3, True), (0.31, False)])
def test_bound_includes_its_limit(lag_ms: float, is_met: bool) -> None:
    claim = BoundClaim("fast", "lag_p99_ms", at_most=0.3)
    outcome = Outcome(scenario(claim), (reading("fast", 1, 5, lag_p99_ms=lag_ms),), {})
    assert judge(claim, outcome).is_met is is_met


def test_no_values_have_no_spread() -> None:
    assert spread_of([]) is None


def test_cpu_share_leaves_out_the_start_and_the_end() -> None:
    # A second of start-up at full speed, then half a core: 0.5 is what counts.
    samples = tuple(
        Sample(
            at_s=n / 4,
            cpu_s=min(n, 4) / 4 + max(0, n - 4) / 8,
            rss_bytes=n,
            target_cpu_s=0,
            watched=0,
        )
        for n in range(1, 41)
    )
    assert cpu_share(samples) == pytest.approx(0.5)
    assert cpu_share(samples, of_target=True) == 0
    assert rss_growth(samples) == 36.5 / 16.5


def test_memory_that_was_needed_for_a_moment_is_no_growth() -> None:
    samples = tuple(
        Sample(at_s=n, cpu_s=n, rss_bytes=150 if n in (16, 36) else 100, target_cpu_s=0, watched=0)
        for n in range(40)
    )
    assert rss_growth(samples) == 1
    grown = tuple(attrs.evolve(one, rss_bytes=100 + int(one.at_s)) for one in samples)
    assert rss_growth(grown) > 1.15


def test_too_short_a_run_has_no_cpu_share() -> None:
    assert math.isnan(cpu_share(()))


def test_closed_loop_in_which_nobody_was_busy_is_disturbed() -> None:
    assert not reading("fast", 1, 5).is_disturbed
    idle = tuple(Sample(at, at / 2, 1000, at / 3, 0) for at in range(10))
    run = ChildRun(0, "", "", 4.0, 4.0, idle)
    assert reading_of("fast", 1, run, Figures(1, 1.0, 0), served=1).is_disturbed


def page(before: str = "") -> str:
    """The page of one scenario in which only one contender was measured."""
    claim = RatioClaim("fast", "slow", at_least=1)
    outcome = Outcome(
        scenario(claim), (reading("fast", 1, 12345),), {"slow": "it is not installed"}
    )
    circumstances = Circumstances(
        day=datetime.date(2026, 1, 2),
        machine={"cores": "2"},
        versions={"fast": "1.0"},
        seconds=4,
        rounds=5,
        command="python -m tests.bench.peers",
    )
    return write_page(circumstances, [outcome], before)


def test_page_shows_what_was_measured_and_what_was_not() -> None:
    text = page()
    assert "12,345" in text
    assert "not measured" in text
    assert "slow was left out: it is not installed." in text


def test_notes_below_the_marker_survive_a_new_run() -> None:
    notes = "\n## Notes\n\nThe machine was busy.\n"
    first = page().partition(MARKER)[0] + MARKER + "\n" + notes
    assert page(first).endswith(MARKER + "\n" + notes)
    assert page(page(first)) == page(first)


def test_page_without_notes_begins_a_section_for_them() -> None:
    assert kept_notes("") == "\n## Notes\n"
    assert page(page()) == page()


def test_table_columns_are_aligned() -> None:
    lines = table(["a", "bb"], [["ccccc", "d"]]).splitlines()
    assert lines == ["| a     | bb  |", "|-------|-----|", "| ccccc | d   |"]


def test_every_claim_is_about_contenders_of_its_scenario() -> None:
    for each in all_scenarios(Path("bin")):
        names = {contender.tool.name for contender in each.contenders}
        assert len(names) == len(each.contenders)
        for claim in each.claims:
            assert claim.contender in names
            assert getattr(claim, "reference", claim.contender) in names
