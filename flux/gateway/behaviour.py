"""How slow and how unreliable each endpoint is asked to be.

Parsing is strict and happens once. What comes out is pure: a latency is a function of a random
number generator, and each endpoint draws from its own generator, made from (seed, endpoint).
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

import attrs

from flux.errors import UsageError
from flux.units import Duration, UnitError

ENDPOINTS = ("health", "register", "login", "user")
"""The names that `--latency` and `--failures` know."""

Draw: TypeAlias = Callable[[random.Random], float]
"""Draws one latency, in seconds, never negative."""


@attrs.frozen
class Behaviour:
    """What one endpoint does before it answers."""

    draw_latency_s: Draw | None = None
    """Time to wait on top of the real work; None: no wait."""
    failure_ratio: float = 0.0
    """Share of requests that answer 503, from 0 to 1."""


def parse_behaviours(latencies: Sequence[str], failures: Sequence[str]) -> dict[str, Behaviour]:
    """Read `ENDPOINT=FORM:…` and `ENDPOINT=RATIO` texts into one behaviour per endpoint.

    Raises:
        UsageError: a text is not of its form, or names an unknown endpoint or one twice.
    """
    draws = {
        name: parse_latency(text)
        for name, text in _by_endpoint("--latency", latencies, "register=exponential:20ms").items()
    }
    ratios = {
        name: parse_failure_ratio(text)
        for name, text in _by_endpoint("--failures", failures, "register=0.05").items()
    }
    return {name: Behaviour(draws.get(name), ratios.get(name, 0.0)) for name in ENDPOINTS}


def parse_latency(text: str) -> Draw:
    """Read one latency distribution, such as `uniform:10ms-30ms`.

    Raises:
        UsageError: the form is unknown, or its parameters break its rule.
    """
    name, _, parameters = text.partition(":")
    if name not in _FORMS:
        known = ", ".join(example for example, _ in _FORMS.values())
        raise UsageError(f"{text!r} is not a latency", hint=f"one of {known}")
    example, parse = _FORMS[name]
    try:
        return parse(parameters)
    except ValueError as error:
        raise UsageError(f"latency {text!r}: {error}", hint=f"for example {example}") from None


def parse_failure_ratio(text: str) -> float:
    """Read a share of failures, from 0 to 1.

    Raises:
        UsageError: it is not a number, or out of range.
    """
    try:
        return _number("a failure ratio", text, highest=1)
    except ValueError as error:
        raise UsageError(str(error), hint="0.05 fails five requests in a hundred") from None


def _by_endpoint(option: str, texts: Sequence[str], example: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"{option} must be ENDPOINT=VALUE, got {text!r}", hint=f"{option} {example}"
            )
        if name not in ENDPOINTS:
            close = get_close_matches(name, ENDPOINTS, n=1)
            way_out = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(ENDPOINTS)
            raise UsageError(f"{option}: {name!r} is not an endpoint", hint=way_out)
        if name in values:
            raise UsageError(f"{option} is given twice for {name!r}")
        values[name] = value
    return values


def _constant(text: str) -> Draw:
    wait_s = _seconds(text)
    return lambda _: wait_s


def _uniform(text: str) -> Draw:
    low_s, high_s = (_seconds(part) for part in _two(text, "-"))
    if low_s > high_s:
        raise ValueError(f"the lower bound must not pass the upper one, got {text}")
    return lambda generator: generator.uniform(low_s, high_s)


def _normal(text: str) -> Draw:
    # Below 0 there is no latency: those draws become 0, which shifts the mean when SD is not
    # small beside MEAN.
    mean_s, deviation_s = (_seconds(part) for part in _two(text, "±" if "±" in text else ","))
    return lambda generator: max(0.0, generator.gauss(mean_s, deviation_s))


def _exponential(text: str) -> Draw:
    mean_s = _seconds(text)
    if mean_s <= 0:
        raise ValueError(f"the mean must be greater than 0, got {text}")
    return lambda generator: generator.expovariate(1 / mean_s)


def _lognormal(text: str) -> Draw:
    median_text, sigma_text = _two(text, ",")
    median_s = _seconds(median_text)
    if median_s <= 0:
        raise ValueError(f"the median must be greater than 0, got {median_text}")
    sigma = _number("sigma", sigma_text, highest=5)
    # The logarithm of a lognormal variable is normal, and its mean is the logarithm of the median.
    log_median = math.log(median_s)
    return lambda generator: generator.lognormvariate(log_median, sigma)


_FORMS: Mapping[str, tuple[str, Callable[[str], Draw]]] = {
    "constant": ("constant:20ms", _constant),
    "uniform": ("uniform:10ms-30ms", _uniform),
    "normal": ("normal:20ms,5ms", _normal),
    "exponential": ("exponential:20ms", _exponential),
    "lognormal": ("lognormal:20ms,0.5", _lognormal),
}
"""Name of the form: an example, and what reads its parameters."""


def _two(text: str, separator: str) -> tuple[str, str]:
    parts = text.split(separator)
    if len(parts) != 2:
        raise ValueError(f"two values parted by {separator!r} are needed, got {text!r}")
    return parts[0].strip(), parts[1].strip()


def _seconds(text: str) -> float:
    try:
        duration_ns = int(Duration.parse(text))
    except UnitError as error:
        raise ValueError(str(error)) from None
    if duration_ns < 0:
        raise ValueError(f"a duration must not be negative, got {text}")
    return duration_ns / 1e9


def _number(name: str, text: str, *, highest: float) -> float:
    rule = f"{name} must be a number from 0 to {highest:g}, got {text!r}"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(rule) from None
    if not 0 <= value <= highest:  # also turns NaN away
        raise ValueError(rule)
    return value
