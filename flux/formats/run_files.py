"""What a run's folder has for formats: its rows, and the names in its session file."""

import pathlib

import attrs

from flux.errors import FluxError
from flux.formats.detect import Found, detect
from flux.parts import Parts
from flux.pipeline import load
from flux.run_folder import SESSION_FILE
from flux.runs.folders import RunFolder


def find_rows(path: pathlib.Path) -> tuple[pathlib.Path, Found] | None:
    """The file with the rows of a run: that file itself, or one in the run's folder.

    A result.json has no rows, but the folder that it is in may.
    """
    if not path.is_dir():
        return path, detect(path)
    for file in RunFolder(path).row_files:
        try:
            found = detect(file)
        except FluxError:
            continue  # it is empty, or something else that ends in .csv
        if found.format in ("csv", "ndjson"):
            return file, found
    return None


@attrs.frozen
class Session:
    """What the session file of a run tells."""

    name: str
    """Of the pipeline."""
    parts: Parts
    """Its steps and targets."""


def find_session(folder: pathlib.Path) -> Session | None:
    """By the run's own session file; None if there is none, or it cannot be loaded any more.

    A secret that was left out of it, or a file that it names, may be missing by now.
    """
    session = folder / SESSION_FILE
    if not session.is_file():
        return None
    try:
        pipeline = load(session)
        return Session(pipeline.name, Parts.of(pipeline))
    except (FluxError, OSError):
        return None
