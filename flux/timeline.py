"""Builds a run's `Series` while the run goes on.

Counts go to the row of the time they belong to, however late they become known. Percentiles are
set once per interval, from its histogram. Memory is bounded: past `max_rows`, rows become twice as
long.
"""

import numpy as np
import numpy.typing as npt

from flux.histogram import Histogram
from flux.occupancy import Occupancy
from flux.schemas import Rows
from flux.series import EMPTY_SKETCH, PERCENTS, QUANTILES, ROW, Series, Sketch

MAX_ROWS = 6 * 3600
"""Rows of a series, at the most: six hours of seconds."""

MAX_WAITING = 8192
"""Times that may wait to be counted: it is cheaper for many at once."""


class Timeline:
    """The series of a run that is still going on."""

    def __init__(self, width_ns: int, max_rows: int = MAX_ROWS) -> None:
        """Begin at 0 with rows of this length; `max_rows` is even."""
        self.requests = Occupancy(width_ns)
        """Requests under way."""
        self.users = Occupancy(width_ns)
        """Sessions under way."""
        self._width_ns = width_ns
        self._max_rows = max_rows
        self._rows = np.zeros(64, ROW)
        self._used = 0
        self._sketches: dict[int, Sketch] = {}
        self._waiting: list[tuple[str, npt.NDArray[np.int64]]] = []
        self._waiting_times = 0

    def count(self, column: str, times_ns: npt.NDArray[np.int64]) -> None:
        """Count one in this column for each of these times."""
        self._waiting.append((column, times_ns))
        self._waiting_times += times_ns.size
        if self._waiting_times > MAX_WAITING:
            self._count_waiting()

    def _count_waiting(self) -> None:
        waiting, self._waiting, self._waiting_times = self._waiting, [], 0
        for column in {column for column, _ in waiting}:
            times_ns = np.concatenate([times_ns for name, times_ns in waiting if name == column])
            if times_ns.size:
                self._reach(int(times_ns.max()))
                np.add.at(self._rows[column], np.maximum(times_ns, 0) // self._width_ns, 1)

    def add(self, time_ns: int, **amounts: int) -> None:
        """Add to the row of this time; the names are columns."""
        row = self._reach(time_ns)
        for column, amount in amounts.items():
            self._rows[column][row] += amount

    def set_response(self, time_ns: int, response: Histogram) -> None:
        """Set the response times of the interval that begins at this time."""
        row = self._reach(time_ns)
        if not response.count:
            return
        values = self._rows[row]
        sketch = Sketch.of(response)
        quantiles_ns = response.percentiles(PERCENTS)
        if row in self._sketches:
            sketch = Sketch.merged([self._sketches[row], sketch])
            quantiles_ns = sketch.percentiles_ns(PERCENTS)
        self._sketches[row] = sketch
        values["max_ns"] = max(values["max_ns"], response.max_ns)
        for name, value_ns in zip(QUANTILES, quantiles_ns):
            values[name] = min(value_ns, values["max_ns"])

    def row(self, time_ns: int) -> Series:
        """The row of this time by itself; what is under way is not known yet, and 0."""
        self._count_waiting()
        row = self._reach(time_ns)
        sketch = self._sketches.get(row, EMPTY_SKETCH)
        return Series(self._width_ns, self._rows[row : row + 1].copy(), (sketch,))

    def series(self) -> Series:
        """All rows, what is under way among them."""
        self._count_waiting()
        rows = self._rows[: self._used].copy()
        rows["in_flight"], rows["peak_in_flight"] = self.requests.rows(self._used)
        users, peak_users = self.users.rows(self._used)
        # A last row whose first row is missing must not make them negative; the ledger tells of it.
        rows["users"], rows["peak_users"] = np.maximum(users, 0), np.maximum(peak_users, 0)
        return Series(self._width_ns, rows, self._all_sketches())

    def _all_sketches(self) -> tuple[Sketch, ...]:
        return tuple(self._sketches.get(row, EMPTY_SKETCH) for row in range(self._used))

    def _reach(self, time_ns: int) -> int:
        """The row of a time, with all rows up to it there."""
        row = max(time_ns, 0) // self._width_ns
        while row >= self._max_rows:
            self._widen()
            row = max(time_ns, 0) // self._width_ns
        if row >= self._used:
            self._rows = _grown(self._rows, row + 1)
            self._rows["start_ns"][: row + 1] = np.arange(row + 1) * self._width_ns
            self._used = row + 1
        return row

    def _widen(self) -> None:
        self._width_ns *= 2
        now = Series(self._width_ns // 2, self._rows[: self._used].copy(), self._all_sketches())
        wide = now.widen(self._width_ns)
        self._used = len(wide)
        self._rows = _grown(wide.rows, self._max_rows // 2)
        self._sketches = {
            row: sketch for row, sketch in enumerate(wide.sketches) if sketch.codes.size
        }
        self.requests.widen()
        self.users.widen()


def _grown(rows: Rows, needed: int) -> Rows:
    if needed <= len(rows):
        return rows
    grown = np.zeros(max(needed, 2 * len(rows)), rows.dtype)
    grown[: len(rows)] = rows
    return grown
