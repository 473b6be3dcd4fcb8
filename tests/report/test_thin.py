"""Fewer points: what stands out is still there."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flux.report.thin import evenly, thin

_VALUES = arrays.arrays(
    np.float64, st.integers(0, 300), elements=st.floats(-1e9, 1e9) | st.just(np.nan)
)


@given(_VALUES, st.integers(4, 60))
def test_thinned_values_are_few_and_in_order_and_keep_the_extremes(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], most: int
) -> None:
    kept = thin(values, most)
    assert kept.size <= max(most, 0)
    assert (np.diff(kept) > 0).all()
    if values.size:
        assert kept[0] == 0
        assert kept[-1] == values.size - 1
    known = values[~np.isnan(values)]
    if known.size:
        chosen = values[kept]
        assert np.nanmax(chosen) == known.max()
        assert np.nanmin(chosen) == known.min()


def test_a_single_spike_in_a_long_run_is_kept() -> None:
    values = np.ones(21_600)
    values[12_345] = 1e6
    kept = thin(values)
    assert 12_345 in kept
    assert kept.size <= 1000


def test_a_gap_stays_a_gap() -> None:
    values = np.ones(10_000)
    values[4000:6000] = np.nan
    kept = thin(values)
    assert np.isnan(values[kept]).any()


@given(st.integers(1, 5000), st.integers(2, 100))
def test_evenly_has_both_ends(size: int, most: int) -> None:
    chosen = evenly(size, most)
    assert chosen.size <= most
    assert (chosen[0], chosen[-1]) == (0, size - 1)
