"""Buckets agree with the histogram that they are made of, and add up."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flux.histogram import Histogram
from flux.metrics.buckets import Edges
from flux.metrics.otlp import exponential_edges

EDGES = Edges.of_seconds(0.001, 0.005, 0.1, 10)
durations = st.lists(st.integers(-5, 4 * 10**12), max_size=40)


def histogram_of(values_ns: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(values_ns, np.int64))
    return histogram


@given(durations)
def test_a_bucket_holds_what_the_histogram_says_is_not_above_its_edge(values_ns: list[int]) -> None:
    buckets = EDGES.count(histogram_of(values_ns))
    known = [
        sum(1 for value_ns in values_ns if is_at_or_below(value_ns, edge_ns))
        for edge_ns in EDGES.edges_ns
    ]
    assert buckets.below.tolist() == known
    assert (buckets.count, buckets.sum_ns) == (len(values_ns), sum(values_ns))


def is_at_or_below(value_ns: int, edge_ns: int) -> bool:
    one, edge = histogram_of([value_ns]), histogram_of([edge_ns])
    return int(one.filled()[0][0]) <= int(edge.filled()[0][0])


@given(st.lists(st.integers(0, 20 * 10**9), min_size=1, max_size=40))
def test_no_value_is_off_by_more_than_the_histogram_is(values_ns: list[int]) -> None:
    buckets = EDGES.count(histogram_of(values_ns))
    for edge_ns, below in zip(EDGES.edges_ns, buckets.below.tolist()):
        slack_ns = max(edge_ns / 1024, 500)
        surely = sum(value_ns <= edge_ns - slack_ns for value_ns in values_ns)
        perhaps = sum(value_ns <= edge_ns + slack_ns for value_ns in values_ns)
        assert surely <= below <= perhaps


@given(durations, durations)
def test_buckets_add_up_as_histograms_do(ours_ns: list[int], theirs_ns: list[int]) -> None:
    ours, theirs = EDGES.count(histogram_of(ours_ns)), EDGES.count(histogram_of(theirs_ns))
    both = EDGES.count(histogram_of(ours_ns + theirs_ns))
    assert ours + theirs == both
    assert both - theirs == ours


@given(durations)
def test_each_bucket_by_itself_adds_up_to_all(values_ns: list[int]) -> None:
    buckets = EDGES.count(histogram_of(values_ns))
    assert len(buckets.each) == len(EDGES.edges_ns) + 1
    assert sum(buckets.each) == len(values_ns)
    assert min(buckets.each) >= 0


def test_exponential_edges_ascend_from_a_microsecond_to_an_hour() -> None:
    edges_ns = exponential_edges().edges_ns
    assert edges_ns[0] < 1000 < edges_ns[1]
    assert edges_ns[-2] < 3600 * 10**9 < edges_ns[-1]
    assert all(low < high for low, high in itertools.pairwise(edges_ns))


def test_nothing_is_above_the_last_exponential_edge() -> None:
    assert exponential_edges().count(histogram_of([10**15])).each[-1] == 0
