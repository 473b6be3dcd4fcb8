"""Columns out of lines of CSV, a column at a time: no loop over rows. Pure.

Strategy. Where commas and line feeds are is found in one pass over the bytes; if every line has as
many of them, they make a matrix that says where each value begins and ends. The digits of a column
are then added up place by place, for all rows at once. A column of text is compared, as a matrix of
bytes, with the text of its first row that is not known yet, until all are: there are few different
ones.

It is for lines without quotation marks.
"""

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_COMMA, _LINE_FEED, _MINUS, _ZERO = b",\n-0"


class Table:
    """Lines of CSV with equally many values."""

    def __init__(self, text: bytes, columns: int) -> None:
        """Find the values.

        Args:
            text: whole lines, each with its line feed.
            columns: values in each line.

        Raises:
            ValueError: a line has more or fewer values, or the text has a quotation mark.
        """
        if b'"' in text:
            raise ValueError("there are quotation marks")
        self._bytes: Bytes = np.frombuffer(text, np.uint8)
        is_end = (self._bytes == _COMMA) | (self._bytes == _LINE_FEED)
        ends = np.flatnonzero(is_end)
        if ends.size % columns:
            raise ValueError("a line has another number of values")
        self._ends: Places = ends.reshape(-1, columns)
        last = self._bytes[self._ends[:, -1]]
        if np.count_nonzero(self._bytes == _LINE_FEED) != len(last) or (last != _LINE_FEED).any():
            raise ValueError("a line has another number of values")
        self._starts = np.concatenate(([0], ends[:-1] + 1)).reshape(-1, columns)

    def __len__(self) -> int:
        return len(self._ends)

    def numbers(self, column: int) -> npt.NDArray[np.int64]:
        """The whole numbers in a column: (n,) int64.

        Raises:
            ValueError: a value is not a whole number.
        """
        starts, ends = self._starts[:, column], self._ends[:, column]
        if not len(self):
            return np.zeros(0, np.int64)
        is_negative = self._bytes[starts] == _MINUS
        starts = starts + is_negative
        lengths = ends - starts
        longest = int(lengths.max())
        if lengths.min() < 1 or longest > 18:
            raise ValueError("a value is not a whole number")
        values = np.zeros(len(self), np.int64)
        shared = int(lengths.min())
        for place in range(longest):
            # From the left; beyond the end of the shorter values there is nothing to add.
            here = starts + place
            if place < shared:
                values = values * 10 + self._digits(here)
            else:
                more = np.flatnonzero(lengths > place)
                values[more] = values[more] * 10 + self._digits(here[more])
        return np.where(is_negative, -values, values) if is_negative.any() else values

    def _digits(self, places: Places) -> Bytes:
        digits = self._bytes[places] - _ZERO  # what is below "0" wraps around
        if (digits > 9).any():
            raise ValueError("a value is not a whole number")
        return digits

    def texts(self, column: int) -> tuple[list[str], npt.NDArray[np.int64]]:
        """The different texts in a column, and which of them each row has: (n,) int64."""
        starts, ends = self._starts[:, column], self._ends[:, column]
        which = np.full(len(self), -1, np.int64)
        found: list[str] = []
        left = np.arange(len(self))
        while left.size:
            first = left[0]
            text = self._bytes[starts[first] : ends[first]]
            is_same = self._is_same(text, starts[left], ends[left])
            which[left[is_same]] = len(found)
            found.append(text.tobytes().decode())
            left = left[~is_same]
        return found, which

    def _is_same(self, text: Bytes, starts: Places, ends: Places) -> npt.NDArray[np.bool_]:
        is_same: npt.NDArray[np.bool_] = ends - starts == text.size
        for place, byte in enumerate(text.tolist()):
            # Past the end of a shorter text is another value or, at the end of all, the last byte.
            is_same &= self._bytes[np.minimum(starts + place, self._bytes.size - 1)] == byte
        return is_same

    def text(self, row: int, column: int) -> str:
        """One value."""
        return self._bytes[self._starts[row, column] : self._ends[row, column]].tobytes().decode()
