"""What all arrival generators have in common."""

import itertools
from typing import Any

import numpy as np
import pytest

from flux.arrivals import ArrivalGenerator
from flux.errors import FluxError
from flux.stage import Shard, random_stream
from flux.testing import plan_arrivals
from flux.units import Duration, Rate
from tests.stages.loading import load, load_sample, problems, stage_class

SECOND = 10**9
GENERATORS = ("constant", "uniform", "normal", "exponential", "poisson")

# Seed 7 at 20/s, nanoseconds. A change here changes every run that people want to repeat, so it
# needs a line in the changelog.
GOLDEN = {
    ("constant", ""): [50000000 * k for k in range(1, 11)],
    ("uniform", ""): [
        *(59244465, 98112700, 158142277, 200657271, 259562618),
        *(300891686, 336727449, 373976401, 414795597, 467083222),
    ],
    ("normal", ""): [
        *(43137918, 92161420, 120775467, 150199848, 184121143),
        *(242018060, 304951190, 356262335, 391138143, 443701364),
    ],
    ("exponential", ""): [
        *(48435661, 182466509, 209062158, 218049096, 239435980),
        *(304471651, 463929085, 538627513, 547714736, 548795588),
    ],
    ("poisson", ""): [
        *(9139627, 11979787, 19417221, 19852331, 37686717),
        *(164291714, 290590499, 311561181, 336185633, 341557632),
    ],
    ("poisson", "batch = 3"): [
        *(3302633, 3302633, 3302633, 16004013, 16004013),
        *(16004013, 45352157, 45352157, 45352157, 99946011),
    ],
}


@pytest.mark.parametrize(("use", "keys"), GOLDEN)
def test_the_first_arrivals_for_a_seed_never_change(use: str, keys: str) -> None:
    stage = load(use, f'rate = "20/s"\n{keys}')
    arrivals = plan_arrivals([stage], 10 * SECOND, seed=7)
    assert arrivals["due_ns"][:10].tolist() == GOLDEN[use, keys]


@pytest.mark.parametrize("use", GENERATORS)
def test_samples_load(use: str) -> None:
    assert isinstance(load_sample(use), ArrivalGenerator)


@pytest.mark.parametrize("use", GENERATORS)
def test_every_says_the_same_as_rate(use: str) -> None:
    by_rate, by_gap = load(use, 'rate = "20/s"'), load(use, 'every = "50ms"')
    np.testing.assert_array_equal(
        plan_arrivals([by_rate], 5 * SECOND), plan_arrivals([by_gap], 5 * SECOND)
    )


@pytest.mark.parametrize("use", GENERATORS)
def test_the_union_of_shards_is_the_whole(use: str) -> None:
    stages = [load(use, 'rate = "200/s"'), load("ramp", 'up = "3s"')]
    whole = plan_arrivals(stages, 5 * SECOND)
    shards = [plan_arrivals(stages, 5 * SECOND, shard=Shard(i, 3)) for i in range(3)]
    np.testing.assert_array_equal(np.sort(np.concatenate(shards), order="seq"), whole)


@pytest.mark.parametrize("use", GENERATORS)
def test_the_mean_gap_is_the_inverse_of_the_rate(use: str) -> None:
    # The standard deviation of the mean of 2^17 gaps is at most 1/362; four of them are allowed.
    mean = _mean_gap(load(use, 'rate = "1/s"'), 2**17)
    assert mean == pytest.approx(1.0, abs=4 / 362)


CLAMPED = [
    *itertools.product(
        GENERATORS, ['min = "50ms"\nmax = "10s"', 'min = "900ms"', 'max = "1100ms"', 'min = "3s"']
    ),
    *itertools.product(("uniform", "normal"), ["jitter = 1.0", 'jitter = 0.5\nmax = "800ms"']),
    ("normal", "jitter = 3"),
    ("normal", "jitter = 0"),
    ("uniform", "jitter = 0"),
    ("poisson", 'batch = 4\nmin = "2s"'),
    ("poisson", 'batch = 4\nmin = "1s"\nmax = "5s"'),
]


@pytest.mark.parametrize(("use", "keys"), CLAMPED)
def test_the_mean_gap_is_as_promised_after_clamping(use: str, keys: str) -> None:
    # The standard deviation of a gap is at most 2 (batches of 4), or 2.2 (jitter 3); so that of the
    # mean of 2^17 is at most 1/165. Four of them are allowed.
    stage = load(use, f'rate = "1/s"\n{keys}')
    assert _mean_gap(stage, 2**17) == pytest.approx(stage.mean_gap, abs=4 / 165)


@pytest.mark.parametrize("use", GENERATORS)
def test_bounds_are_kept(use: str) -> None:
    stage = load(use, 'rate = "10/s"\nmin = "80ms"\nmax = "130ms"')
    gaps = np.diff(plan_arrivals([stage], 20 * SECOND)["due_ns"])
    assert gaps.min() >= 80_000_000 - 1
    assert gaps.max() <= 130_000_000 + 1


@pytest.mark.parametrize("use", GENERATORS)
def test_a_rate_of_zero_sends_nothing(use: str) -> None:
    assert len(plan_arrivals([load(use, 'rate = "0/s"')], 5 * SECOND)) == 0
    assert load(use, 'rate = "0/s"').mean_gap is None


@pytest.mark.parametrize("use", GENERATORS)
def test_wrong_tables_are_told_why(use: str) -> None:
    assert problems(use) == ["needs either rate or every"]
    assert problems(use, 'rate = "1/s"\nevery = "1s"') == ["needs either rate or every"]
    assert problems(use, 'every = "0s"') == ["every must be at least 100ns"]
    assert problems(use, 'rate = "1/s"\nmin = "2s"\nmax = "1s"') == [
        "min must not be longer than max"
    ]
    assert problems(use, 'rate = "1/s"\nmax = "0s"') == [
        "max must be longer than 0s, or everything is due at once"
    ]
    assert problems(use, 'rate = "0/s"\nmax = "1s"') == [
        "rate must be greater than 0 where min or max bound the gaps"
    ]


@pytest.mark.parametrize("use", GENERATORS)
def test_a_count_ends_the_arrivals(use: str) -> None:
    stage = load(use, 'rate = "100/s"\ncount = 7')
    assert plan_arrivals([stage], 5 * SECOND)["seq"].tolist() == list(range(7))


@pytest.mark.parametrize("use", GENERATORS)
def test_gaps_do_not_depend_on_how_many_are_drawn(use: str) -> None:
    # A stage is configuration only: two streams of the same seed are the same.
    stage = load(use, 'rate = "1/s"')
    first, second = (stage.gap_blocks(random_stream(1, "s")) for _ in range(2))
    for _ in range(3):
        np.testing.assert_array_equal(next(first), next(second))


def test_gaps_that_are_all_zero_are_refused() -> None:
    class Stuck(stage_class("constant")):  # type: ignore[misc]  # the class is looked up by name
        def gaps(self, random: np.random.Generator, count: int) -> Any:
            return np.zeros(count)

    with pytest.raises(FluxError, match="draws nothing but gaps of 0"):
        plan_arrivals([Stuck(rate=Rate(1))], SECOND)


def test_the_own_duration_ends_the_arrivals_before_the_run_does() -> None:
    stage = stage_class("constant")(rate=Rate(10), duration=Duration.parse("2s"))
    assert len(plan_arrivals([stage], 5 * SECOND)) == 20


def _mean_gap(stage: ArrivalGenerator, count: int) -> float:
    blocks = stage.gap_blocks(random_stream(7, "gaps"))
    gaps = np.concatenate(list(itertools.islice(blocks, -(-count // 4096))))
    return float(gaps.mean())
