"""The summary for people: aligned, in careful units, and never more than is known."""

import pathlib

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.attention import look_at
from flux.compare.comparison import compare
from flux.compare.recorded import Recorded
from flux.compare.text import format_comparison
from flux.console import (
    WIDTH,
    format_count,
    format_duration,
    format_ns,
    format_percentile,
    format_progress,
    format_share,
    format_size,
    format_summary,
    verdict_text,
)
from flux.histogram import Histogram
from flux.report.facts import facts
from flux.result_file import result_document, write_result
from flux.runs.folders import RunFolder
from flux.runs.listing import run_line, table
from flux.schemas import ErrorCode, Flag
from flux.stage import Run, Shard
from flux.summary import Finding, Judgement
from flux.thresholds import judge
from flux.validity import find
from tests.outcomes import (
    SECOND_NS,
    TARGETS,
    as_rows,
    collect_all,
    final_of,
    make_context,
    not_started,
    request,
    row_lists,
)
from tests.thresholds.making import threshold

FAILED = Flag.FIRST | Flag.LAST
PAGE = """\
VALID   checkout   10s   seed 7

                        requests          ok      failed      rate/s    received
login                        598         596           2        59.8     59.8 kB
list                           0           0           0           0         0 B
buy                            0           0           0           0         0 B
total                        598         596           2        59.8     59.8 kB

                                    response (end - due)   service (end - start)
                          p50      p95      p99      max          p50        p99
login                 5.00 ms  5.00 ms  5.00 ms   9.98 s      5.00 ms    5.00 ms
list                        -        -        -        -            -          -
buy                         -        -        -        -            -          -
total                 5.00 ms  5.00 ms  5.00 ms   9.98 s      5.00 ms    5.00 ms
-         fewer requests than it takes: 2 for p50, 20 for p95, 100 for p99

plan      63.0/s sessions due, 62.8/s started: 99.67 %
lag       start - due: p50 0 ns, p99 0 ns, max 0 ns
sessions  planned 600 = started 598 + dropped 2 + cancelled 0 ✓
          started 598 = 596 ok + 2 failed + 0 aborted ✓
peak      2 requests and 2 sessions under way
statuses  200: 596, no response: 1, 503: 1
errors    status: 1, timeout: 1
look at   2 requests failed, 0.334 %: mostly status 503, in step login
files     results/result_3
"""


def run_of(folder: pathlib.Path | None = None) -> Run:
    return make_context(folder=folder).run


def page_rows() -> list[dict[str, int]]:
    rows = [request(number * 16_000_000, bytes_in=100) for number in range(596)]
    rows.append(request(flags=FAILED, status=503, error=int(ErrorCode.STATUS), bytes_in=200))
    timeout = {"status": 0, "error": int(ErrorCode.TIMEOUT), "first_byte_ns": 0}
    rows.append(request(20_000_000, 10_000_000_000, FAILED, **timeout))
    return [*rows, not_started(0, Flag.DROPPED), not_started(0, Flag.DROPPED)]


def test_the_page_is_what_it_should_be() -> None:
    summary = final_of(page_rows(), planned=600)
    run = run_of(folder=pathlib.Path("results/result_3"))
    assert format_summary(summary, run, advice=look_at(summary)) == PAGE


def test_the_page_of_two_steps_with_errors_and_thresholds_fits_a_screen() -> None:
    rows = [*[request(step=1)] * 100, *page_rows()]
    summary = final_of(rows, planned=700, steps=("register", "login"))
    verdicts = judge([threshold("max < 1s"), threshold("p(95) < 1s")], summary)
    summary = attrs.evolve(summary, verdicts=verdicts)
    page = format_summary(
        summary, run_of(folder=pathlib.Path("results/result_3")), advice=look_at(summary)
    )
    assert len(page.splitlines()) <= 24


@pytest.mark.parametrize(
    ("is_valid", "judgements", "text"),
    [
        (True, [], "VALID"),
        (True, ["passed", "passed"], "VALID, thresholds passed"),
        (True, ["passed", "failed"], "VALID, 1 of 2 thresholds missed"),
        (False, ["not judged"], "INVALID"),
    ],
)
def test_the_verdict_is_in_a_few_words(
    is_valid: bool, judgements: list[Judgement], text: str
) -> None:
    assert verdict_text(is_valid=is_valid, judgements=judgements) == text


@given(row_lists)
def test_no_line_is_wider_than_eighty_columns(rows: list[dict[str, int]]) -> None:
    summary = final_of(rows, planned=len(rows))
    summary = attrs.evolve(summary, findings=find(summary))
    page = format_summary(summary, attrs.evolve(run_of(), name="a pipeline with a long name " * 3))
    assert max(len(line) for line in page.splitlines()) <= WIDTH
    assert page == "\n".join(line.rstrip() for line in page.split("\n"))


def test_an_invalid_run_says_so_first_and_last() -> None:
    summary = attrs.evolve(final_of([request()]), findings=(Finding("it was late", True),))
    lines = format_summary(summary, run_of()).splitlines()
    assert lines[0].startswith("INVALID   checkout")
    assert lines[-2:] == ["INVALID   it was late", "          these numbers must not be trusted"]


def test_a_finding_says_what_to_do_below_it() -> None:
    finding = Finding("it was late", True, "start fewer sessions")
    summary = attrs.evolve(final_of([request()]), findings=(finding,))
    lines = format_summary(summary, run_of()).splitlines()
    at = lines.index("INVALID   it was late")
    assert lines[at + 1] == "          → start fewer sessions"


def test_notes_follow_the_warning() -> None:
    findings = (Finding("it was late", True), Finding("by the way", False))
    page = format_summary(attrs.evolve(final_of([request()]), findings=findings), run_of())
    warning = "          these numbers must not be trusted\n"
    assert page.endswith(f"INVALID   it was late\n{warning}note      by the way\n")


def test_each_threshold_is_shown_with_a_sign_and_what_was_observed() -> None:
    summary = final_of([request()] * 40)
    thresholds = [threshold("max < 1s"), threshold("max < 1ms"), threshold("p(99) < 1s")]
    summary = attrs.evolve(summary, verdicts=judge(thresholds, summary))
    page = format_summary(summary, run_of())
    assert "threshold ✓ response max < 1s: 5.00 ms\n" in page
    assert "\n          ✗ response max < 1ms: 5.00 ms\n" in page
    assert "✗ response p(99) < 1s: - (40 requests are too few: p(99) needs 100)\n" in page


def test_the_thresholds_of_an_invalid_run_have_no_verdict() -> None:
    summary = attrs.evolve(final_of([request()]), findings=(Finding("late", True),))
    summary = attrs.evolve(summary, verdicts=judge([threshold("max < 1s")], summary))
    page = format_summary(summary, run_of())
    assert "threshold - response max < 1s: 5.00 ms, not judged (the run is invalid)\n" in page


def test_a_footnote_says_why_there_are_dashes() -> None:
    page = format_summary(final_of([request()] * 99, steps=["get"]), run_of())
    footnote = "\n-         fewer requests than it takes: 2 for p50, 20 for p95, 100 for p99\n"
    assert footnote in page
    assert "of 99 sessions, too few for a p99" in " ".join(page.split())
    page = format_summary(final_of([request()] * 100, steps=["get"]), run_of())
    assert "fewer requests" not in page
    assert "too few" not in page


def test_a_broken_law_is_marked() -> None:
    page = format_summary(final_of([request()], planned=2), run_of())
    assert "planned 2 ≠ started 1 + dropped 0 + cancelled 0 (1 missing) ✗" in page
    assert "started 1 = 1 ok + 0 failed + 0 aborted ✓" in page


def test_a_shard_is_named() -> None:
    run = attrs.evolve(run_of(), shard=Shard(1, 4))
    head = format_summary(final_of([request()]), run).splitlines()[0]
    assert "seed 7   shard 1/4" in head


def test_one_step_needs_no_total() -> None:
    page = format_summary(final_of([request()], steps=["get"]), run_of())
    assert "total" not in page


def test_several_targets_have_a_table() -> None:
    rows = [*[request()] * 100, request(target=1, flags=FAILED, status=503)]
    page = format_summary(final_of(rows, targets=TARGETS), run_of())
    table = page.partition("\ntargets ")[2].partition("\nlag ")[0]
    assert table.splitlines() == [
        "                requests      failed      rate/s         p50         p99",
        "blue                         100           0      20,000     5.00 ms     5.00 ms",
        "green                          1           1         200           -           -",
    ]


def test_one_target_needs_no_table() -> None:
    page = format_summary(final_of([request()], targets=["blue"]), run_of())
    assert "blue" not in page


def test_sessions_that_waited_for_a_place_are_told_beside_the_lag() -> None:
    held = request(flags=Flag.FIRST | Flag.HELD | Flag.LAST, start_ns=10)
    page = format_summary(final_of([request(), held]), run_of())
    assert "1 sessions waited for a place" in page


def test_progress_is_one_line() -> None:
    rows = [request(number * 1_000_000) for number in range(200)]
    interval, _ = collect_all([as_rows(rows)], planned=203, end_ns=SECOND_NS)
    wanted = "     1s      200/s  ok    200  failed    0  p50 5.00 ms  p99 5.00 ms  open    3"
    assert format_progress(attrs.evolve(interval, open_sessions=3)) == wanted


def test_progress_of_a_silent_target_shows_no_latency() -> None:
    silent, *_ = collect_all([as_rows([request(3_000_000_000)])])
    wanted = "     1s        0/s  ok      0  failed    0  p50       -  p99       -  open    -"
    assert format_progress(silent) == wanted


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (999.7, "1.00 µs"),
        (1_000, "1.00 µs"),
        (12_345, "12.3 µs"),
        (999_499, "999 µs"),
        (999_600, "1.00 ms"),
        (5_005_000, "5.00 ms"),
        (99_960_000, "100 ms"),
        (10_005_000_000, "10.0 s"),
        (3_600_000_000_000, "3600 s"),
        (-12_000, "-12.0 µs"),
    ],
)
def test_times_have_three_digits_and_the_unit_that_fits(time_ns: float, text: str) -> None:
    assert format_ns(time_ns) == text


@given(st.integers(1000, 999 * 10**9))
def test_a_time_reads_back_within_half_a_per_cent(time_ns: int) -> None:
    number, unit = format_ns(time_ns).split(" ")
    size = {"µs": 10**3, "ms": 10**6, "s": 10**9}[unit]
    assert float(number) * size == pytest.approx(time_ns, rel=0.0051)
    assert 1 <= float(number) < 1000


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3, "3"), (0.25, "0.25"), (59.8, "59.8"), (99.96, "100"), (12345.6, "12,346")],
)
def test_rates_have_three_digits(value: float, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("count", "percent", "is_known"),
    [
        (0, 50, False),
        (1, 50, False),
        (2, 50, True),
        (99, 99, False),
        (100, 99, True),
        (999, 99.9, False),
        (1000, 99.9, True),
    ],
)
def test_a_percentile_of_too_few_values_is_a_dash(
    count: int, percent: float, is_known: bool
) -> None:
    histogram = Histogram()
    histogram.record(np.full(count, 5_000_000))
    assert format_percentile(histogram, percent) == ("5.00 ms" if is_known else "-")


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0s"),
        (499_999, "0s"),
        (500_000, "1ms"),
        (8_025_499_999, "8.025s"),
        (8_025_500_000, "8.026s"),
        (90_500_000_000, "1m30.5s"),
        (-50_000_000, "-50ms"),
        (-1, "0s"),
        (1e300, "106751d23h47m16.854s"),
    ],
)
def test_a_duration_is_to_the_nearest_millisecond(time_ns: float, text: str) -> None:
    assert format_duration(time_ns) == text


@pytest.mark.parametrize(
    ("count", "whole", "text"),
    [
        (0, 7, "0 %"),
        (7, 7, "100 %"),
        (1, 3, "33.3 %"),
        (2, 598, "0.334 %"),
        (598, 600, "99.67 %"),
        (10**7 - 1, 10**7, "99.99 %"),
        (1, 10**7, "<0.001 %"),
        (0.05, 1, "5 %"),
    ],
)
def test_a_share_is_all_or_nothing_only_if_it_is(count: float, whole: float, text: str) -> None:
    assert format_share(count, whole) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (7040, "7.04 kB"), (999_499, "999 kB"), (999_500, "1.00 MB")],
)
def test_a_size_has_three_digits(size: int, text: str) -> None:
    assert format_size(size) == text


def test_one_duration_is_one_text_on_every_page(tmp_path: pathlib.Path) -> None:
    summary = final_of([request(0, 8_025_600_000)], planned=1)
    run = run_of()
    assert "   8.026s   " in format_summary(summary, run).splitlines()[0]
    document = result_document(summary, run)
    assert dict(facts(document))["duration"] == "8.026s"
    folder = tmp_path / "result_1"
    folder.mkdir()
    write_result(folder / "result.json", document)
    (folder / "flux.log").write_text("")
    (line,) = (one for one in table([run_line(RunFolder(folder))]) if "8.0" in one)
    assert " 8.026s " in line
    recorded = Recorded("1", summary, run, is_valid=True)
    assert "checkout, 8.026s, 1 requests" in format_comparison(compare(recorded, recorded))
