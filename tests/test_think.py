"""Think times: UF-14 to UF-16 once more, as pure functions of seed, user and iteration."""

import numpy as np
import pytest

from flux.config.problems import Violation
from flux.think import Think


@pytest.mark.parametrize("use", ["constant", "uniform", "normal", "exponential", "poisson"])
def test_the_mean_is_as_asked_for(use: str) -> None:
    # The standard deviation of the mean of 20,000 is at most 1/141; four are allowed.
    think = Think.from_toml({"use": use, "every": "1s"})
    mean = np.mean([think.draw_ns(7, user, 1) for user in range(20_000)]) / 1e9
    assert mean == pytest.approx(1.0, abs=4 / 141)


@pytest.mark.parametrize(
    ("use", "jitter", "deviation"),
    [("uniform", 1.0, 0.577), ("normal", 0.2, 0.2), ("exponential", None, 1.0)],
)
def test_the_spread_is_as_asked_for(use: str, jitter: float | None, deviation: float) -> None:
    table = {"use": use, "every": "1s"} | ({} if jitter is None else {"jitter": jitter})
    think = Think.from_toml(table)
    drawn = np.array([think.draw_ns(7, 3, done) for done in range(20_000)]) / 1e9
    assert drawn.std() == pytest.approx(deviation, rel=0.04)
    assert drawn.min() >= 0


def test_a_duration_is_a_constant_think_time() -> None:
    think = Think.from_toml("1500ms")
    assert {think.draw_ns(7, 0, done) for done in range(5)} == {1_500_000_000}


def test_bounds_are_kept() -> None:
    table = {"use": "exponential", "every": "1s", "min": "500ms", "max": "2s"}
    drawn = [Think.from_toml(table).draw_ns(7, 0, done) for done in range(500)]
    assert min(drawn) == 500_000_000
    assert max(drawn) == 2_000_000_000


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (True, "must be a duration or a table"),
        ("5", "must be a duration"),
        ({"use": "exponential"}, "is required"),
        ({"use": "gamma", "every": "1s"}, "must be one of"),
        ({"every": "1s", "jitter": 0.1}, "means nothing for constant"),
        ({"every": "1s", "min": "2s", "max": "1s"}, "must not be longer than max"),
        ({"every": "1s", "mean": "1s"}, "is not a known key"),
    ],
)
def test_wrong_values_are_told_why(value: object, rule: str) -> None:
    with pytest.raises(Violation, match=rule):
        Think.from_toml(value)


def test_several_problems_come_together() -> None:
    with pytest.raises(ExceptionGroup, match="think") as caught:
        Think.from_toml({"use": "gamma", "every": "x", "jitter": -1})
    assert [one.key for one in caught.value.exceptions if isinstance(one, Violation)] == [
        "use",
        "every",
        "jitter",
    ]
