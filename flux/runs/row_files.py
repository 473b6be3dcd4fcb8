"""OUTCOME rows back from the files that `csv` and `ndjson` write, a few thousand at a time.

A last line that was cut is left out. Of CSV, lines without quotation marks are read by whole
columns, others, and NDJSON, line by line.
"""

import csv
import datetime
import io
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from flux.errors import FluxError
from flux.runs.number_columns import Table
from flux.schemas import ERROR_TEXTS, NOT_STARTED, OUTCOME, Flag, Rows

CHUNK_BYTES = 4 << 20
"""So much of a file is read at once."""

_TEXTS = ("step", "error", "flags", "target")
_FLAGS = {str(flag.name).lower(): int(flag) for flag in Flag}


@attrs.define
class RowFile:
    """A file of rows, and what was learnt of it so far."""

    use: str
    """Which stage wrote it: csv or ndjson."""
    path: pathlib.Path
    steps: list[str]
    """Names of the run's steps; those that are not known are added as they are found."""
    targets: list[str]
    """Names of its targets, likewise."""
    rows: int = 0
    cut_bytes: int = 0
    """How long the last line is, if it was cut."""
    started_at: datetime.datetime | None = None
    """Wall-clock time of 0 ns; None as long as no row tells."""

    def batches(self) -> Iterator[Rows]:
        """All rows.

        Raises:
            FluxError: the file cannot be read, or something in it is not a row.
        """
        read = self._csv_batches if self.use == "csv" else self._ndjson_batches
        try:
            with self.path.open("rb") as stream:
                for rows in read(stream):
                    self.rows += len(rows)
                    yield rows
        except OSError as error:
            raise FluxError(f"{self.path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise FluxError(f"{self.path}: not a row after row {self.rows}: {error}") from error

    def _chunks(self, stream: io.BufferedReader) -> Iterator[bytes]:
        """The rest of the file in pieces that end where a line ends."""
        rest = b""
        while chunk := stream.read(CHUNK_BYTES):
            head, separator, tail = chunk.rpartition(b"\n")
            if separator:
                yield rest + head + separator
                rest = tail
            else:
                rest += chunk
        self.cut_bytes = len(rest)

    def _csv_batches(self, stream: io.BufferedReader) -> Iterator[Rows]:
        names = stream.readline().decode().rstrip("\n").split(",")
        missing = [name for name in OUTCOME.columns if name not in names]
        if missing:
            raise ValueError(f"the header has no column {missing[0]}")
        for text in self._chunks(stream):
            if b'"' in text:
                reader = csv.DictReader(io.StringIO(text.decode(), newline=""), names)
                yield self._from_dicts(list(reader))
            else:
                yield self._from_table(Table(text, len(names)), names)

    def _ndjson_batches(self, stream: io.BufferedReader) -> Iterator[Rows]:
        for text in self._chunks(stream):
            yield self._from_dicts([json.loads(line) for line in text.splitlines()])

    def _from_table(self, table: Table, names: Sequence[str]) -> Rows:
        rows = OUTCOME.empty(len(table))
        for name in OUTCOME.columns:
            column = names.index(name)
            if name in _TEXTS:
                texts, which = table.texts(column)
                rows[name] = self._codes(name, texts)[which]
            else:
                rows[name] = table.numbers(column)
        if self.started_at is None and len(table):
            stamp = table.text(0, names.index("timestamp"))
            self.started_at = _zero(stamp, int(rows["due_ns"][0]))
        return rows

    def _from_dicts(self, tables: Sequence[Mapping[str, Any]]) -> Rows:
        rows = OUTCOME.empty(len(tables))
        # As NDJSON has these two for vegeta, under its names.
        for name in OUTCOME.columns:
            key = "code" if name == "status" and tables and "code" in tables[0] else name
            values = [table[key] for table in tables]
            if name in _TEXTS:
                different = dict.fromkeys(values)
                codes = dict(zip(different, self._codes(name, list(different)).tolist()))
                rows[name] = [codes[value] for value in values]
            else:
                rows[name] = [int(value) for value in values]
        if self.started_at is None:
            self.started_at = _first_zero(rows, tables)
        return rows

    def _codes(self, name: str, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """The numbers that stand for these texts in a column."""
        find: Mapping[str, Callable[[str], int]] = {
            "step": lambda text: _place(text, self.steps),
            "target": lambda text: _place(text, self.targets),
            "error": ERROR_TEXTS.index,
            "flags": lambda text: sum(_FLAGS[one] for one in text.split("|") if one),
        }
        return np.array([find[name](text) for text in texts], np.int64)


def _place(text: str, names: list[str]) -> int:
    if not text:
        return -1
    if text not in names:
        names.append(text)
    return names.index(text)


def _zero(stamp: str, since_ns: int) -> datetime.datetime:
    """When a run began, of which this is the time since it did."""
    # "2026-01-05T08:30:00.123456789+00:00": a datetime has microseconds only.
    whole = datetime.datetime.fromisoformat(stamp[:19] + stamp[29:])
    return whole + datetime.timedelta(microseconds=(int(stamp[20:29]) - since_ns) // 1000)


def _first_zero(rows: Rows, tables: Sequence[Mapping[str, Any]]) -> datetime.datetime | None:
    for row, table in zip(rows, tables):
        # Only of a request is it certain where `latency` begins, and so what `timestamp` is.
        if "latency" not in table:
            return _zero(table["timestamp"], int(row["due_ns"]))
        if not row["flags"] & int(NOT_STARTED):
            return _zero(table["timestamp"], int(row["end_ns"]) - table["latency"])
    return None
