"""The pure parts of the accuracy page: the exact answer, reading what tools say, and the table."""

import json
import math
import pathlib
import tomllib

import numpy as np
import pytest

from flux.histogram import Histogram, encode
from flux.pipeline import load
from tests.bench.accuracy.answer import Answer
from tests.bench.accuracy.contender import Work
from tests.bench.accuracy.flux_runs import Flux, read_results
from tests.bench.accuracy.page import Measured, write_page
from tests.bench.accuracy.peers import Wrk, read_hey, read_k6, read_locust, read_wrk
from tests.bench.accuracy.seen import (
    Model,
    Run,
    Seen,
    median_percentile_s,
    nearest_ranks,
    worst_error,
)
from tests.bench.peers.report import MARKER

ANSWER = Answer(seconds=10, frozen_s=2)
WORK = Work("http://127.0.0.1:1", rate_per_s=500, seconds=10, users=50)

WRK = """\
Running 10s test @ http://127.0.0.1:1/health
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   187.97ms  446.00ms   2.00s    87.00%
    Req/Sec   109.02k    13.72k  113.98k    80.00%
  Latency Distribution
     50%  192.00us
     75%  239.12ms
     90%  667.21ms
     99%    1.85s \n\
  878353 requests in 10.00s, 47.32MB read
Requests/sec:  87835.30
"""

HEY = """\
Summary:
  Total:\t10.0000 secs
  Slowest:\t1.9111 secs
  Requests/sec:\t410.0000

Latency distribution:
  10% in 0.0005 secs
  50% in 0.0010 secs
  90% in 0.0024 secs
  95% in 0.0045 secs
  99% in 1.9087 secs

Status code distribution:
  [200]\t4100 responses
"""

LOCUST = """\
Type,Name,Request Count,Failure Count,Max Response Time,50%,90%,95%,99%
GET,/health,3600,0,1928.4,3,6,7,1900
,Aggregated,3600,0,1928.4,3,6,7,1900
"""

K6 = {
    "metrics": {
        "http_req_duration": {
            "med": 0.125,
            "p(90)": 1019,
            "p(95)": 1513,
            "p(99)": 1901,
            "max": 1999,
        },
        "http_reqs": {"count": 4100},
        "dropped_iterations": {"count": 901},
    }
}


def seen(p90: float = 1.0, p95: float = 1.5, p99: float = 1.9, *, sent: int = 5000) -> Seen:
    return Seen({50.0: 0.001, 90.0: p90, 95.0: p95, 99.0: p99}, 2.0, sent)


def runs(*all_seen: Seen) -> tuple[Run, ...]:
    return tuple(Run(one, ANSWER) for one in all_seen)


def test_the_exact_answer_is_that_of_counting() -> None:
    # Counted instead of derived: 500 a second, those due in [4 s, 6 s) are answered at 6 s.
    due_s = [k / 500 for k in range(5000)]
    response_s = [6 - due if 4 <= due < 6 else 0.0 for due in due_s]
    counted = nearest_ranks(response_s)
    for percent in (50.0, 90.0, 95.0, 99.0):
        assert counted[percent] == pytest.approx(ANSWER.percentile_s(percent), abs=1 / 500)


def test_wrk_tells_three_percentiles() -> None:
    told = read_wrk(WRK)
    assert told.percentiles_s[50.0] == pytest.approx(0.000192)
    assert told.percentiles_s[90.0] == pytest.approx(0.66721)
    assert math.isnan(told.percentiles_s[95.0])
    assert (told.percentiles_s[99.0], told.max_s, told.sent) == (1.85, 2.0, 878353)


def test_hey_tells_its_distribution() -> None:
    told = read_hey(HEY)
    assert told.percentiles_s == {50.0: 0.001, 90.0: 0.0024, 95.0: 0.0045, 99.0: 1.9087}
    assert (told.max_s, told.sent) == (1.9111, 4100)


def test_of_locusts_table_the_last_line_counts() -> None:
    told = read_locust(LOCUST)
    assert told.percentiles_s == {50.0: 0.003, 90.0: 0.006, 95.0: 0.007, 99.0: 1.9}
    assert told.max_s == pytest.approx(1.9284)
    assert told.sent == 3600


def test_k6_tells_what_it_dropped() -> None:
    told = read_k6(json.dumps(K6))
    assert told.percentiles_s[90.0] == pytest.approx(1.019)
    assert (told.sent, told.dropped) == (4100, 901)
    del K6["metrics"]["dropped_iterations"]
    assert read_k6(json.dumps(K6)).dropped == 0


def test_results_of_shards_are_merged_bucket_for_bucket() -> None:
    results = []
    for value_ns in (10_000_000, 30_000_000):
        histogram = Histogram()
        histogram.record(np.full(10, value_ns))
        results.append(
            {
                "Total": 10,
                "latency": {"response": {"max": value_ns}},
                "sessions": {"dropped": 1},
                "validity": {"findings": [{"text": "late"}]},
                "histograms": [{"response": encode(histogram)}],
            }
        )
    told = read_results(results)
    assert told.percentiles_s[50.0] == pytest.approx(0.010, rel=1e-3)
    assert told.percentiles_s[90.0] == pytest.approx(0.030, rel=1e-3)
    assert (told.max_s, told.sent, told.dropped, told.says) == (0.030, 20, 2, ("late",))


def test_the_error_is_the_farthest_percentile_of_the_median_round() -> None:
    three = runs(seen(p90=1.01), seen(p90=1.03, p99=1.881), seen(p90=5.0))
    assert worst_error(three) == pytest.approx(0.03)
    assert worst_error(runs(seen(p90=1.01, p99=1.805))) == pytest.approx(-0.05)
    assert median_percentile_s(three, 90.0) == 1.03


def test_a_percentile_that_a_tool_does_not_tell_is_no_error() -> None:
    assert worst_error(runs(seen(p95=math.nan))) == pytest.approx(0)
    assert math.isnan(worst_error(runs(seen(math.nan, math.nan, math.nan))))


@pytest.mark.parametrize("model", ["open", "closed"])
@pytest.mark.parametrize("client", ["wire", "httpx"])
def test_the_pipelines_are_valid(model: Model, client: str, tmp_path: pathlib.Path) -> None:
    text = Flux("x", model=model, client=client).pipeline(WORK)
    file = tmp_path / "pipeline.toml"
    file.write_text(text)
    stages = [stage["use"] for stage in tomllib.loads(text)["stage"]]
    assert stages == ["constant" if model == "open" else "users", "http", "json", "csv"]
    assert load(file, environment={}).executors[0].stage.client == client


def test_the_page_says_who_is_right_and_keeps_the_notes() -> None:
    right = Measured(Flux("flux wire"), "1", runs(seen(p90=1.015)))
    wrong = Measured(Flux("flux httpx"), "1", runs(seen(p90=1.2)))
    blind = Measured(Wrk(), "4", runs(seen(0.001, math.nan, 0.001, sent=99_999)))
    args = ({"hey": "it is not installed"}, WORK, 2.0, {"day": "today"})
    page = write_page([right, blind], *args, before=f"old\n{MARKER}\n\n## Notes\n\nmine\n")
    assert "Met: flux within 2% in the open model" in page
    assert "| flux wire    | open   | 1       |" in page
    assert "+1.5 %" in page
    assert "99,999 " in page
    assert "hey was left out: it is not installed." in page
    assert page.endswith("## Notes\n\nmine\n")
    page = write_page([right, wrong], *args)
    assert "**Not met**: flux within 2% in the open model; not flux httpx." in page


def test_a_user_of_the_closed_model_makes_its_share_of_the_rate() -> None:
    assert WORK.each_per_s == 10
    assert 'users = 50\npace = "100ms"' in Flux("x", model="closed").pipeline(WORK)
