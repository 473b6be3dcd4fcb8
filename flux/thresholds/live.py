"""Thresholds while the run goes on: told of each interval, marked when they fail, and aborting.

A measurement is kept for each threshold alone, and added up in place; nothing is merged that nobody
looks at, so that watching does not hold up the load. Too few samples fail nothing on the way: the
end of the run decides about them.
"""

from collections import deque
from collections.abc import Sequence
from logging import WARNING
from typing import Any

import attrs

from flux.control import Ending
from flux.errors import ExitCode
from flux.stage import Run
from flux.summary import Summary, Verdict
from flux.thresholds.judge import judge, judge_measured, measure_summary, observe, value_text
from flux.thresholds.metrics import Measured
from flux.thresholds.resolve import Threshold
from flux.units import Duration


class LiveThresholds:
    """The thresholds of one run."""

    def __init__(self, thresholds: Sequence[Threshold], run: Run) -> None:
        """Begin with nothing seen; failing thresholds may stop the run."""
        self._watched = [_Watched(threshold) for threshold in thresholds]
        self._run = run
        self._is_over = False

    def observe(self, summary: Summary) -> None:
        """Take in an interval; once arrivals have ended it is for the end of the run to judge."""
        run = self._run
        if summary.is_final or self._is_over:
            return
        end_ns = run.duration_ns
        if run.control.stopping.is_set() or (end_ns is not None and summary.end_ns > end_ns):
            for watched in self._watched:
                watched.drain(summary)
            return
        for watched in self._watched:
            verdict = watched.add(summary)
            if verdict is not None and verdict.judgement == "failed":
                self._note(watched, verdict, summary.end_ns)

    def status(self) -> list[dict[str, Any]]:
        """How each threshold stands by now, in order, as plain data."""
        return [watched.status() for watched in self._watched]

    def _note(self, watched: "_Watched", verdict: Verdict, time_ns: int) -> None:
        """Mark the first failure, and stop the run if it asks for that."""
        control = self._run.control
        aborts = watched.threshold.is_aborting and not control.stopping.is_set()
        if watched.first_failed_ns is not None and not aborts:
            return
        if watched.first_failed_ns is None:
            watched.first_failed_ns = time_ns
        text = f"threshold failed: {verdict.title}: {verdict.observed_text}{watched.time_text}"
        if aborts:
            watched.aborted_by = text
            text += "; stopping the run"
            control.stop(Ending(text, ExitCode.THRESHOLDS_FAILED))
        self._run.mark("threshold", text, level=WARNING)

    def conclude(self, final: Summary) -> tuple[Verdict, ...]:
        """The verdicts on the whole run, each with when it first failed; nothing is seen after."""
        self._is_over = True
        verdicts = judge([watched.threshold for watched in self._watched], final)
        return tuple(
            watched.conclude(verdict, final) for watched, verdict in zip(self._watched, verdicts)
        )


@attrs.define
class _Watched:
    """A threshold, and what was seen of it."""

    threshold: Threshold
    parts: deque[Measured] = attrs.field(factory=deque)
    """Intervals of the window; without a window, all so far as one."""
    observed_text: str = "-"
    """What was measured last, for people."""
    holds: bool | None = None
    """Whether that is as it should be; None if it is too early to judge."""
    reason: str = "nothing was measured yet"
    """Why it is too early."""
    first_failed_ns: int | None = None
    aborted_by: str = ""
    """What was said when it stopped the run."""

    def add(self, summary: Summary) -> Verdict | None:
        """Take in an interval; None if it is too early to judge."""
        threshold = self.threshold
        self.parts.append(measure_summary(threshold, summary))
        if threshold.window_ns is None:
            first, *rest = self.parts
            self.parts = deque([first.merge(rest) if rest else first])
        else:
            self._forget(threshold.window_ns)
        first, *rest = self.parts
        measured = first.merge(rest) if rest else first
        value, problem = observe(threshold, measured)
        self.observed_text = value_text(value, threshold.expectation.unit)
        self.reason = self._too_early(summary.end_ns - measured.start_ns, summary.end_ns) or (
            problem if value is None else ""
        )
        if self.reason:
            self.holds = None
            return None
        verdict = judge_measured(threshold, measured)
        self.holds = verdict.judgement == "passed"
        return verdict

    def drain(self, summary: Summary) -> None:
        """Take in an interval in which no session arrives any more: it is the run's, as at the end.

        A window is not moved on: it would show that nothing arrives.
        """
        if self.threshold.window_ns is None:
            self.add(summary)
        else:
            self.reason = self.reason or "before arrivals ended"

    def _too_early(self, length_ns: int, now_ns: int) -> str:
        """Why nothing is judged yet, however many requests there were; maybe nothing."""
        threshold = self.threshold
        if not threshold.expectation.is_known_on_the_way:
            return "the end decides"
        if now_ns < threshold.after_ns:
            return f"from {Duration(threshold.after_ns)} on"
        if threshold.window_ns is not None and length_ns < threshold.window_ns:
            return f"once {Duration(threshold.window_ns)} are over"
        return ""

    def status(self) -> dict[str, Any]:
        """How it stands, as plain data."""
        return {
            "metric": self.threshold.metric.name,
            "expect": self.threshold.expectation.text,
            "scope": self.threshold.scope,
            "holds": self.holds,
            "observed_text": self.observed_text,
            "reason": self.reason,
            "aborts": self.threshold.is_aborting,
            "first_failed_ns": self.first_failed_ns,
        }

    def _forget(self, window_ns: int) -> None:
        """Leave out intervals as long as the others fill the window."""
        end_ns = self.parts[-1].end_ns
        while len(self.parts) > 1 and end_ns - self.parts[1].start_ns >= window_ns:
            self.parts.popleft()

    @property
    def time_text(self) -> str:
        """In which time it failed."""
        first, last = self.parts[0], self.parts[-1]
        if self.threshold.window_ns is None:
            return f" in the first {Duration(last.end_ns)}"
        return f" from {Duration(first.start_ns)} to {Duration(last.end_ns)}"

    def conclude(self, verdict: Verdict, final: Summary) -> Verdict:
        """The verdict on the whole run, and what happened on the way."""
        if self.aborted_by and verdict.judgement == "passed":
            verdict = attrs.evolve(verdict, judgement="failed", reason=self.aborted_by)
        first_failed_ns = self.first_failed_ns
        if first_failed_ns is None and verdict.judgement == "failed":
            first_failed_ns = final.end_ns
        return attrs.evolve(verdict, first_failed_ns=first_failed_ns)
