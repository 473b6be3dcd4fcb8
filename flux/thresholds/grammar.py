"""The language of `expect`: an aggregate, a comparison and a limit, as in `p(95) < 250ms`.

It is that of k6, save that a limit has its unit: a latency one of time, a share `%` if it is not
written as 0.01, and what comes per second `/s`.
"""

import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from flux.config.problems import Violation, did_you_mean
from flux.summary import Unit
from flux.thresholds.metrics import Kind, Metric
from flux.units import Duration, Rate, UnitError

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    }
)

_AGGREGATES: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        "latency": ("p(N)", "avg", "min", "med", "max"),
        "count": ("count", "rate"),
        "share": ("rate", "count"),
    }
)

_PARTS: Final = re.compile(r"\s*([^<>=!]*?)\s*([<>=!]+)\s*(.*?)\s*", re.S)
_PERCENTILE: Final = re.compile(r"p\(\s*(-?[0-9]+(?:\.[0-9]+)?)\s*\)")
_LOOSE_PERCENTILE: Final = re.compile(r"[pP]\s*\(?\s*([0-9]{1,2}(?:\.[0-9]+)?)\s*%?\s*\)?")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EXAMPLES: Final[Mapping[Kind, str]] = MappingProxyType(
    {"latency": "p(95) < 250ms", "count": "rate > 100/s", "share": "rate < 1%"}
)


@attrs.frozen
class Expectation:
    """One expression, understood."""

    text: str
    """As it was written, with the spaces where they belong."""
    aggregate: str
    """avg, min, max, count, rate, or percentile."""
    percent: float
    """Of a percentile, above 0 and below 100; else 0."""
    comparison: str
    limit: float
    """In `unit`."""
    unit: Unit

    def holds(self, value: float) -> bool:
        """Whether a value, in `unit`, is as it must be."""
        return _COMPARISONS[self.comparison](value, self.limit)

    @property
    def is_known_on_the_way(self) -> bool:
        """False where only the end of the run can tell: a count may still be reached."""
        return self.aggregate != "count" or self.comparison in ("<", "<=")


def read_expectation(text: str, metric: Metric) -> Expectation:
    """Read an expression about a metric.

    Raises:
        Violation: it is none, or not one that this metric has.
    """
    match = _PARTS.fullmatch(text)
    if match is None or not all(match.groups()):
        example = _EXAMPLES[metric.kind]
        raise Violation(
            "must be an aggregate, a comparison and a limit", hint=f'write it like "{example}"'
        )
    aggregate_text, comparison, limit_text = match.groups()
    aggregate, percent = _read_aggregate(aggregate_text, metric)
    unit: Unit = _unit_of(metric.kind, aggregate)
    _check_comparison(comparison, unit)
    limit = _READERS[unit](limit_text)
    shown = f"p({percent:g})" if _PERCENTILE.fullmatch(aggregate_text) else aggregate_text
    return Expectation(
        f"{shown} {comparison} {limit_text}", aggregate, percent, comparison, limit, unit
    )


def _read_aggregate(text: str, metric: Metric) -> tuple[str, float]:
    known = _AGGREGATES[metric.kind]
    if metric.kind == "latency":
        if match := _PERCENTILE.fullmatch(text):
            return _percentile(float(match[1]))
        if text == "med":
            return "percentile", 50.0
    if text in known and text != "p(N)":
        return text, 0.0
    raise Violation(
        f"must begin with one of {', '.join(known)}, which are what {metric.name!r} has",
        hint=_meant_aggregate(text, metric.kind),
    )


def _percentile(percent: float) -> tuple[str, float]:
    if not 0 < percent < 100:
        hint = "the largest value is max, the smallest min"
        raise Violation("must have a percentile above 0 and below 100", hint=hint)
    return "percentile", percent


def _meant_aggregate(text: str, kind: Kind) -> str | None:
    if kind == "latency" and (match := _LOOSE_PERCENTILE.fullmatch(text)):
        return f"did you mean 'p({match[1]})'?"
    words = {"mean": "avg", "average": "avg", "median": "med", "maximum": "max", "minimum": "min"}
    if kind == "latency" and text.lower() in words:
        return f"did you mean {words[text.lower()]!r}?"
    if kind == "latency" and text in ("rate", "count"):
        return 'to count requests: metric = "requests"; to count failures: metric = "failed"'
    if kind != "latency" and (_LOOSE_PERCENTILE.match(text) or text in _AGGREGATES["latency"]):
        return 'for times: metric = "response"'
    return did_you_mean(text, [one for one in _AGGREGATES[kind] if one != "p(N)"])


def _unit_of(kind: Kind, aggregate: str) -> Unit:
    if kind == "latency":
        return "ns"
    if aggregate == "count":
        return "count"
    return "per_s" if kind == "count" else "share"


def _check_comparison(text: str, unit: Unit) -> None:
    meant = {"===": "==", "=": "==", "=<": "<=", "=>": ">=", "<>": "!="}
    if text not in _COMPARISONS:
        hint = f'write "{meant[text]}"' if text in meant else None
        raise Violation(f"must compare with one of {', '.join(_COMPARISONS)}", hint=hint)
    if text in ("==", "!=") and unit in ("ns", "per_s"):
        hint = "write <, <=, > or >="
        raise Violation("must not ask whether a measured value is exactly the limit", hint=hint)


def _read_time(text: str) -> float:
    try:
        return float(Duration.parse(text))
    except UnitError as error:
        hint = f'write "{text}ms" or "{text}s"' if _NUMBER.fullmatch(text) else error.hint
        raise Violation('must have a time as its limit, as in "250ms"', hint=hint) from error


def _read_share(text: str) -> float:
    number = text.removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(number):
        raise Violation('must have a share as its limit, as in "1%" or "0.01"')
    share = float(number) / 100 if text.endswith("%") else float(number)
    if not 0 <= share <= 1:
        hint = f'write "{number}%"' if not text.endswith("%") and float(number) <= 100 else None
        raise Violation("must have a share from 0 to 1, or from 0% to 100%", hint=hint)
    return share


def _read_rate(text: str) -> float:
    try:
        return float(Rate.parse(text))
    except UnitError as error:
        raise Violation('must have a rate as its limit, as in "100/s"', hint=error.hint) from error


def _read_count(text: str) -> float:
    if not re.fullmatch("[0-9]{1,15}", text):
        raise Violation("must have a whole number as its limit")
    return float(text)


_READERS: Final[Mapping[Unit, Callable[[str], float]]] = MappingProxyType(
    {"ns": _read_time, "share": _read_share, "per_s": _read_rate, "count": _read_count}
)
