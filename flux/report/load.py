"""All that a report is made from: the result, the rows if there are any, the pipeline as run."""

import pathlib
from typing import Any

import attrs

from flux.errors import FluxError
from flux.formats.detect import Found, detect
from flux.formats.input import Input
from flux.formats.read import read
from flux.formats.row_files import open_rows
from flux.formats.run_files import find_rows
from flux.report.fields import count, tables
from flux.report.grid import Grid
from flux.report.recorded import document_of
from flux.result_file import RESULT_FILE, Document, read_result
from flux.rows import Basis
from flux.run_folder import SESSION_FILE
from flux.runs.folders import RunFolder


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
    is_recorded: bool = False
    """Whether it is made from a file of requests or figures, and not from a result."""

    def beside(self, name: str) -> pathlib.Path:
        """Where a report of that name goes if nobody says otherwise."""
        if self.is_recorded:  # of several in a folder each gets its own
            return self.file.with_name(f"{self.file.name}.{name}")
        return self.file.with_name(name)


def load_material(source: Input, basis: Basis | None = None) -> Material:
    """Read what there is of a run.

    Args:
        source: its folder, or its result.json: rows and session file are those beside it; or a file
            that another tool has written.
        basis: what the latencies of such a file are counted from, if it does not say so.

    Raises:
        FluxError: there is nothing that this version can read.
    """
    path = source.path
    file = RunFolder(path).result_file if path.is_dir() else path
    if path.is_dir() and not file.exists():
        raise FluxError(
            f"{path} has no {RESULT_FILE}",
            hint="if it was killed and has rows, flux results repair makes a result of them; "
            "and rows alone can be reported, too",
        )
    found = detect(file)
    if found.format != "result":
        return _load_recorded(source, found, basis)
    document = read_result(file)
    grid, notes = _load_grid(file, document)
    return Material(document, file, grid, _session(file.parent), tuple(notes))


def _load_recorded(source: Input, found: Found, basis: Basis | None) -> Material:
    """What another tool has recorded: its rows are read once, for counts and charts."""
    grids: list[Grid] = []

    def new_grid() -> Grid:
        grids.append(Grid())
        return grids[-1]

    recording = source.named(read(source.path, basis=basis, watch=lambda: new_grid().add))
    for grid in grids[-1:]:
        for name in set(grid.latencies) - set(recording.latencies):
            del grid.latencies[name]
    return Material(
        document=document_of(recording),
        file=pathlib.Path("stdin") if source.is_piped else source.path,
        grid=grids[-1] if grids and grids[-1].requests else None,
        is_recorded=True,
    )


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
