"""Rows by time and latency, in bounded memory."""

import numpy as np
import pytest

from flux.report.grid import CODES, TIME_BINS, Grid, codes_of, edges_ms
from flux.schemas import ErrorCode, Flag
from tests.outcomes import SECOND_NS, as_rows, collect_all, not_started, request
from tests.report.making import grid_of, some_rows


def test_every_request_is_counted_once_however_long_the_run() -> None:
    for length_s in (1, 60, 100_000):
        grid = grid_of(some_rows(2000, length_s))
        assert grid.bins <= TIME_BINS
        assert grid.requests == grid.ended.sum() == 2000
        assert grid.latencies["response"].sum() == 2000
        assert grid.bins * grid.width_ns >= length_s * SECOND_NS * 0.99


def test_batches_make_the_same_grid_as_one() -> None:
    rows = some_rows()
    one, several = grid_of(rows), Grid().add_all(np.array_split(rows, 13))
    assert (one.width_ns, one.bins) == (several.width_ns, several.bins)
    for name, counts in one.latencies.items():
        assert np.array_equal(counts, several.latencies[name])


def test_a_coarser_grid_has_the_same_requests() -> None:
    grid = grid_of()
    coarse = grid.coarser(50)
    assert coarse.bins <= 50
    assert coarse.width_ns % grid.width_ns == 0
    assert coarse.ended.sum() == grid.ended.sum()


def test_arrivals_that_never_started_are_no_requests() -> None:
    grid = grid_of(as_rows([request(), not_started(0, Flag.DROPPED)]))
    assert grid.requests == 1


def test_requests_that_were_cut_have_no_latency() -> None:
    cut = request(flags=Flag.FIRST | Flag.LAST | Flag.ABORTED, error=int(ErrorCode.ABORTED))
    grid = grid_of(as_rows([request(), cut]))
    assert (grid.requests, grid.latencies["response"].sum()) == (2, 1)
    assert grid.errors[:, ErrorCode.ABORTED].sum() == 1


def test_a_session_that_waited_for_a_place_has_no_lag() -> None:
    grid = grid_of(as_rows([request(flags=Flag.FIRST | Flag.LAST | Flag.HELD | Flag.SUCCESS)]))
    assert grid.latencies["lag"].sum() == 0


def test_lag_is_that_of_the_first_request_of_a_session_as_everywhere() -> None:
    later = request(start_ns=9, flags=Flag.LAST | Flag.SUCCESS)
    cut = request(start_ns=9, flags=Flag.FIRST | Flag.ABORTED, error=int(ErrorCode.ABORTED))
    rows = as_rows([request(start_ns=7), later, cut])
    grid = grid_of(rows)
    assert grid.latencies["lag"].sum() == collect_all([rows])[-1].total.lag.count == 2
    assert grid.extremes_ns["lag"] == (7, 9)


def test_percentiles_are_right_within_the_promise() -> None:
    random = np.random.default_rng(7)
    durations_ns = np.rint(random.lognormal(16, 1.5, 5000)).astype(np.int64)
    rows = as_rows([request(0, int(one)) for one in durations_ns])
    grid = grid_of(rows).coarser(1, 10**15)
    for percent, found in zip((50, 95, 99), grid.percentiles_ms("response", (50, 95, 99))):
        exact_ms = np.sort(durations_ns)[int(np.ceil(50 * percent)) - 1] / 1e6
        assert found[0] == pytest.approx(exact_ms, rel=0.016)


def test_bins_without_requests_have_no_percentile() -> None:
    grid = grid_of(as_rows([request(0), request(10 * SECOND_NS)]))
    (found,) = grid.percentiles_ms("response", [50])
    assert np.isnan(found[grid.bins // 2])


def test_a_duration_lies_between_the_edges_of_its_bin() -> None:
    durations_ns = np.unique(np.geomspace(1000, 3.6e12, 10_000).astype(np.int64))
    codes = codes_of(durations_ns)
    assert (edges_ms(codes) <= durations_ns / 1e6 * (1 + 1e-12)).all()
    assert (durations_ns / 1e6 <= edges_ms(codes + 1) * (1 + 1e-12)).all()
    assert codes_of(np.array([-5, 0, 10**18])).tolist() == [0, 0, CODES - 1]
