"""OUTCOME rows, column by column, for code that looks at the same columns many times.

A column of a structured array is read with a stride of a whole row. Here each column that is asked
for is copied out once, and the flags are looked at as a whole first: most batches have no row that
was dropped, aborted or held, and then nothing has to be selected.
"""

import numpy as np
import numpy.typing as npt

from flux import schemas
from flux.schemas import Flag, Rows

# Plain integers: an operation on members of an enum takes longer than one on a thousand flags.
FIRST = int(Flag.FIRST)
LAST = int(Flag.LAST)
SUCCESS = int(Flag.SUCCESS)
SESSION_SUCCESS = int(Flag.SESSION_SUCCESS)
DROPPED = int(Flag.DROPPED)
CANCELLED = int(Flag.CANCELLED)
LOST = int(Flag.LOST)
WITHHELD = int(Flag.WITHHELD)
NOT_STARTED = int(schemas.NOT_STARTED)
ABORTED = int(Flag.ABORTED)
HELD = int(Flag.HELD)
AGAIN = int(Flag.AGAIN)
NEW_CONNECTION = int(Flag.NEW_CONNECTION)

Column = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Columns:
    """A batch whose columns are contiguous int64 arrays."""

    def __init__(self, rows: Rows) -> None:
        """Wrap (n,) OUTCOME."""
        self._rows = rows
        self._columns: dict[str, Column] = {}
        self._any: int | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> Column:
        """The column of that name: (n,) int64, not to be written to."""
        if name not in self._columns:
            self._columns[name] = self._rows[name].astype(np.int64)
        return self._columns[name]

    def has(self, flag: int) -> bool:
        """Whether any row has one of these flags."""
        if self._any is None:
            self._any = int(np.bitwise_or.reduce(self["flags"]))
        return bool(self._any & flag)

    def flagged(self, flag: int) -> Mask:
        """Which rows have one of these flags."""
        if not self.has(flag):
            return np.zeros(len(self), np.bool_)
        flagged: Mask = (self["flags"] & flag) != 0
        return flagged

    def where(self, mask: Mask) -> "Columns":
        """Only some of the rows; this very object if they are all."""
        return self if mask.all() else Columns(self._rows[mask])
