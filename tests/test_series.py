"""The run row by row of time: placing, merging and widening."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.histogram import Histogram
from flux.series import COUNTS, PEAKS, Series, Sketch
from flux.timeline import Timeline
from tests.outcomes import SECOND_NS, as_rows, collect_all, final_of, row_lists

durations = st.lists(st.integers(1000, 60 * SECOND_NS), min_size=1, max_size=200)


@given(durations)
def test_a_sketch_is_right_within_two_per_cent(values_ns: list[int]) -> None:
    histogram = Histogram()
    histogram.record(np.array(values_ns))
    exact = np.percentile(values_ns, (50, 95, 99), method="inverted_cdf")
    sketched = Sketch.of(histogram).percentiles_ns((50, 95, 99))
    # Half a bucket of 1/32, and the microsecond that the histogram rounds to.
    assert (np.abs(sketched - exact) <= 0.016 * exact + 600).all()


@given(durations, durations)
def test_sketches_add_up(first_ns: list[int], second_ns: list[int]) -> None:
    parts = []
    both = Histogram()
    for values_ns in (first_ns, second_ns):
        histogram = Histogram()
        histogram.record(np.array(values_ns))
        both.merge(histogram)
        parts.append(Sketch.of(histogram))
    merged, whole = Sketch.merged(parts), Sketch.of(both)
    assert merged.codes.tolist() == whole.codes.tolist()
    assert merged.counts.tolist() == whole.counts.tolist()


@given(row_lists)
def test_widening_loses_no_count_and_no_peak(rows: list[dict[str, int]]) -> None:
    series = final_of(rows).series
    wide = series.widen(2 * SECOND_NS)
    for name in COUNTS:
        assert wide.rows[name].sum() == series.rows[name].sum()
    for name in (*PEAKS, "max_ns"):
        assert wide.rows[name].max(initial=0) == series.rows[name].max(initial=0)


def test_widths_that_do_not_fit_are_refused() -> None:
    series = final_of([{"end_ns": 1}]).series
    with pytest.raises(ValueError, match="must be a multiple of 1000000000 ns, got 1500000000"):
        series.widen(1_500_000_000)


def test_series_of_other_widths_merge_at_the_longer_one() -> None:
    rows = [as_rows([{"end_ns": second * SECOND_NS, "due_ns": second}]) for second in range(4)]
    fine = collect_all(rows)[-1].series
    coarse = collect_all(rows, interval_ns=2 * SECOND_NS)[-1].series
    merged = coarse.merge([fine])
    assert merged.width_ns == 2 * SECOND_NS
    assert merged.rows["requests"].tolist() == [4, 4]


def test_nothing_merges_with_nothing() -> None:
    assert len(Series().merge([Series(), Series()])) == 0


def test_a_gap_between_intervals_is_filled_with_empty_rows() -> None:
    *_, last = collect_all([as_rows([{"end_ns": 3 * SECOND_NS}])])[:-1]
    first = collect_all([as_rows([{"end_ns": 0}])])[0]
    merged = first.series.merge([last.series])
    assert merged.rows["start_ns"].tolist() == [second * SECOND_NS for second in range(4)]
    assert merged.rows["requests"].tolist() == [1, 0, 0, 1]


def test_a_long_run_gets_longer_rows_and_keeps_its_counts() -> None:
    timeline = Timeline(SECOND_NS, max_rows=8)
    histogram = Histogram()
    histogram.record(np.array([5_000_000]))
    for second in range(30):
        time_ns = second * SECOND_NS
        timeline.add(time_ns, requests=2)
        timeline.count("due", np.array([time_ns, time_ns + 1]))
        timeline.set_response(time_ns, histogram)
        timeline.requests.add(np.array([time_ns]), np.array([time_ns + SECOND_NS // 2]))
    series = timeline.series()
    assert series.width_ns == 4 * SECOND_NS
    assert series.rows["requests"].tolist() == series.rows["due"].tolist() == [8] * 7 + [4]
    assert series.rows["peak_in_flight"].tolist() == [1] * 8
    assert series.rows["max_ns"].tolist() == [5_000_000] * 8
    assert series.rows["p50_ns"] == pytest.approx([5_000_000] * 8, rel=0.016)


def test_one_far_time_does_not_take_memory() -> None:
    timeline = Timeline(SECOND_NS, max_rows=8)
    timeline.add(10**18, requests=1)
    series = timeline.series()
    assert len(series) <= 8
    assert series.rows["requests"].sum() == 1


def test_counts_are_in_the_row_they_belong_to_however_late_they_come() -> None:
    late = {"due_ns": 0, "start_ns": 100, "end_ns": 200, "flags": 1, "bytes_in": 9}
    batches = [as_rows([{"end_ns": 9 * SECOND_NS}]), as_rows([late])]
    rows = collect_all(batches)[-1].series.rows
    assert rows["requests"].tolist() == [1] + [0] * 8 + [1]
    assert rows["due"][0] == rows["started"][0] == 1
    assert rows["bytes_in"][0] == 9
