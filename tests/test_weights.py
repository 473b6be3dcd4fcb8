"""Choosing by weight: as often as the weights say, and the same however it is asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.weights import Weights

SEQS = np.arange(20_000, dtype=np.int64)

weights_lists = st.lists(st.floats(0.001, 1000), min_size=1, max_size=8)


@given(weights=weights_lists, seed=st.integers(0, 2**32), seq=st.integers(0, 2**40))
def test_one_by_one_and_many_at_once_choose_the_same(
    weights: list[float], seed: int, seq: int
) -> None:
    made = Weights(weights)
    (chosen,) = made.choose_array(seed, np.array([seq]), 5).tolist()
    assert made.choose(seed, seq, 5) == chosen
    assert 0 <= chosen < len(weights)


def test_each_is_chosen_as_often_as_its_weight_says() -> None:
    counts = np.bincount(Weights([1, 3, 6]).choose_array(7, SEQS, 5))
    # Four standard deviations of a binomial of 20,000 draws.
    assert counts / SEQS.size == pytest.approx([0.1, 0.3, 0.6], abs=4 * 0.5 / SEQS.size**0.5)


@pytest.mark.parametrize("weights", [[0.0, 1.0, 0.0, 2.0], [1.0, 0.0], [0.0, 1.0]])
def test_a_weight_of_0_is_never_chosen(weights: list[float]) -> None:
    chosen = set(Weights(weights).choose_array(7, SEQS, 5).tolist())
    assert chosen == {index for index, weight in enumerate(weights) if weight}


def test_the_shares_are_parts_of_1() -> None:
    assert Weights([1, 0, 3]).shares == pytest.approx((0.25, 0, 0.75))
