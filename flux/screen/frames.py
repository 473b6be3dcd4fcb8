"""What the live view is told: one dict of plain data for each time it is drawn anew."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from flux.histogram import Histogram
from flux.screen.standing import standing_of
from flux.stage import Run
from flux.summary import Mark, StepSummary, Summary

Frame: TypeAlias = dict[str, Any]
"""As the json module has it; see `FrameMaker.frame`."""

MOST_STEPS = 12
"""More do not fit on a screen; the rest is in the total."""

MOST_MARKS = 3

_PERCENTS = (50, 95, 99)
_FEWEST_PER_PERCENT = {50: 2, 95: 20, 99: 100}


@attrs.define
class _Sums:
    """One step, or all, from the beginning of the run."""

    name: str
    requests: int = 0
    failures: int = 0
    response: Histogram = attrs.field(factory=Histogram)
    service: Histogram = attrs.field(factory=Histogram)
    lag: Histogram = attrs.field(factory=Histogram)

    def add(self, step: StepSummary) -> None:
        """Count an interval in."""
        self.requests += step.requests
        self.failures += step.failures
        self.response.merge(step.response)
        self.service.merge(step.service)
        self.lag.merge(step.lag)

    def row(self) -> Frame:
        """As the table has it."""
        return {
            "name": self.name,
            "requests": self.requests,
            "failures": self.failures,
            "response_ns": _percentiles(self.response),
            "service_ns": _percentiles(self.service),
            "lag_ns": _percentiles(self.lag),
        }


class FrameMaker:
    """Adds up the intervals of a run, and makes a frame of where it is when somebody asks."""

    def __init__(self, run: Run) -> None:
        """Begin with nothing known; the run's clock, control and marks are looked at each time."""
        self._run = run
        self._steps: list[_Sums] = []
        self._total = _Sums("total")
        self._errors: dict[str, int] = {}
        self._sessions = dict.fromkeys(("due", "started", "dropped", "cancelled"), 0)
        self._last: Summary | None = None

    def frame(self) -> Frame:
        """What there is to see after the last interval; empty before the first."""
        run, summary = self._run, self._last
        if summary is None:
            return {}
        counts = {name: int(summary.series.rows[name].sum()) for name in self._sessions}
        return {
            **standing_of(run),
            "seed": run.seed,
            "elapsed_ns": summary.end_ns,
            "duration_ns": run.duration_ns,
            "due_per_s": _per_second(counts["due"], summary),
            "started_per_s": _per_second(counts["started"], summary),
            "requests_per_s": summary.load_per_s,
            "open_sessions": summary.open_sessions,
            "sessions": self._sessions,
            "steps": [step.row() for step in self._steps[:MOST_STEPS]],
            "hidden_steps": max(0, len(self._steps) - MOST_STEPS),
            "total": self._total.row(),
            "errors": self._errors,
            "phases": [phase.title for phase in summary.phases],
            "marks": _newest(run.marks),
        }

    def add(self, summary: Summary) -> None:
        """Count an interval in, which follows the one before."""
        self._last = summary
        if not self._steps:
            self._steps = [_Sums(step.name) for step in summary.steps]
        for sums, step in zip(self._steps, summary.steps):
            sums.add(step)
        self._total.add(summary.total)
        for name, count in summary.total.errors.items():
            self._errors[name] = self._errors.get(name, 0) + count
        for name in self._sessions:
            self._sessions[name] += int(summary.series.rows[name].sum())


def _newest(marks: Sequence[Mark]) -> list[Frame]:
    return [{"time_ns": mark.time_ns, "text": mark.text} for mark in marks[-MOST_MARKS:]]


def _per_second(count: int, summary: Summary) -> float:
    return count / summary.duration_s if summary.duration_s > 0 else 0.0


def _percentiles(histogram: Histogram) -> Mapping[str, int | None]:
    """p50, p95, p99 and max, None where too few values stand behind it."""
    values_ns: Iterable[int] = histogram.percentiles(_PERCENTS).tolist()
    found: dict[str, int | None] = {
        f"p{percent}": value_ns if histogram.count >= _FEWEST_PER_PERCENT[percent] else None
        for percent, value_ns in zip(_PERCENTS, values_ns)
    }
    return {**found, "max": histogram.max_ns if histogram.count else None}
