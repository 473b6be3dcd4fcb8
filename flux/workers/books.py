"""What the parent knows of a worker's sessions: which have begun, and which are over.

Strategy. A worker's k-th session has seq = index + count·k, and sessions end nearly in the order in
which they begin. So the books are a window of cells over k: everything before it is over, nothing
behind it was heard of. It grows with the spread of the sessions, not with the length of the run.
"""

import numpy as np
import numpy.typing as npt

from flux.columns import FIRST, LAST, NOT_STARTED
from flux.schemas import Rows
from flux.stage import Shard

_BEGUN = 1
_OVER = 2
_FEWEST_CELLS = 4096


class Books:
    """The sessions of one worker."""

    def __init__(self, shard: Shard) -> None:
        """Begin with nothing heard.

        Args:
            shard: the worker's.
        """
        self._shard = shard
        self._base = 0  # which session the first cell is
        self._states = np.zeros(_FEWEST_CELLS, np.uint8)
        self._users = np.zeros(_FEWEST_CELLS, np.int64)
        self._heard = 0  # cells that were heard of, those between among them
        self.over = 0
        """Sessions that are over, those that were never started among them."""

    def add(self, rows: Rows) -> None:
        """Note what a batch says: (n,) OUTCOME of this worker, in any order."""
        if not len(rows):
            return
        flags = rows["flags"]
        cells = self._reach(rows["seq"])
        begun = (flags & FIRST) != 0
        over = (flags & (LAST | NOT_STARTED)) != 0
        self._users[cells[begun]] = rows["session"][begun]
        self._states[cells[begun]] = _BEGUN
        self._states[cells[over]] = _OVER
        self.over += int(np.count_nonzero(over))

    def note_over(self, numbers: npt.NDArray[np.int64]) -> None:
        """Note that these are over: (n,) int64, each once."""
        if len(numbers):
            self._states[self._reach(numbers)] = _OVER
            self.over += len(numbers)

    def numbers_after(self, count: int) -> npt.NDArray[np.int64]:
        """So many numbers of this worker's that nobody has heard of: (count,) int64."""
        cells = np.arange(self._heard, self._heard + count)
        return np.asarray(cells * self._shard.count + self._shard.index)

    def has_ended(self, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these sessions are over: (n,) bool."""
        ended: npt.NDArray[np.bool_] = self._states_of(seq) == _OVER
        return ended

    def has_begun(self, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these sessions were heard of at all: (n,) bool."""
        begun: npt.NDArray[np.bool_] = self._states_of(seq) != 0
        return begun

    def open_sessions(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """seq and session of those that have begun and are not over: two of (n,) int64."""
        cells = np.flatnonzero(self._states == _BEGUN)
        return (cells + self._base) * self._shard.count + self._shard.index, self._users[cells]

    def _reach(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The cells of these, with room for them."""
        cells = self._cells(numbers)
        self._heard = max(self._heard, self._base + int(cells.max()) + 1)
        if int(cells.max()) >= len(self._states):
            self._make_room(int(cells.max()))
            cells = self._cells(numbers)
        return cells

    def _cells(self, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.asarray(seq // self._shard.count - self._base)

    def _states_of(self, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        cells = self._cells(seq)
        states = np.where(cells < 0, np.uint8(_OVER), np.uint8(0))
        inside = (cells >= 0) & (cells < len(self._states))
        states[inside] = self._states[cells[inside]]
        return states

    def _make_room(self, cell: int) -> None:
        """Forget the cells before the first that is not over, and have one for `cell`."""
        open_cells = self._states != _OVER
        done = int(np.argmax(open_cells)) if open_cells.any() else len(self._states)
        kept = len(self._states) - done
        # Twice what is needed, so that a cell is moved a bounded number of times.
        length = max(_FEWEST_CELLS, 2 * max(kept, cell - done + 1))
        states, users = np.zeros(length, np.uint8), np.zeros(length, np.int64)
        states[:kept], users[:kept] = self._states[done:], self._users[done:]
        self._states, self._users = states, users
        self._base += done
