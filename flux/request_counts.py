"""Counts and histograms of requests, by whole columns: what the `StepSummary`s are made from.

Requests are told apart by one column of OUTCOME: by `step`, or by `target`. Counters are tables
with a row per value of it, so a batch costs the same however many there are.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from flux.columns import ABORTED, FIRST, HELD, NEW_CONNECTION, SUCCESS, Column, Columns, Mask
from flux.histogram import HistogramSet
from flux.schemas import ERROR_TEXTS, ErrorCode
from flux.summary import StepSummary
from flux.turns import Turns

STATUSES = 1024
"""Statuses that are told apart; HTTP's end at 599, gRPC's at 16. Higher ones count as 1023."""

_COUNTS = ("successes", "aborted", "bytes_out", "bytes_in", "retries", "connections")

Key: TypeAlias = Literal["step", "target"]


class RequestCounts:
    """Counts and histograms of requests by step, or by target."""

    def __init__(self, key: Key, size: int) -> None:
        """Begin with nothing counted.

        Args:
            key: the column that requests are told apart by.
            size: how many steps, or targets, the run has.
        """
        self._key: Key = key
        self._statuses = np.zeros((size, STATUSES), np.int64)
        self._errors = np.zeros((size, len(ErrorCode)), np.int64)
        self._counts = {name: np.zeros(size, np.int64) for name in _COUNTS}
        self._size = size
        self._latencies: dict[str, HistogramSet] = {}
        """Those that have values: a set is large, and few requests open a connection."""

    def add(self, rows: Columns) -> Turns[None]:
        """Count requests: rows with a step.

        Raises:
            IndexError: the key's value in a row is not one of the run's.
        """
        keys = rows[self._key]
        _check_keys(self._key, keys, len(self._statuses))
        self._record_lags(rows)
        yield
        self._count("successes", keys[rows.flagged(SUCCESS)])
        self._count_pairs(self._statuses, keys, rows["status"])
        if rows["error"].any():
            self._count_pairs(self._errors, keys, rows["error"])
        yield
        for name in ("bytes_out", "bytes_in", "retries"):
            self._sum(name, keys, rows[name])
        yield
        if rows.has(NEW_CONNECTION):
            self._record_connections(rows.where(rows.flagged(NEW_CONNECTION)))
        if rows.has(ABORTED):
            is_aborted = rows.flagged(ABORTED)
            self._count("aborted", keys[is_aborted])
            rows = rows.where(~is_aborted)
        yield from self._record_latencies(rows)

    def merge(self, other: "RequestCounts") -> Turns[None]:
        """Add what others of the same run have counted."""
        self._statuses += other._statuses
        self._errors += other._errors
        for name in _COUNTS:
            self._counts[name] += other._counts[name]
        for name, recorders in other._latencies.items():
            yield
            self._recorders(name).merge(recorders)

    def summaries(self, names: Sequence[str]) -> tuple[StepSummary, ...]:
        """What is known of each. Histograms are not copied: add nothing from now on."""
        return tuple(self._summary(number, name) for number, name in enumerate(names))

    def _summary(self, number: int, name: str) -> StepSummary:
        statuses, errors = self._statuses[number], self._errors[number]
        counts: dict[str, Any] = {name: int(table[number]) for name, table in self._counts.items()}
        latencies: dict[str, Any] = {
            name: recorders[number] for name, recorders in self._latencies.items()
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

    def _record_latencies(self, rows: Columns) -> Turns[None]:
        keys, start_ns, end_ns = rows[self._key], rows["start_ns"], rows["end_ns"]
        first_byte_ns = rows["first_byte_ns"]
        self._record("response", end_ns - rows["due_ns"], keys)
        yield
        self._record("service", end_ns - start_ns, keys)
        yield
        has_begun = first_byte_ns != 0
        self._record("first_byte", *_selected(has_begun, first_byte_ns - start_ns, keys))

    def _record_lags(self, rows: Columns) -> None:
        is_prompt = rows.flagged(FIRST)
        if rows.has(HELD):
            is_prompt &= ~rows.flagged(HELD)
        lag_ns = rows["start_ns"] - rows["due_ns"]
        self._record("lag", *_selected(is_prompt, lag_ns, rows[self._key]))

    def _record_connections(self, rows: Columns) -> None:
        self._count("connections", rows[self._key])
        for name in ("connect", "tls"):
            taken_ns = rows[f"{name}_ns"]
            self._record(name, *_selected(taken_ns > 0, taken_ns, rows[self._key]))

    def _record(self, name: str, values_ns: Column, keys: Column) -> None:
        """Record values by key; those of one key alone take a shorter way."""
        if not values_ns.size:
            return
        key = int(keys[0])
        if (keys == key).all():
            self._recorders(name)[key].record(values_ns)
        else:
            self._recorders(name).record(values_ns, keys)

    def _recorders(self, name: str) -> HistogramSet:
        """The histograms of that latency, made if there are none."""
        if name not in self._latencies:
            self._latencies[name] = HistogramSet(self._size)
        return self._latencies[name]

    def _count(self, name: str, keys: Column) -> None:
        table = self._counts[name]
        table += np.bincount(keys, minlength=table.size)

    def _count_pairs(self, table: Column, keys: Column, codes: Column) -> None:
        """Count each pair of a key and a code; codes past the table count as its last."""
        pairs = keys * table.shape[1]
        pairs += np.clip(codes, 0, table.shape[1] - 1)
        table += np.bincount(pairs, minlength=table.size).reshape(table.shape)

    def _sum(self, name: str, keys: Column, values: Column) -> None:
        table = self._counts[name]
        if table.size == 1:
            table += values.sum()
        elif values.any():
            np.add.at(table, keys, values)


def _selected(mask: Mask, *columns: Column) -> tuple[Column, ...]:
    """The rows of each column that the mask selects."""
    return columns if mask.all() else tuple(column[mask] for column in columns)


def _check_keys(name: Key, keys: Column, count: int) -> None:
    low, high = int(keys.min()), int(keys.max())
    if low < 0 or high >= count:
        wrong = low if low < 0 else high
        raise IndexError(f"{name} must be from 0 to {count - 1}, got {wrong}")
