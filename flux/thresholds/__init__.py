"""Thresholds: what a run's numbers must be, as `[[threshold]]` tables say it.

    table      the keys of a `[[threshold]]`
    metrics    what can be looked at, and how it is measured in a summary
    grammar    `p(95) < 250ms`: an aggregate, a comparison and a limit
    resolve    from tables to thresholds, with everything that is wrong with them
    judge      from a summary to verdicts
    live       the same while the run goes on

All but `live` is pure. To judge any summary: `judge(pipeline.thresholds, summary)`.
"""

from flux.thresholds.judge import judge
from flux.thresholds.resolve import Threshold

__all__ = ["Threshold", "judge"]
