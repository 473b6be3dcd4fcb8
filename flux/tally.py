"""Counts OUTCOME rows by step, by whole columns: what a `Summary` is made from.

Counters are tables with a row per step, so a batch costs the same however many steps there are.
Nothing overall is counted: it is the sum of the steps, taken when somebody looks.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flux.conservation import Ledger
from flux.histogram import HistogramSet
from flux.schemas import ERROR_TEXTS, NOT_STARTED, ErrorCode, Flag, Rows
from flux.summary import LATENCIES, StepSummary

STATUSES = 1024
"""Statuses that are told apart; HTTP's end at 599, gRPC's at 16. Higher ones count as 1023."""

_COUNTS = ("successes", "aborted", "bytes_out", "bytes_in", "retries", "connections")
_SESSIONS = ("started", "dropped", "cancelled", "succeeded", "failed", "aborted")

Column = npt.NDArray[np.int64]


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

    @property
    def requests(self) -> int:
        """Requests counted so far."""
        return int(self._statuses.sum())

    def add_not_started(self, flags: npt.NDArray[np.int32]) -> None:
        """Count arrivals that were dropped or cancelled, by the flags of their rows."""
        dropped = np.count_nonzero(flags & Flag.DROPPED)
        self._sessions["dropped"] += dropped
        self._sessions["cancelled"] += flags.size - dropped

    def add_sessions(self, flags: npt.NDArray[np.int32], skipped: npt.NDArray[np.int32]) -> None:
        """Count sessions that began or ended, by the flags of rows that are not of the above."""
        first = flags & (Flag.FIRST | Flag.HELD)
        self._sessions["started"] += np.count_nonzero(first & Flag.FIRST)
        self.held_sessions += np.count_nonzero(first == Flag.FIRST | Flag.HELD)
        ends = flags[flags & Flag.LAST != 0] & (Flag.ABORTED | Flag.SESSION_SUCCESS)
        aborted = np.count_nonzero(ends & Flag.ABORTED)
        succeeded = np.count_nonzero(ends == Flag.SESSION_SUCCESS)
        self._sessions["aborted"] += aborted
        self._sessions["succeeded"] += succeeded
        self._sessions["failed"] += ends.size - aborted - succeeded
        self.skipped_steps += int(skipped.sum())

    def add_requests(self, rows: Rows, flags: npt.NDArray[np.int32]) -> None:
        """Count requests: rows with a step. `flags` is their column of that name.

        Raises:
            IndexError: a step is not one of the run's.
        """
        steps = rows["step"].astype(np.int64)
        self._record_lags(rows, flags, steps)
        self._count("successes", steps[flags & Flag.SUCCESS != 0])
        self._count_pairs(self._statuses, steps, rows["status"])
        self._count_pairs(self._errors, steps, rows["error"])
        self._sum("bytes_out", steps, rows["bytes_out"])
        self._sum("bytes_in", steps, rows["bytes_in"])
        self._sum("retries", steps, rows["retries"])
        opened = flags & Flag.NEW_CONNECTION != 0
        if opened.any():
            self._record_connections(rows[opened], steps[opened])
        is_aborted = flags & Flag.ABORTED != 0
        if is_aborted.any():
            self._count("aborted", steps[is_aborted])
            rows, steps = rows[~is_aborted], steps[~is_aborted]
        self._record_latencies(rows, steps)

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
        counts = {name: int(table[step]) for name, table in self._counts.items()}
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
            **{name: self._latencies[name][step] for name in LATENCIES},
        )

    def _record_latencies(self, rows: Rows, steps: Column) -> None:
        start_ns, end_ns = rows["start_ns"], rows["end_ns"]
        first_byte_ns = rows["first_byte_ns"]
        self._record("response", end_ns - rows["due_ns"], steps)
        self._record("service", end_ns - start_ns, steps)
        has_begun = first_byte_ns != 0
        if has_begun.all():
            self._record("first_byte", first_byte_ns - start_ns, steps)
        else:
            self._record("first_byte", (first_byte_ns - start_ns)[has_begun], steps[has_begun])

    def _record_lags(self, rows: Rows, flags: npt.NDArray[np.int32], steps: Column) -> None:
        is_prompt = flags & (Flag.FIRST | Flag.HELD) == Flag.FIRST
        self._record("lag", (rows["start_ns"] - rows["due_ns"])[is_prompt], steps[is_prompt])

    def _record_connections(self, rows: Rows, steps: Column) -> None:
        self._count("connections", steps)
        for name in ("connect", "tls"):
            taken_ns = rows[f"{name}_ns"]
            is_known = taken_ns > 0
            self._record(name, taken_ns[is_known], steps[is_known])

    def _record(self, name: str, values_ns: Column, steps: Column) -> None:
        """Record values by step; those of one step alone take a shorter way."""
        if not values_ns.size:
            return
        step = int(steps[0])
        if (steps == step).all() and step >= 0:
            self._latencies[name][step].record(values_ns)
        else:
            self._latencies[name].record(values_ns, steps)

    def _count(self, name: str, steps: Column) -> None:
        table = self._counts[name]
        table += np.bincount(steps, minlength=table.size)

    def _count_pairs(self, table: Column, steps: Column, codes: npt.NDArray[np.int32]) -> None:
        """Count each pair of a step and a code; codes past the table count as its last."""
        keys = steps * table.shape[1] + np.clip(codes, 0, table.shape[1] - 1)
        table += np.bincount(keys, minlength=table.size).reshape(table.shape)

    def _sum(self, name: str, steps: Column, values: npt.NDArray[np.integer]) -> None:
        if values.any():
            np.add.at(self._counts[name], steps, values)


def is_not_started(flags: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which rows stand for an arrival, not for a request."""
    return (flags & NOT_STARTED) != 0
