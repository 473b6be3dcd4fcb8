"""What is known of each phase, and that warm-up is in nothing that is judged."""

import pickle
from collections.abc import Sequence

import attrs
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.collection import Collection
from flux.conservation import Ledger
from flux.console import WIDTH, format_progress, format_summary
from flux.interval_lines import COLUMNS
from flux.phases import Phase
from flux.result_file import result_document, result_text
from flux.result_schema import result_schema
from flux.schemas import Flag
from flux.summary import Summary
from flux.validity import Validity, find
from tests.outcomes import (
    SECOND_NS,
    STEPS,
    as_rows,
    final_of,
    make_context,
    not_started,
    request,
    row_lists,
)

RowDicts = list[dict[str, int]]

PHASES = (
    Phase("warm", 0, SECOND_NS, is_warmup=True),
    Phase("base", SECOND_NS, 2_500_000_000),
    Phase("cool", 2_500_000_000, 3 * SECOND_NS, is_warmup=True),
    Phase("peak", 3 * SECOND_NS, 4 * SECOND_NS),
)
"""In time with the intervals, and not."""


def summaries(
    rows: RowDicts,
    *,
    phases: Sequence[Phase] = PHASES,
    batch: int = 5,
    planned: int | None = None,
    end_ns: int = 0,
) -> list[Summary]:
    collection = Collection(STEPS, SECOND_NS, phases=phases)
    for at in range(0, len(rows), batch):
        collection.add(as_rows(rows[at : at + batch]))
    return list(collection.finish(end_ns, planned))


def phase_of(due_ns: int) -> str:
    """By the rule as it is documented, one row at a time."""
    for phase in PHASES[:-1]:
        if phase.end_ns is None or due_ns <= phase.end_ns:
            return phase.name
    return PHASES[-1].name


@given(rows=row_lists, batch=st.integers(1, 30))
def test_a_row_is_of_the_phase_it_was_due_in(rows: RowDicts, batch: int) -> None:
    final = summaries(rows, batch=batch)[-1]
    assert [phase.name for phase in final.phases] == [phase.name for phase in PHASES]
    for phase in final.phases:
        alone = final_of([row for row in rows if phase_of(row["due_ns"]) == phase.name])
        assert phase.steps == alone.steps
        assert attrs.evolve(phase.sessions, planned=None) == alone.sessions


@given(rows=row_lists)
def test_what_is_judged_is_all_but_the_warmup(rows: RowDicts) -> None:
    final = summaries(rows)[-1]
    measured = [row for row in rows if phase_of(row["due_ns"]) in ("base", "peak")]
    assert final.steps == final_of(measured).steps
    assert final.load == final_of(rows).total


@given(rows=row_lists)
def test_sessions_series_and_peaks_are_of_the_whole_run(rows: RowDicts) -> None:
    final, plain = summaries(rows, planned=len(rows))[-1], final_of(rows, planned=len(rows))
    assert final.sessions == plain.sessions
    assert np.array_equal(final.series.rows, plain.series.rows)
    assert final.held_sessions == plain.held_sessions
    assert final.skipped_steps == plain.skipped_steps
    assert final.peak_in_flight == plain.peak_in_flight


@given(rows=row_lists)
def test_phases_of_intervals_add_up_to_those_of_the_run(rows: RowDicts) -> None:
    first, *rest, final = summaries([request(), *rows])
    added = first.merge(rest)
    assert added.steps == final.steps
    found = {phase.name: phase for phase in added.phases}
    for phase in final.phases:
        if phase.name in found:
            assert found[phase.name].steps == phase.steps
            assert found[phase.name].sessions == attrs.evolve(phase.sessions, planned=None)
        else:
            assert not phase.total.requests
            assert phase.sessions == Ledger()


@given(rows=row_lists, shards=st.integers(2, 3))
def test_phases_of_shards_add_up_to_those_of_the_whole(rows: RowDicts, shards: int) -> None:
    parts = [
        summaries(rows[index::shards], planned=len(rows[index::shards]), end_ns=9 * SECOND_NS)[-1]
        for index in range(shards)
    ]
    whole = summaries(rows, planned=len(rows), end_ns=9 * SECOND_NS)[-1]
    assert parts[0].merge(parts[1:]).phases == whole.phases
    assert parts[0].merge(parts[1:]).steps == whole.steps


def test_what_is_due_when_two_phases_meet_is_of_the_first() -> None:
    times_ns = (0, 1, SECOND_NS, SECOND_NS + 1, 2_500_000_000, 9 * SECOND_NS)
    final = summaries([request(time_ns) for time_ns in times_ns])[-1]
    assert [phase.total.requests for phase in final.phases] == [3, 2, 0, 1]


def test_a_session_that_goes_on_is_counted_request_by_request() -> None:
    rows = [
        request(900_000_000, flags=Flag.FIRST | Flag.SUCCESS, step=0),
        request(1_100_000_000, flags=Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS, step=1),
    ]
    final = summaries(rows, planned=1)[-1]
    warm, base, *_ = final.phases
    assert [step.requests for step in warm.steps] == [1, 0, 0]
    assert [step.requests for step in base.steps] == [0, 1, 0]
    assert (warm.sessions.started, warm.sessions.succeeded) == (1, 0)
    assert (base.sessions.started, base.sessions.succeeded) == (0, 1)
    assert final.sessions.check() == []


def test_arrivals_of_a_phase_are_planned_in_it() -> None:
    rows = [request(5), not_started(6, Flag.DROPPED), not_started(SECOND_NS + 1, Flag.CANCELLED)]
    final = summaries(rows, planned=3)[-1]
    assert [phase.sessions.planned for phase in final.phases] == [2, 1, 0, 0]
    closed = summaries(rows)[-1]
    assert [phase.sessions.planned for phase in closed.phases] == [None] * 4


def test_a_phase_ends_where_the_run_does_and_one_that_never_came_has_no_length() -> None:
    final = summaries([request(2 * SECOND_NS)], end_ns=2_200_000_000)[-1]
    assert [(phase.start_ns, phase.end_ns) for phase in final.phases] == [
        (0, SECOND_NS),
        (SECOND_NS, 2_200_000_000),
        (2_500_000_000, 2_500_000_000),
        (3 * SECOND_NS, 3 * SECOND_NS),
    ]
    assert final.phases[-1].rate_per_s == 0


def test_the_rate_leaves_the_time_of_warmup_out_too() -> None:
    rows = [request(number * SECOND_NS // 10 + 1) for number in range(60)]
    final = summaries(rows, end_ns=6 * SECOND_NS)[-1]
    assert (final.measured_s, final.duration_s) == (4.5, 6.0)
    assert final.rate_per_s == 45 / 4.5
    assert [phase.rate_per_s for phase in final.phases] == [10, 10, 10, 10]


def test_intervals_know_the_phases_in_them_and_the_load() -> None:
    rows = [request(number * SECOND_NS // 10 + 1) for number in range(40)]
    *intervals, _ = summaries(rows)
    names = [[phase.name for phase in interval.phases] for interval in intervals]
    assert names[:4] == [["warm"], ["base"], ["base", "cool"], ["peak"]]
    assert [interval.total.requests for interval in intervals[:3]] == [0, 10, 5]
    assert [interval.load.requests for interval in intervals[:3]] == [10, 10, 10]
    assert [interval.measured_s for interval in intervals[:3]] == [0, 1, 0.5]
    assert [interval.rate_per_s for interval in intervals[:3]] == [0, 10, 10]
    assert [interval.load_per_s for interval in intervals[:3]] == [10, 10, 10]


def test_progress_and_interval_lines_show_the_load_of_warmup() -> None:
    warm, *_ = summaries([request(number) for number in range(200)], end_ns=SECOND_NS)
    assert format_progress(warm).startswith("     1s      200/s  ok    200  failed    0  p50 5.00")
    assert [COLUMNS[name](warm) for name in ("requests", "rate_per_s")] == ["200", "200.0"]
    assert float(COLUMNS["response_p99_ms"](warm)) == pytest.approx(5, rel=1e-3)


def test_a_run_without_phases_has_none() -> None:
    final = final_of([request()])
    assert final.phases == ()
    assert final.load is final.total
    assert final.measured_s == final.duration_s
    assert "warm-up" not in format_summary(final, make_context().run)


def test_summaries_of_phases_survive_pickling() -> None:
    final = summaries([request(), request(2 * SECOND_NS)])[-1]
    assert pickle.loads(pickle.dumps(final.phases)) == final.phases


# Validity.

LATE_NS = 3 * SECOND_NS


def test_lag_in_warmup_does_not_make_a_run_invalid() -> None:
    rows = [request(5, start_ns=LATE_NS), request(SECOND_NS + 1)]
    assert find(summaries(rows, planned=2)[-1]) == ()
    assert "started late" in find(final_of(rows, planned=2))[0].text


def test_lag_in_a_measured_phase_does() -> None:
    rows = [request(5), request(SECOND_NS + 1, start_ns=LATE_NS)]
    assert "started late" in find(summaries(rows, planned=2)[-1])[0].text


def test_arrivals_dropped_in_warmup_are_not_held_against_the_rate() -> None:
    rows = [not_started(5, Flag.DROPPED), request(SECOND_NS + 1)]
    assert find(summaries(rows, planned=2)[-1], Validity(min_rate=1)) == ()
    rows = [request(5), not_started(SECOND_NS + 1, Flag.DROPPED)]
    assert "only 0 % of" in find(summaries(rows, planned=2)[-1], Validity(min_rate=1))[0].text


def test_an_arrival_lost_in_warmup_breaks_the_law() -> None:
    (finding,) = find(summaries([request(SECOND_NS + 1)], planned=2)[-1])
    assert finding.is_fatal
    assert "sessions got lost" in finding.text


def test_a_run_that_was_all_warmup_says_so() -> None:
    (finding,) = find(summaries([request(5)], planned=1)[-1])
    assert (finding.text, finding.is_fatal) == (
        "no request was measured: all were warm-up",
        False,
    )


# On the page and in the file.

TABLE = """
phase                requests        ok  failed   rate/s     p50     p95     p99
warm (warm-up)            100       100       0      100 5.00 ms 5.00 ms 5.00 ms
base                       15        14       1       10 5.00 ms       -       -
cool (warm-up)              5         5       0       10 5.00 ms       -       -
peak                       10        10       0       10 5.00 ms       -       -
warm-up is in no other number of requests or latency on this page

lag """


def page_rows() -> RowDicts:
    warm = [request(number * SECOND_NS // 100 + 1) for number in range(100)]
    rest = [request(number * SECOND_NS // 10 + 1) for number in range(10, 40)]
    rest[0] = request(SECOND_NS + 1, flags=Flag.FIRST | Flag.LAST, status=503)
    return [*warm, *rest]


def test_the_page_has_a_line_for_each_phase() -> None:
    page = format_summary(summaries(page_rows(), end_ns=4 * SECOND_NS)[-1], make_context().run)
    assert TABLE in page
    assert "total                         25          24           1          10" in page


@given(row_lists)
def test_no_line_is_wider_than_eighty_columns(rows: RowDicts) -> None:
    phases = [attrs.evolve(phase, name=f"{phase.name} as long as can be") for phase in PHASES]
    page = format_summary(summaries(rows, phases=phases)[-1], make_context().run)
    assert max(len(line) for line in page.splitlines()) <= WIDTH


@settings(max_examples=20)
@given(row_lists)
def test_results_with_phases_have_exactly_the_keys_of_the_schema(rows: RowDicts) -> None:
    *_, interval, final = summaries([*rows, request(5)], planned=len(rows) + 1)
    for summary in (interval, final):
        document = result_document(summary, make_context().run)
        jsonschema.validate(document, result_schema())
        assert len(document["phases"]) == len(summary.phases) > 0


def test_the_result_has_each_phase_on_a_line() -> None:
    document = result_document(summaries(page_rows())[-1], make_context().run)
    assert (document["Total"], document["Failure"]) == (25, 1)
    assert document["sessions"]["started"] == 130
    found = [
        (phase["name"], phase["warmup"], phase["requests"], phase["failures"])
        for phase in document["phases"]
    ]
    assert found == [
        ("warm", True, 100, 0),
        ("base", False, 15, 1),
        ("cool", True, 5, 0),
        ("peak", False, 10, 0),
    ]
    assert document["phases"][1]["steps"][0]["latency"]["response"]["count"] == 15
    assert sum(line.startswith('    {"name": "warm"') for line in result_text(document).split("\n"))
