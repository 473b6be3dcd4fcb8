"""All that a report is made from: the result, the rows if there are any, the pipeline as run."""

import pathlib
from typing import Any

import attrs

from flux.errors import FluxError
from flux.formats.row_files import open_rows
from flux.formats.run_files import find_rows
from flux.report.fields import count, tables
from flux.report.grid import Grid
from flux.result_file import RESULT_FILE, Document, read_result
from flux.run_folder import SESSION_FILE


@attrs.frozen
class Material:
    """What is known of a run."""

    document: Document = attrs.field(repr=False)
    """What result.json holds."""
    file: pathlib.Path
    """Where that is."""
    grid: Grid | None = attrs.field(default=None, repr=False)
    """Its rows by time and latency; None if there are none."""
    session: str = attrs.field(default="", repr=False)
    """The pipeline as it ran, with secrets masked; empty if not known."""
    notes: tuple[str, ...] = ()
    """What could not be shown, and why."""


def load_material(path: pathlib.Path) -> Material:
    """Read what there is of a run.

    Args:
        path: of its folder, or of its result.json. Rows and session file are those beside it.

    Raises:
        FluxError: there is no result that this version can read.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    if path.is_dir() and not file.exists():
        raise FluxError(
            f"{path} has no {RESULT_FILE}",
            hint='add a stage with use = "json" to the pipeline; if it was killed and has rows, '
            "flux results repair makes a result of them",
        )
    document = read_result(file)
    grid, notes = _load_grid(file, document)
    return Material(document, file, grid, _session(file.parent), tuple(notes))


def _load_grid(file: pathlib.Path, document: Document) -> tuple[Grid | None, list[str]]:
    """A result that has another name may be of another run than the rows beside it."""
    without = "the heat map, service time over time and lag over time need a row per request: "
    rows = find_rows(file.parent) if file.name == RESULT_FILE else None
    if rows is None:
        return None, [without + 'add a stage with use = "csv" to the pipeline']
    try:
        reading, batches = open_rows(*rows)
        grid = Grid().add_all(batches)
    except FluxError as error:
        return None, [f"{without}{error.message}"]
    notes = list(reading.notes.warnings)
    known = sum(count(row, "requests") for row in tables(document, "series"))
    if known and grid.requests != known:
        return None, [
            f"{without}{rows[0].name} has {grid.requests:,} requests and {file.name} {known:,}, so "
            "it was left out"
        ]
    return (grid if grid.requests else None), notes


def _session(folder: pathlib.Path) -> str:
    try:
        return (folder / SESSION_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def run_of(document: Document) -> dict[str, Any]:
    """What was run: an empty table if the result does not say."""
    run = document.get("run")
    return run if isinstance(run, dict) else {}
