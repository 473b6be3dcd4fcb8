"""How OUTCOME rows become text: a format that all sinks and converters of lines share. Pure.

A row may be a line, several lines or nothing at all. So a format is made of parts: which rows have
one, and the pieces (see `flux.text_columns`) that it is made of.
"""

from collections.abc import Callable, Iterable, Iterator

import attrs
import numpy as np
import numpy.typing as npt

from flux.schemas import Rows
from flux.text_columns import Words, join

Pieces = Callable[[Rows], Iterable[Words]]
"""The pieces of each row's text, from left to right."""

Selection = Callable[[Rows], npt.NDArray[np.bool_]]
"""Which rows have it: (n,) for n rows."""


@attrs.frozen(eq=False)
class LineFormat:
    """How OUTCOME rows become lines."""

    header: bytes
    """What stands before the first line; maybe nothing."""
    _parts: tuple[tuple[Selection, Pieces], ...] = attrs.field(repr=False)

    def lines(self, rows: Rows) -> bytes:
        """The text of these rows: the first part of all of them, then the second, and so on.

        Returns:
            Whole lines, each with its line feed.

        Raises:
            IndexError: a row's step or error is not one of the run's.
        """
        return b"".join(self.chunks(rows))

    def chunks(self, rows: Rows) -> Iterator[bytes | bytearray]:
        """The same a chunk at a time, of which many are empty: little is done for each.

        Of 512 rows nothing takes longer than about a tenth of a millisecond, so that who shares a
        thread with others can give them a turn in between.
        """
        for has_part, make_pieces in self._parts:
            is_chosen = has_part(rows)
            some = rows if is_chosen.all() else rows[is_chosen]
            pieces = []
            for piece in make_pieces(some) if len(some) else ():
                pieces.append(piece)
                yield b""
            yield join(len(some), pieces)

    def count_left_out(self, rows: Rows) -> int:
        """How many of these rows have no part."""
        has_any = np.zeros(len(rows), np.bool_)
        for has_part, _ in self._parts:
            has_any |= has_part(rows)
        return int(np.count_nonzero(~has_any))


def all_rows(rows: Rows) -> npt.NDArray[np.bool_]:
    """Requests, and arrivals that were never started."""
    return np.ones(len(rows), np.bool_)
