"""From rows to a format with a row per request, a batch at a time."""

import pathlib
from collections.abc import Iterator
from typing import IO

import attrs

from flux.errors import FluxError
from flux.formats.detect import Found
from flux.formats.facts import Facts
from flux.formats.parquet import ROWS_PER_GROUP, open_parquet
from flux.formats.reading import LATENCY_OF, Reading
from flux.formats.row_files import open_rows
from flux.formats.row_formats import K6_FORMATS, LINE_FORMATS
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
    reading: Reading, batches: Iterator[Rows], form: str, basis: Basis | None, stream: IO[bytes]
) -> list[str]:
    """Write rows as lines.

    Args:
        reading: what is known of the rows.
        batches: the rows.
        form: one of LINE_FORMATS.
        basis: what latencies are to be counted from; None: from when requests were due, if that is
            told.
        stream: where the lines go.

    Returns:
        What was left out, a line each.

    Raises:
        FluxError: the rows do not tell what is to be written.
    """
    writer = _LineWriter(reading.path, form, basis, stream)
    for rows in batches:
        writer.write(rows, reading.facts())
    writer.finish(reading.facts())
    notes = [*reading.notes.warnings, *_filled_in(reading, form)]
    if writer.left_out:
        notes.append(
            f"{writer.left_out} rows are left out: {form} has nothing for what they stand for, "
            "such as arrivals that were never started"
        )
    return notes


_OWN_COLUMNS = frozenset({"csv", "vegeta-json", "parquet"})
"""Formats with flux's own columns, both `due_ns` and `start_ns` among them."""


def _filled_in(reading: Reading, form: str) -> Iterator[str]:
    bases = reading.facts().bases
    if form in _OWN_COLUMNS and len(bases) == 1:
        (known,) = bases
        other = "start" if known == "due" else "due"
        yield (
            f"{reading.path} tells {LATENCY_OF[known]} times only: {other}_ns is filled in with "
            f"{known}_ns"
        )


@attrs.define
class _LineWriter:
    _path: pathlib.Path
    _form: str
    _basis: Basis | None
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
            basis = self._told_basis(facts)
            self._facts, self._format = facts, LINE_FORMATS[self._form](facts, basis)
            if is_first:
                self._stream.write(self._format.header)
        return self._format

    def _told_basis(self, facts: Facts) -> Basis:
        wanted = "start" if self._form in K6_FORMATS else self._basis
        if wanted is None:
            return "start" if facts.bases == ("start",) else "due"
        if facts.bases and wanted not in facts.bases:
            raise FluxError(f"{self._path} does not tell {LATENCY_OF[wanted]} times")
        return wanted


def convert_parquet(reading: Reading, batches: Iterator[Rows], stream: IO[bytes]) -> list[str]:
    """Write rows as Parquet.

    Returns:
        What was left out, a line each.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    with open_parquet(stream) as writer:
        waiting: list[Rows] = []
        for rows in batches:
            waiting.append(rows)
            if sum(map(len, waiting)) >= ROWS_PER_GROUP:
                writer.write_all(waiting, reading.facts())
                waiting = []
        writer.write_all(waiting, reading.facts())
    return [*reading.notes.warnings, *_filled_in(reading, "parquet")]
