"""Counts OUTCOME rows, by whole columns: what a `Summary` is made from.

Requests are counted by step, and by target where a run has several. Nothing overall is counted: it
is the sum of the steps, taken when somebody looks.
"""

from collections.abc import Sequence

import numpy as np

from flux.columns import (
    ABORTED,
    AGAIN,
    DROPPED,
    FIRST,
    HELD,
    LAST,
    LOST,
    SESSION_SUCCESS,
    WITHHELD,
    Column,
    Columns,
    Mask,
)
from flux.conservation import Ledger
from flux.request_counts import RequestCounts
from flux.summary import StepSummary
from flux.turns import Turns

_SESSIONS = (
    "started",
    "repeated",
    "dropped",
    "withheld",
    "cancelled",
    "lost",
    "succeeded",
    "failed",
    "aborted",
)


class Tally:
    """Counts and histograms of some of a run's rows."""

    def __init__(self, steps: int, targets: int = 1) -> None:
        """Begin with nothing counted.

        Args:
            steps: how many steps the run has.
            targets: how many targets it has; of one alone all is known by the steps.
        """
        self._by_step = RequestCounts("step", steps)
        self._by_target = RequestCounts("target", targets) if targets > 1 else None
        self._sessions = dict.fromkeys(_SESSIONS, 0)
        self.held_sessions = 0
        self.skipped_steps = 0

    def add_not_started(self, rows: Columns) -> None:
        """Count arrivals that were dropped, withheld, cancelled or lost."""
        counts = {
            name: _how_many(rows.flagged(flag))
            for name, flag in (("dropped", DROPPED), ("withheld", WITHHELD), ("lost", LOST))
        }
        for name, count in counts.items():
            self._sessions[name] += count
        self._sessions["cancelled"] += len(rows) - sum(counts.values())
        self._sessions["repeated"] += _how_many(rows.flagged(AGAIN))

    def add_sessions(self, rows: Columns) -> None:
        """Count sessions that began or ended, by rows that are not of the above."""
        first = rows.flagged(FIRST)
        self._sessions["started"] += _how_many(first)
        if rows.has(HELD):
            self.held_sessions += _how_many(first & rows.flagged(HELD))
        if rows.has(AGAIN):
            self._sessions["repeated"] += _how_many(first & rows.flagged(AGAIN))
        if rows.has(LAST):
            is_last = rows.flagged(LAST)
            self._add_ended(rows["flags"][is_last])
            self.skipped_steps += int(rows["skipped"][is_last].sum())

    def _add_ended(self, flags: Column) -> None:
        is_aborted = flags & ABORTED != 0
        aborted = _how_many(is_aborted)
        succeeded = _how_many((flags & SESSION_SUCCESS != 0) & ~is_aborted)
        self._sessions["aborted"] += aborted
        self._sessions["succeeded"] += succeeded
        self._sessions["failed"] += flags.size - aborted - succeeded

    def add_requests(self, rows: Columns) -> Turns[None]:
        """Count requests: rows with a step.

        Raises:
            IndexError: a step or target is not one of the run's.
        """
        yield from self._by_step.add(rows)
        if self._by_target is not None:
            yield from self._by_target.add(rows)

    def merge(self, other: "Tally") -> Turns[None]:
        """Add what another tally of the same run has counted."""
        yield from self._by_step.merge(other._by_step)
        if self._by_target is not None and other._by_target is not None:
            yield from self._by_target.merge(other._by_target)
        for name in _SESSIONS:
            self._sessions[name] += other._sessions[name]
        self.held_sessions += other.held_sessions
        self.skipped_steps += other.skipped_steps

    def ledger(self, planned: int | None) -> Ledger:
        """What became of the sessions."""
        return Ledger(planned=planned, **self._sessions)

    def steps(self, names: Sequence[str]) -> tuple[StepSummary, ...]:
        """What is known of each step. Histograms are not copied: add nothing from now on."""
        return self._by_step.summaries(names)

    def targets(self, names: Sequence[str]) -> tuple[StepSummary, ...]:
        """The same of each target; nothing of one alone."""
        return self._by_target.summaries(names) if self._by_target is not None else ()


def _how_many(mask: Mask) -> int:
    """How many are True, as a plain integer."""
    return int(np.count_nonzero(mask))
