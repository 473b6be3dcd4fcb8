"""Summaries against plain Python over the same rows, and how they add up."""

import pickle
from collections import Counter
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.histogram import Histogram
from flux.schemas import ErrorCode, Flag
from flux.summary import LATENCIES, Finding, Mark, StepSummary, Summary
from tests.outcomes import (
    SECOND_NS,
    STEPS,
    TARGETS,
    as_rows,
    collect_all,
    final_of,
    not_started,
    request,
    row_lists,
    stalled_rows,
)

NOT_STARTED = Flag.DROPPED | Flag.WITHHELD | Flag.CANCELLED

RowDicts = list[dict[str, int]]


def naive_step(step: int, rows: RowDicts) -> StepSummary:
    """What a step's summary has to be, one row at a time."""
    mine = [row for row in rows if not row["flags"] & NOT_STARTED and row.get("step", 0) == step]
    known = [row for row in mine if not row["flags"] & Flag.ABORTED]
    opened = [row for row in mine if row["flags"] & Flag.NEW_CONNECTION]
    prompt = [row for row in mine if row["flags"] & (Flag.FIRST | Flag.HELD) == Flag.FIRST]
    begun = [row for row in known if row["first_byte_ns"]]
    successes = sum(bool(row["flags"] & Flag.SUCCESS) for row in mine)
    errors = Counter(ErrorCode(row.get("error", 0)).text for row in mine)
    del errors[""]
    return StepSummary(
        name=STEPS[step],
        requests=len(mine),
        successes=successes,
        failures=len(mine) - successes,
        aborted=len(mine) - len(known),
        statuses=dict(Counter(row["status"] for row in mine)),
        errors=dict(errors),
        bytes_out=sum(row.get("bytes_out", 0) for row in mine),
        bytes_in=sum(row.get("bytes_in", 0) for row in mine),
        retries=sum(row.get("retries", 0) for row in mine),
        connections=len(opened),
        response=histogram(row["end_ns"] - row["due_ns"] for row in known),
        service=histogram(row["end_ns"] - row["start_ns"] for row in known),
        first_byte=histogram(row["first_byte_ns"] - row["start_ns"] for row in begun),
        lag=histogram(row["start_ns"] - row["due_ns"] for row in prompt),
        connect=histogram(row["connect_ns"] for row in opened if row.get("connect_ns")),
        tls=histogram(row["tls_ns"] for row in opened if row.get("tls_ns")),
    )


def histogram(values_ns: Any) -> Histogram:
    recorded = Histogram()
    for value_ns in values_ns:
        recorded.record(np.array([value_ns]))
    return recorded


@given(row_lists)
def test_every_count_and_histogram_is_that_of_a_loop_over_the_rows(rows: RowDicts) -> None:
    summary = final_of(rows)
    assert summary.steps == tuple(naive_step(step, rows) for step in range(len(STEPS)))
    lasts = [row for row in rows if row["flags"] & Flag.LAST]
    assert summary.skipped_steps == sum(row.get("skipped", 0) for row in lasts)


@given(row_lists)
def test_sessions_are_counted_by_their_first_and_last_rows(rows: RowDicts) -> None:
    sessions = final_of(rows).sessions
    begun = [row["flags"] for row in rows if not row["flags"] & NOT_STARTED]
    ends = [flags for flags in begun if flags & Flag.LAST]
    assert sessions.started == sum(bool(flags & Flag.FIRST) for flags in begun)
    assert sessions.aborted == sum(bool(flags & Flag.ABORTED) for flags in ends)
    assert sessions.succeeded == sum(bool(flags & Flag.SESSION_SUCCESS) for flags in ends)
    assert sessions.ended == len(ends)
    not_started = sessions.dropped + sessions.withheld + sessions.cancelled
    assert not_started == len(rows) - len(begun)


@given(row_lists)
def test_every_target_has_the_counts_of_its_rows(rows: RowDicts) -> None:
    summary = final_of(rows, targets=TARGETS)
    assert [target.name for target in summary.targets] == list(TARGETS)
    for number, target in enumerate(summary.targets):
        own = [row for row in rows if row.get("target", 0) == number and row.get("step", 0) >= 0]
        alone = final_of(own, targets=["one"])
        assert attrs.evolve(alone.total, name=target.name) == target
        assert attrs.evolve(alone.targets[0], name=target.name) == target


@given(row_lists)
def test_targets_of_intervals_add_up_to_those_of_the_run(rows: RowDicts) -> None:
    *intervals, final = collect_all([as_rows(rows)], targets=TARGETS)
    if intervals:
        assert intervals[0].merge(intervals[1:]).targets == final.targets


def test_one_target_alone_is_told_of_at_the_end_only() -> None:
    interval, final = collect_all([as_rows([request()])], targets=["one"])
    assert interval.targets == ()
    assert [target.requests for target in final.targets] == [1]


def test_summaries_about_other_targets_are_not_merged() -> None:
    first, second = (final_of([request()], targets=[name]) for name in ("a", "b"))
    with pytest.raises(ValueError, match=r"same targets, got \['a'\] and \['b'\]"):
        first.merge([second])


def test_a_target_that_the_run_does_not_have_is_an_error() -> None:
    with pytest.raises(IndexError, match="target must be from 0 to 1, got 2"):
        final_of([request(target=2)], targets=TARGETS)


@given(row_lists, st.integers(1, 5), st.randoms(use_true_random=False))
def test_rows_may_come_in_any_order_and_batches(rows: RowDicts, size: int, random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    batches = [as_rows(shuffled[start : start + size]) for start in range(0, len(rows), size)]
    assert same_but_series(collect_all(batches)[-1], final_of(rows))


@given(row_lists)
def test_intervals_add_up_to_the_whole_run(rows: RowDicts) -> None:
    *intervals, final = collect_all([as_rows(rows)])
    if intervals:
        merged = intervals[0].merge(intervals[1:])
        assert merged.steps == final.steps
        assert merged.sessions == final.sessions
        assert merged.skipped_steps == final.skipped_steps
        for column in ("requests", "successes", "failures", "bytes_in", "max_ns"):
            whole = final.series.rows[column][: len(merged.series)]
            assert merged.series.rows[column].tolist() == whole.tolist()


@given(row_lists, st.integers(1, 4))
def test_shards_add_up_to_the_unsharded_run(rows: RowDicts, shards: int) -> None:
    whole = final_of(rows, planned=len(rows))
    parts = [final_of(part := rows[index::shards], planned=len(part)) for index in range(shards)]
    merged = parts[0].merge(parts[1:])
    assert same_but_series(merged, whole)
    for column in ("due", "started", "dropped", "requests", "bytes_out", "in_flight"):
        ours = merged.series.rows[column].tolist()
        assert ours == whole.series.rows[column].tolist()
    assert (merged.peak_in_flight or 0) >= (whole.peak_in_flight or 0)


def same_but_series(one: Summary, other: Summary) -> bool:
    names = ("start_ns", "end_ns", "is_final", "steps", "sessions", "held_sessions")
    return all(getattr(one, name) == getattr(other, name) for name in names)


@given(row_lists)
def test_percentiles_never_fall_nor_pass_the_maximum(rows: RowDicts) -> None:
    for step in (*final_of(rows).steps, final_of(rows).total):
        for name in LATENCIES:
            recorded: Histogram = getattr(step, name)
            values_ns = recorded.percentiles((0, 50, 90, 99, 99.99, 100)).tolist()
            assert values_ns == sorted(values_ns)
            assert values_ns[-1] == recorded.max_ns


@given(row_lists)
def test_the_total_is_the_sum_of_the_steps(rows: RowDicts) -> None:
    summary = final_of(rows)
    total = summary.total
    assert total.requests == total.successes + total.failures == sum(total.statuses.values())
    assert total.requests == sum(step.requests for step in summary.steps)
    assert total.response.count == total.requests - total.aborted


def test_a_stall_of_ten_seconds_shows_in_every_percentile_it_should() -> None:
    """1000 of 6000 are even from 15 ms to 10.005 s: rank r took 10.005 s - (6000 - r) · 10 ms."""
    summary = collect_all([stalled_rows()], steps=["get"], planned=6000)[-1]
    response = summary.total.response
    wanted_s = {50: 0.005, 90: 4.005, 95: 7.005, 99: 9.405, 100: 10.005}
    for percent, seconds in wanted_s.items():
        assert response.percentile(percent) / 1e9 == pytest.approx(seconds, rel=0.001)
    assert response.mean_ns / 1e9 == pytest.approx(0.839, rel=0.001)
    assert summary.peak_in_flight == 1001  # the first one due after the thaw is there, too
    assert summary.rate_per_s == pytest.approx(100, rel=0.001)


def test_one_connection_would_hide_the_stall_from_service_but_not_from_response() -> None:
    """What one connection cannot start on time has waited before: due stays, start moves."""
    rows = stalled_rows()
    rows = rows[np.argsort(rows["due_ns"])]
    free_ns = 0
    for row in rows:
        row["start_ns"] = max(row["due_ns"], free_ns)
        is_frozen = 20 * SECOND_NS <= row["start_ns"] < 30 * SECOND_NS
        row["end_ns"] = (30 * SECOND_NS if is_frozen else row["start_ns"]) + 5_000_000
        free_ns = row["end_ns"]
    total = collect_all([rows], steps=["get"])[-1].total
    assert total.service.percentile(99.9) == pytest.approx(5e6, rel=0.001)
    assert total.service.max_ns == 10_005_000_000
    assert total.response.percentile(99) > 9 * SECOND_NS
    assert total.lag.percentile(99) > 9 * SECOND_NS


def test_what_was_never_a_request_is_in_no_histogram() -> None:
    rows = [not_started(0, Flag.DROPPED), not_started(5, Flag.CANCELLED)]
    summary = final_of(rows, planned=2)
    assert summary.total == StepSummary("total")
    assert summary.sessions.check() == []
    assert summary.series.rows["due"].sum() == 2


def test_a_failed_request_counts_in_every_percentile() -> None:
    timeout = request(end_ns=SECOND_NS, flags=Flag.FIRST | Flag.LAST, error=int(ErrorCode.TIMEOUT))
    total = final_of([timeout, request()]).total
    assert total.response.max_ns == SECOND_NS
    assert total.errors == {"timeout": 1}


def test_summaries_survive_pickling() -> None:
    summary = final_of([request(), request(step=1)], planned=2)
    assert summary.total.requests == 2
    copy = pickle.loads(pickle.dumps(summary))
    assert same_but_series(copy, summary)
    assert copy.total == summary.total
    assert copy.series.rows.tolist() == summary.series.rows.tolist()


def test_summaries_of_other_steps_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="must be about the same steps"):
        final_of([]).merge([final_of([], steps=["other"])])


def test_one_fatal_finding_is_enough() -> None:
    summary = Summary(0, 1, True, (), findings=(Finding("a", False),))
    assert summary.is_valid
    worse = Summary(0, 1, True, (), findings=(Finding("a", False), Finding("b", True)))
    assert not worse.is_valid
    assert summary.merge([worse]).findings == worse.findings


def test_the_peak_is_not_known_before_the_end() -> None:
    interval, final = collect_all([as_rows([request()])])
    assert interval.peak_in_flight is interval.peak_users is None
    assert (final.peak_in_flight, final.peak_users) == (1, 1)


def test_an_empty_run_has_no_rate() -> None:
    assert final_of([]).rate_per_s == 0
    assert final_of([]).peak_in_flight == 0


def test_marks_of_shards_come_together_in_order_of_time() -> None:
    first, second = (
        Summary(0, 1, True, (), marks=(Mark(start_ns, "control", "pause"), Mark(9, "signal", "x")))
        for start_ns in (5, 3)
    )
    assert [mark.time_ns for mark in first.merge([second]).marks] == [3, 5, 9, 9]
