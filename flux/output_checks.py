"""What a stage may send and tell, checked where flux takes it, so that the stage itself is blamed.

Nothing here looks at single rows: a check is a few passes of numpy over a batch. A wrong batch that
went on would be somebody else's exception three stages below, or a number that is wrong. For a
batch of 4,096 rows of OUTCOME it takes some 40 µs.
"""

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from flux.errors import WrongOutput
from flux.schemas import ARRIVAL, DEMAND, ERROR_TEXTS, OUTCOME, ROSTER, SUMMARY, USERS, Rows, Schema
from flux.summary import Summary

HIGHEST_LEVEL = 1e12
"""Arrivals per second: a factor that leads to more is wrong, and would overflow."""

MOST_USERS = 1e7
"""The same of users, each of whom has a row as he joins."""


@attrs.define
class BatchCheck:
    """Checks the batches that one stage sends, in order."""

    schema: Schema
    """What it says that it sends."""
    steps: int = 1
    """How many the run has."""
    targets: int = 1
    """Likewise."""
    _until_ns: int = attrs.field(default=-(2**62), init=False)
    """Where the rows sent so far end."""

    def check(self, batch: Any) -> None:
        """Look at the next batch, and forbid writing to it.

        Raises:
            WrongOutput: it is not what the schema says.
        """
        if self.schema is SUMMARY:
            if not isinstance(batch, Summary):
                raise WrongOutput(f"it sent {described(batch)} instead of a Summary")
            return
        self._check_type(batch)
        batch.flags.writeable = False
        if not len(batch):
            return
        if self.schema in (DEMAND, USERS):
            self._check_levels(batch)
        elif self.schema in (ARRIVAL, ROSTER):
            self._check_due(batch)
        elif self.schema is OUTCOME:
            self._check_outcomes(batch)

    def _check_type(self, batch: Any) -> None:
        dtype = self.schema.dtype
        is_array = isinstance(batch, np.ndarray)
        if not (is_array and batch.ndim == 1 and batch.dtype == dtype):
            raise WrongOutput(
                f"it sent {described(batch)} instead of an array of {self.schema.name} rows",
                hint=f"fill {self.schema.name}.empty(n), whose columns are "
                f"{', '.join(self.schema.columns)}",
            )

    def _check_levels(self, rows: Rows) -> None:
        highest = MOST_USERS if self.schema is USERS else HIGHEST_LEVEL
        for level, time_ns in (("level", "start_ns"), ("end_level", "end_ns")):
            is_right = (rows[level] >= 0) & (rows[level] <= highest)
            if not is_right.all():
                wrong = int(np.argmin(is_right))
                raise WrongOutput(
                    f"it made the level {rows[level][wrong]:g} at {rows[time_ns][wrong] / 1e9:g} s",
                    hint=f"a level is a number from 0 to {highest:g}",
                )
        start_ns, end_ns = rows["start_ns"], rows["end_ns"]
        is_first = self._until_ns < 0
        follows = is_first or int(start_ns[0]) == self._until_ns
        if not (follows and (start_ns < end_ns).all() and (start_ns[1:] == end_ns[:-1]).all()):
            raise WrongOutput(
                f"it sent rows of {self.schema.name} that do not follow each other",
                hint="each row begins, in start_ns, where the one before it ends, in end_ns; "
                "a shaper leaves both as they are",
            )
        self._until_ns = int(end_ns[-1])

    def _check_due(self, rows: Rows) -> None:
        due_ns = rows["due_ns"]
        if int(due_ns[0]) < self._until_ns or (due_ns[1:] < due_ns[:-1]).any():
            raise WrongOutput(
                f"it sent rows of {self.schema.name} that are not in order of due_ns",
                hint="sort them: np.argsort(due_ns, kind='stable')",
            )
        self._until_ns = int(due_ns[-1])

    def _check_outcomes(self, rows: Rows) -> None:
        if (rows["end_ns"] < rows["start_ns"]).any():
            raise WrongOutput("it sent a row of OUTCOME whose end_ns is before its start_ns")
        for column, low, high in (
            ("step", -1, self.steps),
            ("target", -1, self.targets),
            ("error", 0, len(ERROR_TEXTS)),
        ):
            values = rows[column]
            if int(values.min()) < low or int(values.max()) >= high:
                wrong = values[(values < low) | (values >= high)][0]
                raise WrongOutput(
                    f"it sent a row of OUTCOME with {column} = {wrong}",
                    hint=f"{column} is {low} to {high - 1} in this run",
                )


def checked_factors(given: Any, time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """What a shaper's `factor_at` gave for these times.

    Raises:
        WrongOutput: it is not one finite number, at least 0, for each of them.
    """
    factors = _numbers(given)
    if factors is None or factors.shape not in ((), time_ns.shape):
        raise WrongOutput(
            f"factor_at gave {described(given)} for {len(time_ns)} times",
            hint="time_ns is an array: give one number for each time in it, as np.where does",
        )
    factors = np.broadcast_to(factors, time_ns.shape)
    is_right = (factors >= 0) & np.isfinite(factors)
    if not is_right.all():
        wrong = int(np.argmin(is_right))
        raise WrongOutput(
            f"factor_at gave {factors[wrong]:g} at {time_ns[wrong] / 1e9:g} s",
            hint="a factor is a finite number, and at least 0",
        )
    return factors


def checked_gaps(given: Any, count: int | None = None) -> npt.NDArray[np.float64]:
    """What a generator's `gaps`, or its `gap_blocks`, gave.

    Args:
        given: numbers, at least 0; infinite where there is no further arrival.
        count: how many there have to be; any number but 0 if None.

    Raises:
        WrongOutput: it is anything else.
    """
    gaps = _numbers(given)
    if gaps is None or gaps.ndim != 1 or len(gaps) != (len(gaps) if count is None else count):
        wanted = "gaps" if count is None else f"{count} gaps"
        raise WrongOutput(
            f"it drew {described(given)} where {wanted} were asked for",
            hint="gaps(random, count) gives (count,) float64",
        )
    is_right = gaps >= 0
    if not is_right.all():
        raise WrongOutput(
            f"it drew a gap of {gaps[np.argmin(is_right)]:g}",
            hint="a gap is a number, at least 0, whose mean is 1: flux divides it by the rate",
        )
    return gaps


def checked_cuts(given: Any) -> npt.NDArray[np.int64]:
    """What a profile's `cuts` gave.

    Raises:
        WrongOutput: it is not an array of whole nanoseconds.
    """
    cuts = np.asarray(given)
    if cuts.ndim != 1 or (cuts.dtype != np.int64 and len(cuts)):
        raise WrongOutput(
            f"cuts gave {described(given)}",
            hint="it gives (n,) int64, nanoseconds: np.array([…], np.int64), or NO_CUTS",
        )
    return cuts.astype(np.int64, copy=False)


def described(value: Any) -> str:
    """What a value is, in a few words."""
    if value is None:
        return "nothing"
    if not isinstance(value, np.ndarray):
        name = type(value).__name__
        return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    names = value.dtype.names
    return f"an array {value.shape} of {'other columns' if names else value.dtype}"


def _numbers(given: Any) -> npt.NDArray[np.float64] | None:
    try:
        numbers = np.asarray(given)
    except ValueError:  # lists of unlike lengths
        return None
    return numbers.astype(np.float64, copy=False) if numbers.dtype.kind in "fiub" else None
