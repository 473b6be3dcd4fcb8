"""Files with a row per request, whoever wrote them, as batches of OUTCOME rows."""

import pathlib
from collections.abc import Iterator

from flux.errors import FluxError
from flux.formats.blocks import Block, csv_block, json_block
from flux.formats.detect import ROW_FORMATS, Found
from flux.formats.foreign_rows import jtl_rows, vegeta_rows
from flux.formats.k6_rows import csv_points, json_points, k6_rows
from flux.formats.line_blocks import LineBlock, line_blocks
from flux.formats.own_rows import own_rows
from flux.formats.reading import Reading
from flux.rows import Basis
from flux.schemas import Rows


def open_rows(
    path: pathlib.Path, found: Found, *, basis: Basis | None = None
) -> tuple[Reading, Iterator[Rows]]:
    """The rows of a file, read as they are asked for.

    Args:
        path: the file.
        found: what it is; one of ROW_FORMATS.
        basis: what its latencies are counted from, if it does not say so: "start" if None.

    Returns:
        What the rows' numbers stand for, which grows as they are read, and the rows.

    Raises:
        FluxError: it is not a file of rows, or, when they are asked for, a row is broken.
    """
    reading = Reading(path)
    return reading, read_rows(reading, found, basis)


def read_rows(reading: Reading, found: Found, basis: Basis | None = None) -> Iterator[Rows]:
    """The same into a reading that knows something already, such as names of steps.

    Raises:
        FluxError: it is not a file of rows, or, when they are asked for, a row is broken.
    """
    if found.format not in ROW_FORMATS:
        raise FluxError(f"{reading.path} has no rows: it is {found.format}")
    lines = line_blocks(
        reading.path,
        reading.notes,
        is_csv=bool(found.columns),
        skip_lines=1 if found.has_header else 0,
    )
    if found.format in ("csv", "ndjson"):
        return own_rows(reading, _blocks(lines, found))
    if found.format == "k6-json":
        return k6_rows(reading, json_points(lines))
    if found.format == "k6-csv":
        return k6_rows(reading, csv_points(lines, list(found.columns)))
    blocks = _blocks(lines, found)
    if found.format == "jtl":
        return jtl_rows(reading, blocks, basis)
    if found.format == "vegeta-csv":
        return vegeta_rows(reading, blocks, basis, lambda block: block.integers("timestamp"))
    return vegeta_rows(reading, blocks, basis, lambda block: block.times_ns("timestamp"))


def _blocks(lines: Iterator[LineBlock], found: Found) -> Iterator[Block]:
    for block in lines:
        yield csv_block(block, found.columns) if found.columns else json_block(block)
