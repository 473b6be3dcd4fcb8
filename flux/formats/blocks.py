"""Rows of somebody's file by name of column, whether it is CSV or lines of JSON.

Two kinds of blocks answer the same questions. `FieldBlock` has the places of all fields in the text
and never looks at a row by itself; it is what CSV gives, and lines of JSON that all have the same
keys in the same order without anything nested. Other JSON becomes a `RecordBlock`: each line a
dict, which is ten times as slow.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from flux.formats.clock_times import epoch_ns, epoch_ns_of_fields
from flux.formats.fields import Fields, Integers, NotANumber, Text, TextCodes
from flux.formats.line_blocks import BrokenFile, LineBlock

_COMMA, _QUOTE, _LINE_FEED, _RETURN, _COLON = b',"\n\r:'
_OPEN, _CLOSE = b"{}"


Places = npt.NDArray[np.signedinteger[Any]]
"""(n, m): a place in the text for each field of each row."""


class Block(Protocol):
    """Some rows."""

    @property
    def names(self) -> frozenset[str]:
        """The columns there are."""

    def __len__(self) -> int:
        """How many rows there are."""

    def integers(self, name: str) -> Integers:
        """A column of whole numbers: (n,) int64, 0 where the column or its value is not there."""

    def decimals(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers: (n,) float64, 0 where the column or its value is not there."""

    def codes(self, name: str, codes: TextCodes) -> Integers:
        """A column of texts as their numbers: (n,) int64, that of "" where there is none."""

    def text(self, name: str, row: int) -> str:
        """One text; empty where there is none."""

    def times_ns(self, name: str) -> Integers:
        """A column of RFC 3339 times: (n,) int64, nanoseconds since 1970."""

    def broken(self, row: int, problem: str) -> BrokenFile:
        """What to raise about a row."""


class FieldBlock:
    """Rows by the places of their fields."""

    def __init__(self, block: LineBlock, columns: Mapping[str, Fields], rows: int) -> None:
        """Keep the columns, all of which have that many rows."""
        self._block = block
        self._columns = columns
        self._rows = rows

    @property
    def names(self) -> frozenset[str]:
        """The columns there are."""
        return frozenset(self._columns)

    def __len__(self) -> int:
        return self._rows

    def integers(self, name: str) -> Integers:
        """A column of whole numbers."""
        if name not in self._columns:
            return np.zeros(self._rows, np.int64)
        try:
            return self._columns[name].integers()
        except NotANumber as error:
            raise self.broken(
                error.row, f"has {name} {error.text!r}, which must be whole"
            ) from None

    def decimals(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers."""
        if name not in self._columns:
            return np.zeros(self._rows)
        try:
            return self._columns[name].decimals()
        except NotANumber as error:
            problem = f"has {name} {error.text!r}, which must be a number"
            raise self.broken(error.row, problem) from None

    def codes(self, name: str, codes: TextCodes) -> Integers:
        """A column of texts as their numbers."""
        if name not in self._columns:
            return np.full(self._rows, codes.number(""))
        return codes.numbers(self._columns[name])

    def text(self, name: str, row: int) -> str:
        """One text."""
        return self._columns[name].text(row) if name in self._columns else ""

    def times_ns(self, name: str) -> Integers:
        """A column of RFC 3339 times."""
        try:
            return epoch_ns_of_fields(self._columns[name])
        except NotANumber as error:
            problem = f"has {name} {error.text!r}, which must be a time (RFC 3339)"
            raise self.broken(error.row, problem) from None

    def broken(self, row: int, problem: str) -> BrokenFile:
        """What to raise about a row."""
        first = next(iter(self._columns.values()))
        return self._block.broken(int(first.starts[row]), problem)


class RecordBlock:
    """Rows as dicts."""

    def __init__(self, block: LineBlock, records: Sequence[Mapping[str, Any]]) -> None:
        """Keep the records, the n-th of which stands in the n-th line of the block."""
        self._block = block
        self._records = records

    @property
    def names(self) -> frozenset[str]:
        """The columns there are."""
        return frozenset().union(*self._records) if self._records else frozenset()

    def __len__(self) -> int:
        return len(self._records)

    def integers(self, name: str) -> Integers:
        """A column of whole numbers."""
        return np.array(self._values(name, int, "whole"), np.int64)

    def decimals(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers."""
        return np.array(self._values(name, (int, float), "a number"), np.float64)

    def codes(self, name: str, codes: TextCodes) -> Integers:
        """A column of texts as their numbers."""
        texts = [record.get(name) for record in self._records]
        numbers = [codes.number("" if text is None else str(text)) for text in texts]
        return np.array(numbers, np.int64)

    def text(self, name: str, row: int) -> str:
        """One text."""
        return str(self._records[row].get(name) or "")

    def times_ns(self, name: str) -> Integers:
        """A column of RFC 3339 times."""
        times = []
        for row, record in enumerate(self._records):
            try:
                times.append(epoch_ns(str(record.get(name))))
            except ValueError as error:
                raise self.broken(row, f"has {name} that {error}") from None
        return np.array(times, np.int64)

    def broken(self, row: int, problem: str) -> BrokenFile:
        """What to raise about a row."""
        return BrokenFile(self._block.path, self._block.line + row, problem)

    def _values(self, name: str, kinds: type | tuple[type, ...], rule: str) -> list[Any]:
        values = []
        for row, record in enumerate(self._records):
            value: Any = record.get(name)
            value = 0 if value is None else value
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            if not is_number or not -(2**63) < float(value) < 2**63:
                raise self.broken(row, f"has {name} {value!r}, which must be {rule}")
            values.append(value)
        return values


def csv_block(block: LineBlock, columns: Sequence[str]) -> FieldBlock:
    """The rows of CSV in these lines.

    Args:
        block: whole lines, RFC 4180; a line may end with a carriage return too.
        columns: their names, in order.

    Raises:
        BrokenFile: a line does not have as many fields.
    """
    text = Text(block.text)
    array = text.bytes
    is_separator = (array == _COMMA) | (array == _LINE_FEED)
    if b'"' in block.text:
        is_separator &= ~_inside_quotes(array)
    ends = np.flatnonzero(is_separator)
    widths = np.diff(np.flatnonzero(array[ends] == _LINE_FEED), prepend=-1)
    if (widths != len(columns)).any():
        row = int(np.flatnonzero(widths != len(columns))[0])
        byte = int(ends[widths[:row].sum()])
        raise block.broken(byte, f"must have {len(columns)} fields, got {widths[row]}")
    matrix = ends.reshape(-1, len(columns))
    starts = np.concatenate(([0], ends[:-1] + 1)).reshape(matrix.shape)
    matrix[:, -1] -= array[matrix[:, -1] - 1] == _RETURN
    return FieldBlock(block, _columns(text, columns, starts, matrix), len(matrix))


def json_block(block: LineBlock) -> Block:
    """The objects in these lines.

    Raises:
        BrokenFile: a line is not a JSON object.
    """
    return _flat_json(block) or RecordBlock(block, list(json_records(block)))


def json_records(block: LineBlock) -> Iterator[dict[str, Any]]:
    """The object in each line.

    Raises:
        BrokenFile: a line is not a JSON object.
    """
    for row, line in enumerate(block.text.splitlines()):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BrokenFile(block.path, block.line + row, f"is not JSON: {error}") from None
        if not isinstance(record, dict):
            raise BrokenFile(block.path, block.line + row, "must be a JSON object")
        yield record


def _flat_json(block: LineBlock) -> FieldBlock | None:
    """The objects if they have the same keys in the same order, without anything nested.

    A column that is null everywhere is not there.
    """
    if any(mark in block.text for mark in (b"\\", b"[", b"\r", b"\t", b": ", b", ")):
        return None  # escapes, arrays, or white space
    text = Text(block.text)
    array = text.bytes
    is_outside = ~_inside_quotes(array)
    colons: Places = np.flatnonzero((array == _COLON) & is_outside)
    ends: Places = np.flatnonzero(((array == _COMMA) | (array == _CLOSE)) & is_outside)
    rows = block.text.count(b"\n")
    opened = np.flatnonzero((array == _OPEN) & is_outside)
    if opened.size != rows or colons.size != ends.size or not rows or colons.size % rows:
        return None
    colons, ends = colons.reshape(rows, -1), ends.reshape(rows, -1)
    # Of each row: its first key begins after the brace, the others after what ends a value.
    key_starts = np.concatenate((opened[:, np.newaxis], ends[:, :-1]), axis=1) + 1
    is_flat = (
        (array[ends[:, :-1]] == _COMMA).all()
        and (array[ends[:, -1]] == _CLOSE).all()
        and (array[ends[:, -1] + 1] == _LINE_FEED).all()
    )
    if not is_flat:
        return None
    keys = [Fields(text, *_contiguous(key_starts, colons, index)) for index in range(ends.shape[1])]
    if any((key.hashes != key.hashes[0]).any() for key in keys):
        return None
    names = [key.text(0) for key in keys]
    columns = _columns(text, names, colons + 1, ends)
    nulls = {name: 0 if one.has_quotes else one.count(b"null") for name, one in columns.items()}
    if any(count not in (0, rows) for count in nulls.values()):
        return None
    known = {name: one for name, one in columns.items() if not nulls[name]}
    return FieldBlock(block, known, rows) if known else None


def _columns(text: Text, names: Sequence[str], starts: Places, ends: Places) -> dict[str, Fields]:
    return {
        name: Fields(text, *_contiguous(starts, ends, index)) for index, name in enumerate(names)
    }


def _contiguous(starts: Places, ends: Places, index: int) -> tuple[Integers, Integers]:
    return np.ascontiguousarray(starts[:, index]), np.ascontiguousarray(ends[:, index])


def _inside_quotes(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which bytes are inside of quotes; the opening one is, the closing one is not."""
    return np.bitwise_xor.accumulate(array == _QUOTE)
