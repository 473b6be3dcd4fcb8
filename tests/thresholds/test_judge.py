"""Verdicts: what a summary says about a threshold, and that nothing passes for want of numbers."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.schemas import ErrorCode, Flag
from flux.summary import Finding, Summary, Verdict
from flux.thresholds import judge
from flux.thresholds.judge import judge_measured, measure_summary, samples_needed
from tests.outcomes import (
    SECOND_NS,
    as_rows,
    collect_all,
    final_of,
    not_started,
    request,
    row_lists,
)
from tests.thresholds.making import threshold

MS = 1_000_000
FAILED = Flag.FIRST | Flag.LAST
CUT = {"flags": FAILED | Flag.ABORTED, "error": int(ErrorCode.ABORTED), "status": 0}


def lasting(*times_ms: int, **columns: int) -> list[dict[str, int]]:
    return [request(0, time_ms * MS, **columns) for time_ms in times_ms]  # type: ignore[arg-type]  # columns, no flags


def failing(count: int, error: ErrorCode = ErrorCode.STATUS) -> list[dict[str, int]]:
    return [request(flags=FAILED, status=503, error=int(error))] * count


def verdict_on(rows: list[dict[str, int]], expect: str, **keys: Any) -> Verdict:
    (verdict,) = judge([threshold(expect, **keys)], final_of(rows))
    return verdict


@pytest.mark.parametrize(
    ("expect", "judgement", "observed"),
    [
        ("p(95) < 96ms", "passed", 95 * MS),
        ("p(95) < 94ms", "failed", 95 * MS),
        ("p(95) <= 94ms", "failed", 95 * MS),
        ("p(95) > 94ms", "passed", 95 * MS),
        ("med < 51ms", "passed", 50 * MS),
        ("avg < 50ms", "failed", 50.5 * MS),
        ("min >= 1ms", "passed", 1 * MS),
        ("max <= 100ms", "passed", 100 * MS),
        ("max < 100ms", "failed", 100 * MS),
    ],
)
def test_a_latency_is_held_against_its_limit(expect: str, judgement: str, observed: float) -> None:
    verdict = verdict_on(lasting(*range(1, 101)), expect)
    assert verdict.judgement == judgement
    assert verdict.observed == pytest.approx(observed, rel=1e-3)
    assert (verdict.samples, verdict.unit, verdict.reason) == (100, "ns", "")


@pytest.mark.parametrize(
    ("metric", "expect", "judgement", "observed"),
    [
        ("failed", "rate < 10%", "passed", 0.05),
        ("failed", "rate < 5%", "failed", 0.05),
        ("failed", "rate <= 0.05", "passed", 0.05),
        ("failed", "count < 5", "failed", 5),
        ("requests", "count == 100", "passed", 100),
        ("requests", "rate >= 10/s", "passed", 10),
        ("requests", "rate > 600/min", "failed", 10),
        ("sessions", "count > 99", "passed", 100),
        ("sessions_failed", "rate <= 5%", "passed", 0.05),
        ("dropped", "rate < 1%", "failed", 20 / 120),
        ("dropped", "count <= 20", "passed", 20),
    ],
)
def test_counts_and_shares_are_held_against_their_limits(
    metric: str, expect: str, judgement: str, observed: float
) -> None:
    rows = [*lasting(*[5] * 94, 10_000), *failing(5), *[not_started(0, Flag.DROPPED)] * 20]
    verdict = verdict_on(rows, expect, metric=metric)
    assert verdict.judgement == judgement
    assert verdict.observed == pytest.approx(observed)


def test_a_step_is_judged_by_its_own_requests() -> None:
    rows = [*lasting(*[10] * 20), *lasting(*[90] * 20, step=1)]
    assert verdict_on(rows, "p(95) < 20ms", step="login").judgement == "passed"
    assert verdict_on(rows, "p(95) < 20ms", step="list").judgement == "failed"
    assert verdict_on(rows, "p(95) < 20ms").judgement == "failed"


def test_a_tag_merges_the_steps_that_carry_it() -> None:
    rows = [*lasting(*[10] * 19, step=0), *lasting(90, step=2), *lasting(*[500] * 9, step=1)]
    verdict = verdict_on(rows, "p(95) < 20ms", tag="kind=api")
    assert (verdict.judgement, verdict.samples) == ("passed", 20)
    assert verdict_on(rows, "max > 80ms", tag="kind=api").judgement == "passed"
    assert verdict.title == "response p(95) < 20ms [tag kind=api]"


def test_an_error_counts_alone() -> None:
    rows = [*lasting(*[5] * 7), *failing(2, ErrorCode.EXPECT_BODY), *failing(1, ErrorCode.TIMEOUT)]
    verdict = verdict_on(rows, "count == 2", metric="failed", error="expect_body")
    assert (verdict.judgement, verdict.scope) == ("passed", "error expect_body")
    assert verdict_on(rows, "rate < 20%", metric="failed", error="timeout").observed == 0.1


@pytest.mark.parametrize(
    ("percent", "needed"), [(50, 2), (90, 10), (95, 20), (99, 100), (99.9, 1000), (99.99, 10_000)]
)
def test_a_percentile_needs_a_value_above_it(percent: float, needed: int) -> None:
    assert samples_needed(percent) == needed


def test_too_few_requests_fail_a_percentile_and_say_so() -> None:
    verdict = verdict_on(lasting(*[1] * 99), "p(99) < 1h")
    assert (verdict.judgement, verdict.observed) == ("failed", None)
    assert verdict.reason == "99 requests are too few: p(99) needs 100"
    assert verdict_on(lasting(*[1] * 100), "p(99) < 1h").judgement == "passed"


@pytest.mark.parametrize(
    ("metric", "expect", "noun"),
    [
        ("response", "max < 1h", "requests"),
        ("failed", "rate < 1%", "requests"),
        ("failed", "count == 0", "requests"),
        ("requests", "count < 5", "requests"),
        ("requests", "rate >= 0/s", "requests"),
        ("sessions_failed", "rate < 1%", "sessions"),
        ("dropped", "rate < 1%", "arrivals"),
        ("tls", "avg < 1h", "connections"),
    ],
)
def test_nothing_passes_without_a_request(metric: str, expect: str, noun: str) -> None:
    verdict = verdict_on([], expect, metric=metric)
    assert (verdict.judgement, verdict.observed_text) == ("failed", "-")
    assert verdict.reason == f"there were no {noun}"


def test_nothing_passes_in_a_step_without_a_request() -> None:
    verdict = verdict_on(lasting(1, 2, 3), "count == 0", metric="failed", step="buy")
    assert verdict.judgement == "failed"


def test_requests_that_were_cut_count_as_longer_than_all_others() -> None:
    rows = [*lasting(*[10] * 90), *[request(0, MS, **CUT)] * 10]  # type: ignore[arg-type]  # columns and flags
    assert verdict_on(rows, "p(90) < 20ms").judgement == "passed"
    cut = verdict_on(rows, "p(95) < 20ms")
    assert (cut.judgement, cut.observed, cut.observed_text) == ("failed", None, "not known")
    assert cut.reason == "10 requests were cut by the end of the run"
    assert verdict_on(rows, "max < 1h").judgement == "failed"
    assert verdict_on(rows, "p(95) > 1s").judgement == "passed"


def test_a_mean_says_that_requests_were_cut() -> None:
    rows = [*lasting(*[10] * 90), *[request(0, MS, **CUT)] * 10]  # type: ignore[arg-type]  # columns and flags
    verdict = verdict_on(rows, "avg < 20ms")
    assert verdict.judgement == "passed"
    assert verdict.reason == "10 requests were cut by the end of the run, and are not in it"


def test_an_invalid_run_is_not_judged() -> None:
    invalid = attrs.evolve(final_of(lasting(1, 2)), findings=(Finding("late", is_fatal=True),))
    for expect in ("max < 1h", "max < 1ns"):
        (verdict,) = judge([threshold(expect)], invalid)
        assert (verdict.judgement, verdict.reason) == ("not judged", "the run is invalid")
        assert verdict.observed == 2 * MS


ALL = [
    threshold("p(90) < 100ms"),
    threshold("med < 100ms", metric="service", step="login"),
    threshold("avg < 100ms", tag="kind=api"),
    threshold("max < 100ms", metric="lag"),
    threshold("rate < 10%", metric="failed"),
    threshold("count < 3", metric="failed", error="timeout"),
    threshold("count > 10", metric="requests"),
    threshold("rate < 5%", metric="sessions_failed"),
    threshold("rate < 5%", metric="dropped"),
]


@given(row_lists, st.sampled_from(ALL))
def test_intervals_add_up_to_the_verdict_on_the_whole_run(
    rows: list[dict[str, int]], one: Any
) -> None:
    *intervals, final = collect_all([as_rows(rows)])
    if intervals:
        first, *rest = (measure_summary(one, interval) for interval in intervals)
        assert judge_measured(one, first.merge(rest)) == judge_measured(
            one, measure_summary(one, final)
        )


@given(row_lists)
def test_halves_of_a_run_are_judged_as_their_sum(rows: list[dict[str, int]]) -> None:
    """As are shards, and worker processes."""
    halves = [final_of(rows[::2]), final_of(rows[1::2])]
    whole = attrs.evolve(final_of(rows), end_ns=5 * SECOND_NS)
    merged: Summary = attrs.evolve(halves[0].merge(halves[1:]), end_ns=5 * SECOND_NS)
    assert judge(ALL, merged) == judge(ALL, whole)
