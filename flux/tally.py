"""Counts OUTCOME rows by step, by whole columns: what a `Summary` is made from.

Counters are tables with a row per step, so a batch costs the same however many steps there are.
Nothing overall is counted: it is the sum of the steps, taken when somebody looks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux.columns import (
    ABORTED,
    AGAIN,
    DROPPED,
    FIRST,
    HELD,
    LAST,
    LOST,
    NEW_CONNECTION,
    SESSION_SUCCESS,
    SUCCESS,
    Column,
    Columns,
    Mask,
)
from flux.conservation import Ledger
from flux.histogram import HistogramSet
from flux.schemas import ERROR_TEXTS, ErrorCode
from flux.summary import LATENCIES, StepSummary

STATUSES = 1024
"""Statuses that are told apart; HTTP's end at 599, gRPC's at 16. Higher ones count as 1023."""

_COUNTS = ("successes", "aborted", "bytes_out", "bytes_in", "retries", "connections")
_SESSIONS = (
    *("started", "repeated", "dropped", "cancelled", "lost"),
    *("succeeded", "failed", "aborted"),
)


class Tally:
    """Counts and histograms of some of a run's rows."""

    def __init__(self, steps: int) -> None:
        """Begin with nothing counted.

        Args:
            steps: how many steps the run has.
        """
        self._statuses = np.zeros((steps, STATUSES), np.int64)
        self._errors = np.zeros((steps, len(ErrorCode)), np.int64)
        self._counts = {name: np.zeros(steps, np.int64) for name in _COUNTS}
        self._latencies = {name: HistogramSet(steps) for name in LATENCIES}
        self._sessions = dict.fromkeys(_SESSIONS, 0)
        self.held_sessions = 0
        self.skipped_steps = 0

    def add_not_started(self, rows: Columns) -> None:
        """Count arrivals that were dropped, cancelled or lost."""
        dropped, lost = _how_many(rows.flagged(DROPPED)), _how_many(rows.flagged(LOST))
        self._sessions["dropped"] += dropped
        self._sessions["lost"] += lost
        self._sessions["cancelled"] += len(rows) - dropped - lost

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

    def add_requests(self, rows: Columns) -> None:
        """Count requests: rows with a step.

        Raises:
            IndexError: a step is not one of the run's.
        """
        steps = rows["step"]
        _check_steps(steps, len(self._statuses))
        self._record_lags(rows)
        self._count("successes", steps[rows.flagged(SUCCESS)])
        self._count_pairs(self._statuses, steps, rows["status"])
        if rows["error"].any():
            self._count_pairs(self._errors, steps, rows["error"])
        for name in ("bytes_out", "bytes_in", "retries"):
            self._sum(name, steps, rows[name])
        if rows.has(NEW_CONNECTION):
            self._record_connections(rows.where(rows.flagged(NEW_CONNECTION)))
        if rows.has(ABORTED):
            is_aborted = rows.flagged(ABORTED)
            self._count("aborted", steps[is_aborted])
            rows = rows.where(~is_aborted)
        self._record_latencies(rows)

    def merge(self, other: "Tally") -> None:
        """Add what another tally of the same run has counted."""
        self._statuses += other._statuses
        self._errors += other._errors
        for name in _COUNTS:
            self._counts[name] += other._counts[name]
        for name in LATENCIES:
            self._latencies[name].merge(other._latencies[name])
        for name in _SESSIONS:
            self._sessions[name] += other._sessions[name]
        self.held_sessions += other.held_sessions
        self.skipped_steps += other.skipped_steps

    def ledger(self, planned: int | None) -> Ledger:
        """What became of the sessions."""
        return Ledger(planned=planned, **self._sessions)

    def steps(self, names: Sequence[str]) -> tuple[StepSummary, ...]:
        """What is known of each step. Histograms are not copied: add nothing from now on."""
        return tuple(self._step(number, name) for number, name in enumerate(names))

    def _step(self, step: int, name: str) -> StepSummary:
        statuses, errors = self._statuses[step], self._errors[step]
        counts: dict[str, Any] = {name: int(table[step]) for name, table in self._counts.items()}
        latencies: dict[str, Any] = {
            name: recorders[step] for name, recorders in self._latencies.items()
        }
        requests = int(statuses.sum())
        return StepSummary(
            name=name,
            requests=requests,
            failures=requests - counts["successes"],
            statuses={int(code): int(statuses[code]) for code in np.flatnonzero(statuses)},
            errors={
                ERROR_TEXTS[code]: int(errors[code])
                for code in np.flatnonzero(errors).tolist()
                if code
            },
            **counts,
            **latencies,
        )

    def _record_latencies(self, rows: Columns) -> None:
        steps, start_ns, end_ns = rows["step"], rows["start_ns"], rows["end_ns"]
        first_byte_ns = rows["first_byte_ns"]
        self._record("response", end_ns - rows["due_ns"], steps)
        self._record("service", end_ns - start_ns, steps)
        has_begun = first_byte_ns != 0
        self._record("first_byte", *_selected(has_begun, first_byte_ns - start_ns, steps))

    def _record_lags(self, rows: Columns) -> None:
        is_prompt = rows.flagged(FIRST)
        if rows.has(HELD):
            is_prompt &= ~rows.flagged(HELD)
        lag_ns = rows["start_ns"] - rows["due_ns"]
        self._record("lag", *_selected(is_prompt, lag_ns, rows["step"]))

    def _record_connections(self, rows: Columns) -> None:
        self._count("connections", rows["step"])
        for name in ("connect", "tls"):
            taken_ns = rows[f"{name}_ns"]
            self._record(name, *_selected(taken_ns > 0, taken_ns, rows["step"]))

    def _record(self, name: str, values_ns: Column, steps: Column) -> None:
        """Record values by step; those of one step alone take a shorter way."""
        if not values_ns.size:
            return
        step = int(steps[0])
        if (steps == step).all():
            self._latencies[name][step].record(values_ns)
        else:
            self._latencies[name].record(values_ns, steps)

    def _count(self, name: str, steps: Column) -> None:
        table = self._counts[name]
        table += np.bincount(steps, minlength=table.size)

    def _count_pairs(self, table: Column, steps: Column, codes: Column) -> None:
        """Count each pair of a step and a code; codes past the table count as its last."""
        keys = steps * table.shape[1]
        keys += np.clip(codes, 0, table.shape[1] - 1)
        table += np.bincount(keys, minlength=table.size).reshape(table.shape)

    def _sum(self, name: str, steps: Column, values: Column) -> None:
        table = self._counts[name]
        if table.size == 1:
            table += values.sum()
        elif values.any():
            np.add.at(table, steps, values)


def _selected(mask: Mask, *columns: Column) -> tuple[Column, ...]:
    """The rows of each column that the mask selects."""
    return columns if mask.all() else tuple(column[mask] for column in columns)


def _check_steps(steps: Column, count: int) -> None:
    low, high = int(steps.min()), int(steps.max())
    if low < 0 or high >= count:
        wrong = low if low < 0 else high
        raise IndexError(f"step must be from 0 to {count - 1}, got {wrong}")


def _how_many(mask: Mask) -> int:
    """How many are True, as a plain integer."""
    return int(np.count_nonzero(mask))
