"""Facts about flux.histogram; HdrHistogram's Python port is the oracle wherever it is right."""

import base64
import math
import pickle
import struct
import zlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.errors import FluxError
from flux.histogram import (
    COUNTS_LENGTH,
    HIGHEST_NS,
    Histogram,
    HistogramSet,
    decode,
    encode,
    layout,
    log_header,
    log_line,
    percentile_distribution,
    read_log,
)
from flux.histogram.codec import encode_inner, inflate

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_LOG = (GOLDEN / "golden.hlog").read_text().splitlines()

# Every magnitude alike, and every edge of a bucket give or take a nanosecond.
_MAGNITUDES = st.integers(0, 41).flatmap(lambda e: st.integers(2**e - 1, 2 ** (e + 1)))
_EDGES = st.builds(
    lambda index, nudge: int(layout.lowest_us(np.array([index]))[0]) * 1000 - 500 + nudge,
    st.integers(1, 23_220),
    st.integers(-1, 1),
)
DURATIONS = st.one_of(_MAGNITUDES, _EDGES).map(lambda value_ns: min(value_ns, HIGHEST_NS))
COLUMNS = st.lists(DURATIONS, min_size=1, max_size=200)
ANYTHING = st.lists(st.integers(-(2**62), 2**62) | DURATIONS, max_size=50)


def _column(values: list[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _recorded(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record(_column(values))
    return histogram


def _oracle(values: list[int]) -> HdrHistogram:
    oracle = HdrHistogram(1, 3_600_000_000, 3)
    for value_ns in values:
        assert oracle.record_value((value_ns + 500) // 1000)
    return oracle


def _counts_of(oracle: HdrHistogram) -> list[int]:
    return [oracle.get_count_at_index(index) for index in range(oracle.counts_len)]


# --- layout and recording ---------------------------------------------------------------------


def test_layout_has_the_shape_of_hdr_histogram() -> None:
    oracle = HdrHistogram(1, 3_600_000_000, 3)
    assert (oracle.bucket_count, oracle.sub_bucket_count) == (layout.BUCKETS, layout.SUB_BUCKETS)
    assert oracle.counts_len == COUNTS_LENGTH == 23552


def test_layout_bounds_are_those_of_hdr_histogram() -> None:
    oracle = HdrHistogram(1, 3_600_000_000, 3)
    indexes = np.arange(0, COUNTS_LENGTH, 7)
    lowest_us = [oracle.get_value_from_index(int(index)) for index in indexes]
    assert layout.lowest_us(indexes).tolist() == lowest_us
    highest_us = [oracle.get_highest_equivalent_value(value) for value in lowest_us]
    assert layout.highest_us(indexes).tolist() == highest_us


def test_layout_puts_both_bounds_of_every_bucket_into_it() -> None:
    indexes = np.arange(layout.index_of(HIGHEST_NS))
    np.testing.assert_array_equal(layout.indexes_of(layout.lowest_us(indexes) * 1000), indexes)
    np.testing.assert_array_equal(
        layout.indexes_of(layout.highest_us(indexes) * 1000 + 499), indexes
    )


def test_layout_buckets_follow_each_other_without_gap() -> None:
    indexes = np.arange(COUNTS_LENGTH)
    np.testing.assert_array_equal(
        layout.highest_us(indexes[:-1]) + 1, layout.lowest_us(indexes[1:])
    )


@given(COLUMNS)
def test_counts_are_those_of_hdr_histogram(values: list[int]) -> None:
    assert _recorded(values).counts.tolist() == _counts_of(_oracle(values))


@given(ANYTHING)
def test_minimum_maximum_sum_and_count_are_exact(values: list[int]) -> None:
    histogram = _recorded(values)
    assert histogram.count == len(values) == histogram.counts.sum()
    assert histogram.sum_ns == sum(values)
    assert histogram.min_ns == min(values, default=0)
    assert histogram.max_ns == max(values, default=0)
    assert histogram.mean_ns == (sum(values) / len(values) if values else 0.0)


def test_half_a_microsecond_rounds_up() -> None:
    indexes, counts = _recorded([0, 499, 500, 999, 1499, 1500]).filled()
    assert (indexes.tolist(), counts.tolist()) == ([0, 1, 2], [2, 3, 1])


def test_values_out_of_range_count_at_the_ends() -> None:
    histogram = _recorded([-1, -5_000, 7_000, HIGHEST_NS, HIGHEST_NS + 1, 2**62])
    assert (histogram.below_range, histogram.over_range) == (2, 2)
    indexes, counts = histogram.filled()
    assert indexes.tolist() == [0, 7, layout.index_of(HIGHEST_NS)]
    assert counts.tolist() == [2, 1, 3]
    assert histogram.percentiles([0, 100]).tolist() == [-5_000, 2**62]


def test_record_takes_batches_longer_than_a_chunk() -> None:
    values_ns = np.random.default_rng(7).integers(0, HIGHEST_NS, 3 * layout.CHUNK + 1)
    whole, pieces = Histogram(), Histogram()
    whole.record(values_ns)
    for piece_ns in np.array_split(values_ns, 100):
        pieces.record(piece_ns)
    assert whole == pieces
    assert whole.sum_ns == values_ns.sum()


def test_record_takes_a_column_of_a_structured_array_as_it_is() -> None:
    rows = np.zeros(5, dtype=[("status", np.int32), ("took_ns", np.int64)])
    rows["took_ns"] = [1_000, 2_000, 3_000, 4_000, 5_000]
    rows.setflags(write=False)
    histogram = Histogram()
    histogram.record(rows["took_ns"])
    assert histogram == _recorded([1_000, 2_000, 3_000, 4_000, 5_000])


# --- reading ----------------------------------------------------------------------------------


def test_empty_histogram_answers_zero() -> None:
    empty = Histogram()
    empty.record(_column([]))
    assert (empty.count, empty.min_ns, empty.max_ns, empty.mean_ns) == (0, 0, 0, 0.0)
    assert empty.percentiles([0, 50, 100]).tolist() == [0, 0, 0]
    assert (empty.percentile(99), empty.standard_deviation_ns()) == (0, 0.0)
    assert empty.count_at_or_below(10**9) == 0
    assert percentile_distribution(empty).count("\n") == 5


@given(COLUMNS, st.decimals(0, 100, places=3))
def test_percentile_is_the_top_of_the_bucket_of_its_rank(
    values: list[int], percent: Decimal
) -> None:
    # Exact arithmetic on the decimal that the user wrote, not on the nearest double.
    rank = max(math.ceil(Fraction(percent) * len(values) / 100), 1)
    value_ns = sorted(values)[rank - 1]
    top_ns = int(layout.highest_us(layout.indexes_of(_column([value_ns])))[0]) * 1000
    if percent == 0:
        top_ns = min(values)
    elif layout.index_of(value_ns) == layout.index_of(max(values)):
        top_ns = max(values)
    expected_ns = min(max(top_ns, min(values)), max(values))
    assert _recorded(values).percentile(float(percent)) == expected_ns


@given(st.lists(DURATIONS, min_size=100, max_size=100), st.integers(1, 99))
@settings(max_examples=30)
def test_percentile_agrees_with_hdr_histogram(values: list[int], percent: int) -> None:
    # With 100 values the rank is whole, where the port's rounding and HdrHistogram's ⌈⌉ are one.
    expected_us = _oracle(values).get_value_at_percentile(percent)
    actual_ns = _recorded(values).percentile(percent)
    assert actual_ns == min(max(expected_us * 1000, min(values)), max(values)) or (
        actual_ns == max(values)
        and layout.index_of(actual_ns) == layout.index_of(expected_us * 1000)
    )


@given(COLUMNS, st.floats(0, 100))
def test_percentile_errs_by_a_bucket_at_most(values: list[int], percent: float) -> None:
    rank = max(math.ceil(Fraction(percent) * len(values) / 100), 1)
    # One rank lower or higher is allowed for: percent is any double here, not a short decimal.
    near = sorted(values)[max(rank - 2, 0) : rank + 1]
    actual_ns = _recorded(values).percentile(percent)
    assert near[0] - 500 <= actual_ns <= near[-1] * (1 + 1 / layout.HALF) + 500


@given(ANYTHING, st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_percentiles_are_monotone_and_within_the_extremes(
    values: list[int], percents: list[float]
) -> None:
    histogram = _recorded(values)
    answers_ns = histogram.percentiles([0, *sorted(percents), 100])
    assert np.all(np.diff(answers_ns.astype(object)) >= 0)
    assert answers_ns[0] == histogram.min_ns
    assert answers_ns[-1] == histogram.max_ns


@pytest.mark.parametrize(("percent", "rank"), [(99.9, 999), (99.8, 998), (55.0, 550), (7.0, 70)])
def test_whole_rank_is_not_pushed_to_the_next_by_rounding(percent: float, rank: int) -> None:
    histogram = _recorded([value_us * 1000 for value_us in range(1, 1001)])
    assert histogram.percentile(percent) == rank * 1000


@given(COLUMNS)
@settings(max_examples=10)  # the port walks all its buckets in pure Python
def test_standard_deviation_is_that_of_hdr_histogram(values: list[int]) -> None:
    expected_ns = _oracle(values).get_stddev() * 1000
    # The port takes the middle of a bucket as ours does; only the order of additions differs.
    assert _recorded(values).standard_deviation_ns() == pytest.approx(expected_ns, rel=1e-6, abs=1)


@given(COLUMNS, DURATIONS)
def test_count_at_or_below_errs_only_within_the_bucket(values: list[int], value_ns: int) -> None:
    index = layout.index_of(value_ns)
    certainly = sum(layout.index_of(value) < index for value in values)
    possibly = sum(layout.index_of(value) <= index for value in values)
    assert certainly <= _recorded(values).count_at_or_below(value_ns) <= possibly


def test_count_at_or_below_counts_none_below_the_minimum_and_all_at_the_maximum() -> None:
    histogram = _recorded([10_000_000, 10_000_100])
    counts = [histogram.count_at_or_below(at) for at in (9_999_999, 10_000_000, 10_000_100)]
    assert counts == [0, 2, 2]


# --- merging and groups -----------------------------------------------------------------------


@given(ANYTHING, ANYTHING)
def test_merge_is_the_histogram_of_all_values(first: list[int], second: list[int]) -> None:
    merged = _recorded(first)
    merged += _recorded(second)
    assert merged == _recorded(first + second)


@given(ANYTHING)
def test_copy_is_equal_and_independent(values: list[int]) -> None:
    original = _recorded(values)
    twin = original.copy()
    assert twin == original
    twin.record(_column([1_000]))
    assert twin != original
    assert original == _recorded(values)


@given(ANYTHING)
def test_pickle_keeps_everything(values: list[int]) -> None:
    original = _recorded(values)
    loaded = pickle.loads(pickle.dumps(original))
    assert loaded == original
    loaded.record(_column([1_000]))
    assert loaded == _recorded([*values, 1_000])


def test_pickle_is_small() -> None:
    histogram = Histogram()
    histogram.record(np.random.default_rng(3).integers(1_000_000, 2_000_000, 100_000))
    assert histogram.counts.nbytes == 188_416
    assert len(pickle.dumps(histogram)) < 5_000


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-(2**62), 2**62) | DURATIONS), max_size=80)
)
def test_grouped_record_equals_separate_records(rows: list[tuple[int, int]]) -> None:
    together = HistogramSet(4)
    groups = np.array([group for group, _ in rows], dtype=np.int32)
    together.record(_column([value for _, value in rows]), groups)
    for group, histogram in enumerate(together):
        assert histogram == _recorded([value for of, value in rows if of == group])
    assert together.total() == _recorded([value for _, value in rows])
    assert groups.tolist() == [group for group, _ in rows]


def test_grouped_record_takes_batches_longer_than_a_chunk() -> None:
    generator = np.random.default_rng(5)
    values_ns = generator.integers(0, HIGHEST_NS, 2 * layout.CHUNK + 5)
    groups = generator.integers(0, 3, values_ns.size)
    together = HistogramSet(3)
    together.record(values_ns, groups)
    for group in range(3):
        assert together[group] == _recorded(values_ns[groups == group].tolist())


@pytest.mark.parametrize("wrong", [-1, 2])
def test_grouped_record_refuses_a_batch_with_an_unknown_group(wrong: int) -> None:
    together = HistogramSet(2)
    with pytest.raises(IndexError, match=f"group must be from 0 to 1, got {wrong}"):
        together.record(_column([1_000, 2_000]), np.array([0, wrong]))
    assert together == HistogramSet(2)


def test_grouped_record_refuses_columns_of_different_length() -> None:
    with pytest.raises(ValueError, match="equally long, got 2 and 1"):
        HistogramSet(2).record(_column([1_000, 2_000]), np.array([0]))


def test_histograms_of_a_set_are_live_also_after_pickling() -> None:
    original = HistogramSet(2)
    original.record(_column([5_000, 6_000]), np.array([0, 1]))
    for together in (original, original.copy(), pickle.loads(pickle.dumps(original))):
        together[1].record(_column([7_000]))
        together.record(_column([8_000]), np.array([1]))
        assert together[0] == _recorded([5_000])
        assert together[1] == _recorded([6_000, 7_000, 8_000])


def test_sets_merge_group_by_group() -> None:
    first, second = HistogramSet(2), HistogramSet(2)
    first.record(_column([5_000, 6_000]), np.array([0, 1]))
    second.record(_column([7_000]), np.array([1]))
    first += second
    assert [histogram.sum_ns for histogram in first] == [5_000, 13_000]
    with pytest.raises(ValueError, match="same groups, got 2 and 3"):
        first.merge(HistogramSet(3))


# --- the V2 codec -----------------------------------------------------------------------------


@given(COLUMNS)
def test_hdr_histogram_decodes_what_we_encode(values: list[int]) -> None:
    histogram = _recorded(values)
    assert encode(histogram).startswith("HISTFAAA")
    theirs = HdrHistogram.decode(encode(histogram))
    assert _counts_of(theirs) == histogram.counts.tolist()


@given(COLUMNS)
def test_we_decode_what_hdr_histogram_encodes(values: list[int]) -> None:
    ours = decode(_oracle(values).encode().decode())
    np.testing.assert_array_equal(ours.counts, _recorded(values).counts)
    assert ours.count == len(values)


@given(ANYTHING)
def test_codec_round_trip_keeps_the_counts_and_nears_the_rest(values: list[int]) -> None:
    original = _recorded(values)
    decoded = decode(encode(original))
    np.testing.assert_array_equal(decoded.counts, original.counts)
    assert encode(decoded) == encode(original)
    assert layout.index_of(decoded.min_ns) == layout.index_of(original.min_ns)
    assert layout.index_of(decoded.max_ns) == layout.index_of(original.max_ns)


@pytest.mark.parametrize("count", [1, 63, 64, 8191, 8192, 2**55 - 1, 2**55, 2**62, 2**63 - 1])
def test_counts_of_every_length_survive_the_codec(count: int) -> None:
    # Zigzag doubles a count: from 2**55 on it takes the ninth byte, which has no top bit to spare.
    histogram = Histogram.from_counts(_column([0, 0, count]))
    assert decode(encode(histogram)).counts[2] == count


def test_decoded_sum_is_that_of_the_middles() -> None:
    original = Histogram()
    original.record(np.random.default_rng(1).integers(0, HIGHEST_NS, 1000))
    # A middle is at most 1/2048 away from the values of its bucket.
    assert decode(encode(original)).mean_ns == pytest.approx(original.mean_ns, rel=1 / 2048)


def test_buckets_past_one_hour_decode_as_over_range() -> None:
    theirs = HdrHistogram(1, 4_000_000_000, 3)
    theirs.record_value(1_000)
    theirs.record_value(3_900_000_000)
    ours = decode(theirs.encode().decode())
    assert (ours.count, ours.over_range) == (2, 1)
    assert ours.counts[layout.index_of(HIGHEST_NS)] == 1
    assert ours.max_ns >= 3_900_000_000_000


def _text(inner: bytes, cookie: int = 0x1C849314) -> str:
    compressed = zlib.compress(inner)
    return base64.b64encode(struct.pack(">II", cookie, len(compressed)) + compressed).decode()


def _inner(counts: bytes, cookie: int = 0x1C849313, digits: int = 3, lowest: int = 1) -> bytes:
    fields = (cookie, len(counts), 0, digits, lowest, 3_600_000_000, 1.0)
    return struct.pack(">IIIIQQd", *fields) + counts


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("HISTFAAA!", "must be base64"),
        ("é", "must be base64"),
        ("", "must start with HISTFAAA"),
        (_text(_inner(b"\x02"), cookie=1), "must start with HISTFAAA, got AAAAAQ"),
        (_text(_inner(b"\x02"))[:40], "must be whole"),
        (base64.b64encode(struct.pack(">II4s", 0x1C849314, 4, b"none")).decode(), "must be whole"),
        (_text(b"short"), "must have 40 bytes, got 5"),
        (_text(_inner(b"\x02", cookie=2)), "must have cookie 0x1c849313, got 0x2"),
        (_text(_inner(b"\x02", digits=2)), "3 digits and lowest value 1, got 2 and 1"),
        (_text(_inner(b"\x02", lowest=1000)), "lowest value 1, got 3 and 1000"),
        (_text(_inner(b"\x82")), "part of a count"),
        (_text(_inner(b"\xff" * 8 + b"\x7f" + b"\x02")), "at most 23552 counts"),
        (_text(_inner(b"\x02" * 23_553)), "at most 23552 counts"),
        (_text(_inner(b"\x02" * 300_000)), "must be whole"),
    ],
)
def test_damaged_text_is_refused(text: str, rule: str) -> None:
    with pytest.raises(FluxError, match=rule):
        decode(text)


# --- logs and distributions -------------------------------------------------------------------


def test_golden_log_encodes_again_to_the_same_bytes() -> None:
    texts = [line.rpartition(",")[2] for line in GOLDEN_LOG if "HISTF" in line]
    assert len(texts) == 2
    for text in texts:
        assert encode_inner(decode(text)) == inflate(text)


def test_golden_log_has_its_tags_and_intervals() -> None:
    untagged, tagged = read_log(GOLDEN_LOG)
    assert (untagged.tag, tagged.tag) == (None, "POST_/register")
    assert (untagged.start_s, untagged.length_s, untagged.max_ms) == (0.0, 1.0, 130.925)
    assert untagged.histogram == tagged.histogram
    assert untagged.histogram.count == 20_000


@pytest.mark.parametrize(("digits", "lowest"), [(3, 1), (2, 1), (3, 1000), (4, 1), (5, 7)])
@pytest.mark.parametrize("unit_ns", [1, 1000])
def test_logs_of_other_recorders_are_read_within_their_precision(
    digits: int, lowest: int, unit_ns: int
) -> None:
    recorder = HdrHistogram(lowest, 10**10, digits)
    values = np.random.default_rng(3).lognormal(13, 1.5, 2000).astype(np.int64) + 10_000
    for value in values.tolist():
        recorder.record_value(value)
    max_ms = recorder.get_max_value() * unit_ns / 1e6
    (interval,) = read_log([f"0.0,1.0,{max_ms:.3f},{recorder.encode().decode()}"])
    assert (interval.unit_ns, interval.histogram.count) == (unit_ns, 2000)
    for percent in (1, 50, 90, 99, 100):
        known_ns = recorder.get_value_at_percentile(percent) * unit_ns
        allowed_ns = known_ns * (10.0**-digits + 2 / 1024) + lowest * unit_ns + 1000
        assert abs(interval.histogram.percentile(percent) - known_ns) <= allowed_ns


def test_log_header_and_lines_are_those_of_the_golden_log() -> None:
    header = log_header(1_700_000_000.123)
    assert header.splitlines() == GOLDEN_LOG[:3]
    histogram = decode(GOLDEN_LOG[4].rpartition(",")[2])
    histogram.max_ns = 130_925_000
    line = log_line(histogram, 0.0, 1.0, tag="POST /register")
    assert line.rpartition(",")[0] == GOLDEN_LOG[4].rpartition(",")[0]


def test_log_reads_back_as_it_was_written() -> None:
    histogram = _recorded([1_234_567, 2_000_000])
    text = log_header(0.0, "two\nlines") + log_line(histogram, 2.5, 0.25, tag="a,b c\n")
    assert "#two lines\n" in text
    (interval,) = read_log(text.splitlines())
    assert (interval.tag, interval.start_s, interval.length_s) == ("a_b_c_", 2.5, 0.25)
    assert interval.max_ms == 2.0
    np.testing.assert_array_equal(interval.histogram.counts, histogram.counts)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("0.0,1.0,HISTFAAA", "line 2 .* must have 4 fields, got 3"),
        ("0.0,one,2.0,HISTFAAA", "line 2 .* could not convert string to float: 'one'"),
        ("0.0,1.0,2.0,HISTFAAA", "line 2 .* must start with HISTFAAA|line 2 .* must be whole"),
    ],
)
def test_log_names_the_line_that_it_cannot_read(line: str, rule: str) -> None:
    with pytest.raises(FluxError, match=rule):
        list(read_log(["#a comment", line]))


def test_distribution_is_the_one_that_java_prints() -> None:
    (histogram,) = [interval.histogram for interval in read_log(GOLDEN_LOG) if not interval.tag]
    assert percentile_distribution(histogram) == (GOLDEN / "golden.java.hgrm").read_text()


def test_distribution_ends_at_the_exact_maximum() -> None:
    text = percentile_distribution(_recorded([1_000_000, 130_925_000]), unit_us=1.0)
    assert "  130925.000 1.000000000000          2\n" in text
    assert "#[Mean    =    65962.500, " in text
