"""What a run comes to: the final summary with its findings, verdicts and marks.

The collector counts, and asks for this once, at the end: limits and thresholds are the run's, not
the collector's. Live thresholds are told of every interval on the way.
"""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from flux.generator import Generator
from flux.graph import Pipeline
from flux.stage import Run
from flux.summary import Finding, Summary
from flux.thresholds.live import LiveThresholds
from flux.validity import find


class Conclusion:
    """Watches a run's summaries, and completes the last one."""

    def __init__(
        self,
        pipeline: Pipeline,
        run: Run,
        *,
        findings: Sequence[Finding],
        generators: Callable[[], tuple[Generator, ...]],
    ) -> None:
        """Watch a run.

        Args:
            pipeline: for its thresholds and limits.
            run: for its marks; failing thresholds may stop it.
            findings: what stages report; looked at in the end.
            generators: tells the processes that made the load, in the end.
        """
        self._limits, self._run = pipeline.settings.validity, run
        self._findings, self._generators = findings, generators
        self._live = LiveThresholds(pipeline.thresholds, run)

    def observe(self, summary: Summary) -> None:
        """Hold the thresholds against what is known by now; in a plan nothing is."""
        if self._run.clock.is_live:
            self._live.observe(summary)

    def thresholds(self) -> list[dict[str, Any]]:
        """How the thresholds stand by now; see `LiveThresholds.status`."""
        return self._live.status()

    def conclude(self, final: Summary) -> Summary:
        """The summary of the whole run, complete."""
        if not self._run.clock.is_live:
            return final
        final = attrs.evolve(final, generators=self._generators())
        ending = self._run.control.ending.text if self._run.control.ending else ""
        findings = (*self._findings, *find(final, self._limits, ending=ending))
        in_order = tuple(sorted(findings, key=lambda finding: not finding.is_fatal))
        final = attrs.evolve(final, findings=in_order)
        verdicts = self._live.conclude(final)
        return attrs.evolve(final, verdicts=verdicts, marks=tuple(self._run.marks))
