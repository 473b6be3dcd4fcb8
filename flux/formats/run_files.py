"""Where a run is: from what people call it to its files."""

import pathlib
from typing import Final

import attrs

from flux.errors import FluxError, UsageError
from flux.formats.detect import Found, detect
from flux.parts import Parts
from flux.pipeline import load
from flux.run_folder import SESSION_FILE

RESULT_FILE: Final = "result.json"
_USUAL: Final = ("requests.csv", "requests.ndjson")


def find_run(name: str, results: pathlib.Path) -> pathlib.Path:
    """The folder or file that is meant.

    Args:
        name: a run's number, its folder, or a file.
        results: folder of all runs.

    Raises:
        UsageError: there is nothing of that name.
    """
    if name.isascii() and name.isdigit():
        folder = results / f"result_{int(name)}"
        if folder.is_dir():
            return folder
        if not pathlib.Path(name).exists():
            runs = sorted(
                int(run.name[7:]) for run in results.glob("result_*") if run.name[7:].isdigit()
            )
            hint = f"there are {runs[0]} to {runs[-1]}" if runs else "there are no runs yet"
            raise UsageError(f"there is no run {name} in {results}", hint=hint)
    path = pathlib.Path(name)
    if not path.exists():
        raise UsageError(f"there is no {name}", hint="give a run's number, its folder, or a file")
    return path


def find_rows(path: pathlib.Path) -> tuple[pathlib.Path, Found] | None:
    """The file with the rows of a run: that file itself, or one in the run's folder.

    A result.json has no rows, but the folder that it is in may.
    """
    if path.is_dir():
        usual = [path / name for name in _USUAL]
        others = sorted({*path.glob("*.csv"), *path.glob("*.ndjson")} - set(usual))
        for file in (*usual, *others):
            if file.is_file() and file.stat().st_size:
                found = _detected(file)
                if found and found.format in ("csv", "ndjson"):
                    return file, found
        return None
    return path, detect(path)


def _detected(path: pathlib.Path) -> Found | None:
    try:
        return detect(path)
    except FluxError:
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
