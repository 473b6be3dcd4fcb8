"""Figures that tools print at their end are read as what they are: counts, a few percentiles."""

import json
import pathlib

import numpy as np
import pytest

from flux.formats import Recording, read
from flux.histogram import Histogram, percentile_distribution
from tests.formats.samples import GOLDEN

MS = 10**6

VEGETA_REPORT = {
    "latencies": {
        "total": 30 * MS,
        "mean": 3 * MS,
        "min": MS,
        "max": 9 * MS,
        "50th": 2 * MS,
        "90th": 5 * MS,
        "95th": 6 * MS,
        "99th": 8 * MS,
    },
    "bytes_in": {"total": 120, "mean": 12},
    "bytes_out": {"total": 0, "mean": 0},
    "earliest": "2026-08-21T10:00:00.5+02:00",
    "latest": "2026-08-21T10:00:01.4+02:00",
    "end": "2026-08-21T10:00:01.402+02:00",
    "duration": 900 * MS,
    "wait": 2 * MS,
    "requests": 10,
    "rate": 11.1,
    "throughput": 8.8,
    "success": 0.8,
    "status_codes": {"200": 8, "500": 2},
    "errors": ["500 Internal Server Error"],
}

WRK2 = """Running 10s test @ http://127.0.0.1:8080/
  2 threads and 10 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.50ms  700.00us  12.00ms   80.00%
    Req/Sec   105.00     20.00   200.00     70.00%
  Latency Distribution (HdrHistogram - Recorded Latency)
 50.000%    1.40ms
 99.000%    4.00ms
 99.900%    9.50ms
  2000 requests in 10.00s, 1.50MB read
Requests/sec:    200.00
Transfer/sec:    153.60KB
"""


def read_text(folder: pathlib.Path, text: str) -> Recording:
    file = folder / "summary"
    file.write_text(text)
    return read(file)


@pytest.mark.parametrize("name", ["k6-summary.json", "k6-summary-export.json"])
def test_both_shapes_of_k6s_summary_say_the_same(name: str) -> None:
    recording = read(GOLDEN / name)
    assert (recording.format, recording.latencies) == ("k6-summary", ())
    assert (recording.total.requests, recording.total.failures) == (6, 3)
    assert (recording.total.bytes_out, recording.total.bytes_in) == (1057, 53)
    assert recording.duration_ns == 2104 * MS
    assert recording.quoted_ns["total"]["service"] == {
        "mean": 203_789_959,
        "min": 1_000_999,
        "p50": 4_001_000,
        "p90": 999 * MS,
        "p95": 999 * MS,
        "max": 999 * MS,
    }
    assert recording.told == ("service", "response")


def test_a_summary_of_k6_in_one_line_is_the_same(tmp_path: pathlib.Path) -> None:
    text = (GOLDEN / "k6-summary.json").read_text()
    recording = read_text(tmp_path, json.dumps(json.loads(text)))
    assert recording.quoted_ns == read(GOLDEN / "k6-summary.json").quoted_ns


@pytest.mark.parametrize("indent", [None, 2])
def test_the_report_of_vegeta_is_read(indent: int | None, tmp_path: pathlib.Path) -> None:
    recording = read_text(tmp_path, json.dumps(VEGETA_REPORT, indent=indent))
    assert (recording.total.requests, recording.total.failures) == (10, 2)
    assert recording.total.statuses == {200: 8, 500: 2}
    assert recording.duration_ns == 902 * MS
    assert recording.quoted_ns["total"]["service"]["p99"] == 8 * MS
    assert recording.started_at is not None
    assert recording.started_at.isoformat() == "2026-08-21T08:00:00.500000+00:00"


@pytest.mark.parametrize(
    ("mark", "latency", "is_own"),
    [
        ("", "service", False),
        (" (flux: response times)", "response", True),
        (" (flux: service times)", "service", True),
        (" (flux: lag times)", "lag", True),
    ],
)
def test_the_text_of_wrk_is_read(
    mark: str, latency: str, is_own: bool, tmp_path: pathlib.Path
) -> None:
    own = "Latency Distribution (flux: response times)\n"
    text = (GOLDEN / "wrk.txt").read_text()
    assert own in text
    recording = read_text(tmp_path, text.replace(own, f"Latency Distribution{mark}\n"))
    assert (recording.told, recording.latency) == ((latency,), latency)
    assert recording.is_own == is_own
    assert (recording.total.requests, recording.total.failures) == (6, 2)
    assert recording.duration_ns == 2100 * MS
    assert recording.quoted_ns["total"][latency] == {
        "mean": 204 * MS,
        "p50": 4 * MS,
        "p75": 12_350_000,
        "p90": 1000 * MS,
        "p99": 1000 * MS,
        "max": 1000 * MS,
    }


def test_times_of_wrk2_are_response_times(tmp_path: pathlib.Path) -> None:
    recording = read_text(tmp_path, WRK2)
    assert recording.told == ("response",)
    assert recording.quoted_ns["total"]["response"]["p99.9"] == 9_500_000
    assert recording.total.bytes_in == 1.5 * 2**20


def test_a_percentile_of_an_hgrm_is_the_first_value_that_reaches_it() -> None:
    recording = read(GOLDEN / "response.hgrm")
    assert recording.total.requests == 5
    assert recording.quoted_ns["total"]["response"]["p75"] == 12_351_000
    assert recording.quoted_ns["total"]["response"]["p90"] == 1000 * MS
    assert not recording.has_failures
    assert recording.duration_ns == 0


def test_a_percentile_of_an_hgrm_goes_by_how_many_values_a_line_reaches(
    tmp_path: pathlib.Path,
) -> None:
    """There is no line for 99 %, but that for 98.75 % reaches 198 of the 200 values."""
    histogram = Histogram()
    histogram.record(np.arange(1, 201) * MS)
    text = percentile_distribution(histogram)
    assert " 0.987500000000 " in text
    assert " 0.990000000000 " not in text
    recording = read_text(tmp_path, text)
    assert recording.quoted_ns["total"]["service"]["p99"] == pytest.approx(198 * MS, rel=1e-3)
