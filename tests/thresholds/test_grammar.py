"""What may stand in `expect`, and what is said of what may not."""

import pytest

from flux.config.problems import Violation
from flux.thresholds.grammar import read_expectation
from flux.thresholds.metrics import METRICS

MS = 1_000_000


@pytest.mark.parametrize(
    ("metric", "text", "aggregate", "comparison", "limit", "unit"),
    [
        ("response", "p(95) < 250ms", "percentile", "<", 250 * MS, "ns"),
        ("response", " p( 99.9 )<=1s ", "percentile", "<=", 1000 * MS, "ns"),
        ("service", "avg < 1m30s", "avg", "<", 90_000 * MS, "ns"),
        ("lag", "med<10us", "percentile", "<", 10_000, "ns"),
        ("connect", "max >= 1ms", "max", ">=", MS, "ns"),
        ("tls", "min > 0s", "min", ">", 0, "ns"),
        ("failed", "rate < 1%", "rate", "<", 0.01, "share"),
        ("failed", "rate < 0.5 %", "rate", "<", 0.005, "share"),
        ("failed", "rate <= 0.01", "rate", "<=", 0.01, "share"),
        ("failed", "rate == 0", "rate", "==", 0, "share"),
        ("failed", "count != 3", "count", "!=", 3, "count"),
        ("requests", "count > 1000", "count", ">", 1000, "count"),
        ("requests", "rate > 6k/min", "rate", ">", 100, "per_s"),
        ("dropped", "rate < 100%", "rate", "<", 1, "share"),
    ],
)
def test_an_expression_is_read(
    metric: str, text: str, aggregate: str, comparison: str, limit: float, unit: str
) -> None:
    made = read_expectation(text, METRICS[metric])
    assert (made.aggregate, made.comparison, made.unit) == (aggregate, comparison, unit)
    assert made.limit == pytest.approx(limit, rel=1e-12)


def test_an_expression_is_shown_with_its_spaces_in_place() -> None:
    assert read_expectation(" p( 99.90 )<1s", METRICS["response"]).text == "p(99.9) < 1s"


@pytest.mark.parametrize(
    ("metric", "text", "rule", "hint"),
    [
        ("response", "p(95)", "must be an aggregate, a comparison", '"p(95) < 250ms"'),
        ("response", "< 1s", "must be an aggregate, a comparison", '"p(95) < 250ms"'),
        ("response", "p95 < 1s", "must begin with one of p(N), avg", "did you mean 'p(95)'?"),
        ("response", "P(99.9) < 1s", "must begin with", "did you mean 'p(99.9)'?"),
        ("response", "median < 1s", "must begin with", "did you mean 'med'?"),
        ("response", "agv < 1s", "must begin with", "did you mean 'avg'?"),
        ("response", "p(100) < 1s", "must have a percentile above 0 and below 100", "is max"),
        ("response", "p(0) < 1s", "must have a percentile above 0", "smallest min"),
        ("response", "p(N) < 1s", "must begin with", None),
        ("response", "rate < 1%", "must begin with", 'metric = "failed"'),
        ("response", "p(95) < 250", "must have a time", 'write "250ms" or "250s"'),
        ("response", "p(95) < 250 msec", "must have a time", '"250ms"'),
        ("response", "p(95) == 1s", "must not ask whether a measured value is exactly", "<="),
        ("response", "p(95) =< 1s", "must compare with one of", 'write "<="'),
        ("failed", "rate === 0", "must compare with one of", 'write "=="'),
        ("failed", "rate < 5", "must have a share from 0 to 1", 'write "5%"'),
        ("failed", "rate < 101%", "must have a share from 0 to 1", None),
        ("failed", "rate < 1s", "must have a share as its limit", None),
        ("failed", "p(95) < 1s", "must begin with one of rate, count", 'metric = "response"'),
        ("failed", "rat < 1%", "must begin with", "did you mean 'rate'?"),
        ("requests", "rate > 100", "must have a rate as its limit", 'write "100/s"'),
        ("requests", "count > 1.5", "must have a whole number", None),
        ("requests", "count > -1", "must have a whole number", None),
    ],
)
def test_a_wrong_expression_is_explained(
    metric: str, text: str, rule: str, hint: str | None
) -> None:
    with pytest.raises(Violation) as raised:
        read_expectation(text, METRICS[metric])
    assert raised.value.rule.startswith(rule)
    assert (hint is None) == (raised.value.hint is None), raised.value.hint
    assert (hint or "") in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("text", "known"),
    [("count > 5", False), ("count >= 5", False), ("count == 5", False), ("count < 5", True)],
)
def test_whether_a_count_is_reached_is_known_only_at_the_end(text: str, known: bool) -> None:
    assert read_expectation(text, METRICS["requests"]).is_known_on_the_way is known
