"""What `--latency` and `--failures` take, and what they refuse."""

import random
from statistics import fmean, median

import pytest

from flux.errors import UsageError
from flux.gateway.behaviour import parse_behaviours, parse_failure_ratio, parse_latency

DRAWS = 4000


def _draw_s(text: str) -> list[float]:
    draw = parse_latency(text)
    generator = random.Random(7)
    return [draw(generator) for _ in range(DRAWS)]


@pytest.mark.parametrize(
    ("text", "lowest_s", "highest_s", "mean_s"),
    [
        ("constant:20ms", 0.020, 0.020, 0.020),
        ("constant:0s", 0.0, 0.0, 0.0),
        ("uniform:10ms-30ms", 0.010, 0.030, 0.020),
        ("uniform:5ms-5ms", 0.005, 0.005, 0.005),
        ("normal:20ms,2ms", 0.0, 0.040, 0.020),
        ("normal:20ms±2ms", 0.0, 0.040, 0.020),
        ("exponential:20ms", 0.0, 1.0, 0.020),
        # The mean of a lognormal is its median times exp(sigma² / 2).
        ("lognormal:20ms,0.5", 0.0, 1.0, 0.020 * 1.1331),
    ],
)
def test_latency_has_the_mean_and_the_range_of_its_form(
    text: str, lowest_s: float, highest_s: float, mean_s: float
) -> None:
    draws_s = _draw_s(text)
    assert lowest_s <= min(draws_s)
    assert max(draws_s) <= highest_s
    # The widest of these has a standard deviation equal to its mean: 4,000 draws put four standard
    # errors at 6.3 % of it.
    assert fmean(draws_s) == pytest.approx(mean_s, rel=0.065)


def test_lognormal_has_its_median() -> None:
    # The median's standard error is 1.25 σ / √n = 1 %; four of them.
    assert median(_draw_s("lognormal:20ms,0.5")) == pytest.approx(0.020, rel=0.04)


def test_normal_latency_is_never_negative() -> None:
    draws_s = _draw_s("normal:1ms,10ms")
    assert min(draws_s) == 0.0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "'' is not a latency"),
        ("20ms", "'20ms' is not a latency"),
        ("gamma:20ms", "'gamma:20ms' is not a latency"),
        ("Constant:20ms", "is not a latency"),
        ("constant", "latency 'constant': "),
        ("constant:20", "latency 'constant:20': "),
        ("constant:-1ms", "latency 'constant:-1ms': "),
        ("uniform:10ms", "two values parted by '-' are needed, got '10ms'"),
        ("uniform:30ms-10ms", "the lower bound must not pass the upper one, got 30ms-10ms"),
        ("normal:20ms", "two values parted by ',' are needed"),
        ("exponential:0ms", "the mean must be greater than 0, got 0ms"),
        ("lognormal:0ms,1", "the median must be greater than 0, got 0ms"),
        ("lognormal:20ms,-1", "sigma must be a number from 0 to 5, got '-1'"),
        ("lognormal:20ms,nan", "sigma must be a number from 0 to 5, got 'nan'"),
        ("lognormal:20ms,5ms", "sigma must be a number from 0 to 5, got '5ms'"),
    ],
)
def test_latency_that_breaks_a_rule_is_refused_with_an_example(text: str, rule: str) -> None:
    with pytest.raises(UsageError, match=r"(?s)hint: (for example|one of) ") as caught:
        parse_latency(text)
    assert rule in caught.value.message


@pytest.mark.parametrize(
    ("text", "ratio"), [("0", 0.0), ("0.05", 0.05), ("1", 1.0), ("1e-3", 1e-3)]
)
def test_failure_ratio_is_a_share(text: str, ratio: float) -> None:
    assert parse_failure_ratio(text) == ratio


@pytest.mark.parametrize("text", ["", "5%", "1.5", "-0.1", "nan", "inf", "half"])
def test_failure_ratio_outside_zero_to_one_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a failure ratio must be a number from 0 to 1, got"):
        parse_failure_ratio(text)


def test_behaviours_are_found_by_endpoint() -> None:
    behaviours = parse_behaviours(["health=constant:1ms"], ["register=0.5"])
    assert behaviours["register"].failure_ratio == 0.5
    assert behaviours["register"].draw_latency_s is None
    assert behaviours["health"].failure_ratio == 0.0
    assert behaviours["health"].draw_latency_s is not None
    assert set(behaviours) == {"health", "register", "login", "user"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["register"], "--failures must be ENDPOINT=VALUE, got 'register'"),
        (["regster=0.5"], r"--failures: 'regster' is not an endpoint\n  hint: did you mean 'reg"),
        (["zzz=0.5"], r"'zzz' is not an endpoint\n  hint: one of health, register, login, user"),
        (["login=0.5", "login=0.1"], "--failures is given twice for 'login'"),
    ],
)
def test_option_that_names_no_endpoint_or_one_twice_is_refused(
    texts: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        parse_behaviours([], texts)
