"""What a tool says of one run, and how far that is from the exact answer: pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import attrs

from tests.bench.accuracy.answer import PERCENTS, Answer

Model: TypeAlias = Literal["open", "closed"]

JUDGED = (90.0, 95.0, 99.0)
"""The percentiles that the scenario fixes."""


@attrs.frozen
class Seen:
    """What a tool says of a run."""

    percentiles_s: Mapping[float, float]
    """Percent → response time as the tool has it, seconds; NaN where it tells none."""
    max_s: float
    sent: int
    """Requests."""
    dropped: int = 0
    """Requests that it says it did not send though they were due."""
    says: tuple[str, ...] = ()
    """What it remarks on its own figures."""

    def errors(self, answer: Answer) -> dict[float, float]:
        """Percent → relative error, 0.01 being 1 % too much; NaN where it tells none."""
        return {
            percent: self.percentiles_s[percent] / answer.percentile_s(percent) - 1
            for percent in JUDGED
        }


@attrs.frozen
class Run:
    """One run of one contender."""

    seen: Seen
    answer: Answer


def worst_error(runs: Sequence[Run]) -> float:
    """Of the judged percentiles the error that is farthest from 0, each in the median run."""
    errors = [
        statistics.median(values)
        for percent in JUDGED
        if (values := _numbers([run.seen.errors(run.answer)[percent] for run in runs]))
    ]
    return max(errors, key=abs, default=math.nan)


def median_percentile_s(runs: Sequence[Run], percent: float) -> float:
    """A percentile in the median run, seconds."""
    values = _numbers([run.seen.percentiles_s[percent] for run in runs])
    return statistics.median(values) if values else math.nan


def nearest_ranks(values: Sequence[float]) -> dict[float, float]:
    """The percentiles of some values: of n, the ⌈n·p/100⌉-th smallest."""
    ordered = sorted(values)
    return {
        percent: ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
        for percent in PERCENTS
    }


def _numbers(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]
