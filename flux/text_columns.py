"""Lines of text from columns of numbers, a column at a time: no loop over rows.

Strategy. Each line is a row of a matrix of four-byte words, and each piece of a line (a constant, a
text from a table, four digits of a number) is one or more of its columns, filled up with NUL bytes.
At the end one pass over the matrix deletes the NULs, and what is left are the lines. Numbers are
cut into groups of four digits, each looked up in a table; a group that only has zeros above it is
looked up in the part of the table that has no leading zeros.

So no text may have NUL bytes of its own: they would be lost.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.uint32]
"""Four bytes of text each: (n,) or (n, w) with n rows, or (1, w) for the same in every row."""

_GROUP = 10_000
_WORD_BYTES = 4


def text_table(texts: Sequence[bytes]) -> Words:
    """Texts as rows of words, of which `table[codes]` makes a piece of a line.

    Args:
        texts: at least one, without NUL bytes.

    Returns:
        (len(texts), w), as wide as the longest needs.
    """
    longest_bytes = max(len(text) for text in texts)
    width = max(1, -(-longest_bytes // _WORD_BYTES))
    padded = np.array(texts, f"S{width * _WORD_BYTES}")
    return padded.view(np.uint32).reshape(len(texts), width)


def constant(text: bytes) -> Words:
    """The same text in every row."""
    return text_table([text])


def whole_numbers(values: npt.NDArray[np.integer[Any]]) -> Iterator[Words]:
    """Pieces with the decimal text of each number, the leading digits first.

    Args:
        values: (n,) of any integer type that int64 holds.
    """
    magnitudes = values.astype(np.int64)
    if magnitudes.size and magnitudes.min() < 0:
        yield text_table([b"", b"-"])[(magnitudes < 0).view(np.int8)]
        # As unsigned, since the smallest int64 has no negative.
        magnitudes = np.abs(magnitudes).view(np.uint64)
    yield from reversed(_groups(magnitudes))


def digits(values: npt.NDArray[np.int64], count: int) -> Iterator[Words]:
    """Pieces with each number's last `count` digits, leading zeros kept.

    Args:
        values: (n,) int64, 0 or greater.
        count: at least 1.
    """
    if count > _WORD_BYTES:
        above, values = np.divmod(values, 10**_WORD_BYTES)
        yield from digits(above, count - _WORD_BYTES)
        count = _WORD_BYTES
    yield _fixed_width_groups(count)[values % 10**count]


def join(row_count: int, pieces: Sequence[Words]) -> bytearray:
    """The lines, one after the other: in each row its part of every piece.

    Args:
        row_count: how many rows there are.
        pieces: in the order in which they stand in a line.
    """
    widths = [piece.shape[1] if piece.ndim == 2 else 1 for piece in pieces]
    buffer = bytearray(row_count * sum(widths) * _WORD_BYTES)
    matrix = np.frombuffer(buffer, np.uint32).reshape(row_count, sum(widths))
    start = 0
    for piece, width in zip(pieces, widths):
        if piece.ndim == 1:
            matrix[:, start] = piece
        else:
            matrix[:, start : start + width] = piece
        start += width
    return buffer.translate(None, b"\0")


def _groups(rest: npt.NDArray[Any]) -> list[Words]:
    """Digits by fours, the last four first, until there is nothing left in any row."""
    table, found = _group_table(), []
    if_nothing_above = _GROUP
    while True:
        above = rest // _GROUP
        if not above.any():
            found.append(table[rest.view(np.int64) + if_nothing_above])
            return found
        codes = (rest - above * _GROUP).view(np.int64)
        codes += (above == 0) * if_nothing_above
        found.append(table[codes])
        rest, if_nothing_above = above, 2 * _GROUP


@cache
def _group_table() -> Words:
    """Three parts of 10,000: with leading zeros; without; without, and nothing at all for 0."""
    parts = (
        *(b"%04d" % value for value in range(_GROUP)),
        *(b"%d" % value for value in range(_GROUP)),
        *(b"%d" % value if value else b"" for value in range(_GROUP)),
    )
    return text_table(parts).reshape(-1)


@cache
def _fixed_width_groups(count: int) -> Words:
    return text_table([b"%0*d" % (count, value) for value in range(10**count)]).reshape(-1)
