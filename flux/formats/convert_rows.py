"""From rows to a format with a row per request, a batch at a time."""

import pathlib
from collections.abc import Callable, Iterator
from typing import IO

import attrs

from flux.formats.detect import Found
from flux.formats.facts import Facts
from flux.formats.parquet import ROWS_PER_GROUP, ParquetWriter
from flux.formats.reading import Reading
from flux.formats.row_files import open_rows
from flux.formats.row_formats import LINE_FORMATS
from flux.formats.run_files import find_session
from flux.line_format import LineFormat
from flux.rows import Basis
from flux.schemas import Rows

ROWS_AT_ONCE = 1024
"""As many become text at once: their pieces stay in the cache."""


def open_named_rows(path: pathlib.Path, found: Found) -> tuple[Reading, Iterator[Rows]]:
    """The rows of a file; what they do not tell of steps, the session file beside them does."""
    reading, batches = open_rows(path, found)
    session = find_session(path.parent) if found.format in ("csv", "ndjson") else None
    if session is not None:
        parts, reading.name = session.parts, session.name
        for step, request in zip(parts.steps, parts.requests):
            reading.requests[reading.steps.number(step)] = request
        for target, url in zip(parts.targets, parts.target_urls):
            reading.target_urls[reading.targets.number(target)] = url
    return reading, batches


def convert_lines(
    reading: Reading, batches: Iterator[Rows], form: str, basis: Basis, stream: IO[bytes]
) -> list[str]:
    """Write rows as lines.

    Returns:
        What was left out, a line each.
    """
    writer = _LineWriter(LINE_FORMATS[form], basis, stream)
    for rows in batches:
        writer.write(rows, reading.facts())
    writer.finish(reading.facts())
    notes = list(reading.notes.warnings)
    if writer.left_out:
        notes.append(
            f"{writer.left_out} rows are left out: {form} has nothing for what they stand for, "
            "such as arrivals that were never started"
        )
    return notes


@attrs.define
class _LineWriter:
    _make: Callable[[Facts, Basis], LineFormat]
    _basis: Basis
    _stream: IO[bytes]
    _facts: Facts | None = None
    _format: LineFormat | None = None
    left_out: int = 0

    def write(self, rows: Rows, facts: Facts) -> None:
        """Write a batch; names that have come up since the last one are known now."""
        line_format = self._format_for(facts)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            self._stream.write(line_format.lines(part))
        self.left_out += line_format.count_left_out(rows)

    def finish(self, facts: Facts) -> None:
        """A file without rows has a header too."""
        self._format_for(facts)

    def _format_for(self, facts: Facts) -> LineFormat:
        if self._format is None or facts != self._facts:
            is_first = self._format is None
            self._facts, self._format = facts, self._make(facts, self._basis)
            if is_first:
                self._stream.write(self._format.header)
        return self._format


def convert_parquet(reading: Reading, batches: Iterator[Rows], stream: IO[bytes]) -> list[str]:
    """Write rows as Parquet.

    Returns:
        What was left out, a line each.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    writer = ParquetWriter(stream)
    waiting: list[Rows] = []
    for rows in batches:
        waiting.append(rows)
        if sum(map(len, waiting)) >= ROWS_PER_GROUP:
            writer.write_all(waiting, reading.facts())
            waiting = []
    writer.write_all(waiting, reading.facts())
    writer.close()
    return list(reading.notes.warnings)
