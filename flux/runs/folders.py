"""The folders of runs: which there are, what is in them, and what became of each run.

A run goes on if it holds the lock on its log. One that does not has come to its end if it wrote so
in its log; else it was killed.
"""

import enum
import os
import pathlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import attrs
import tomli

from flux.errors import ExitCode, FluxError, UsageError
from flux.log import LOG_FILE
from flux.result_file import RESULT_FILE, Document, read_result
from flux.run_folder import RUN_FOLDER_NAME, SESSION_FILE, is_held

_ENDED: Final = re.compile(
    r"run .* ended (?:with exit code (\d+) \(\w+\)|before its first arrival(?:: .*)?)$"
)
_TAIL_BYTES: Final = 1 << 16
_HEADER: Final = re.compile(r"^# (\w+): (.*)$", re.MULTILINE)

ROW_FILES: Final[Mapping[str, str]] = {"csv": "requests.csv", "ndjson": "requests.ndjson"}
"""Stages that write rows, and to which file unless they say otherwise."""


class State(enum.StrEnum):
    """What became of a run."""

    RUNNING = "running"
    """It goes on."""
    VALID = "VALID"
    """It ended, and its numbers can be trusted."""
    INVALID = "INVALID"
    """It ended, and they cannot."""
    FAILED = "FAILED"
    """It ended because of a failure, or was interrupted before it began."""
    KILLED = "killed"
    """It was ended from outside and could not say what it had seen."""
    REPAIRED = "repaired"
    """The same, but its result was made from its rows."""


@attrs.frozen(slots=False)  # with a dictionary, in which what was read is kept
class RunFolder:
    """The folder of one run."""

    path: pathlib.Path

    @property
    def number(self) -> int | None:
        """Of the run; None if the folder has a name of its own."""
        match = RUN_FOLDER_NAME.fullmatch(self.path.resolve().name)
        return int(match[1]) if match else None

    @property
    def title(self) -> str:
        """What to call it in messages."""
        return f"run {self.number}" if self.number is not None else f"the run in {self.path}"

    @cached_property
    def session(self) -> Mapping[str, Any]:
        """The pipeline as it ran, with secrets left out; nothing if that cannot be read."""
        try:
            return tomli.loads(self.session_text)
        except tomli.TOMLDecodeError:
            return {}

    @cached_property
    def session_text(self) -> str:
        """The file that repeats the run; empty if it is not there."""
        try:
            return (self.path / SESSION_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    @property
    def started_at(self) -> str | None:
        """When it began, as its session file has it."""
        return dict(_HEADER.findall(self.session_text)).get("started_at")

    @property
    def log_file(self) -> pathlib.Path:
        """Its log."""
        return self.path / LOG_FILE

    @property
    def result_file(self) -> pathlib.Path:
        """Its result, or where that would be."""
        return self.path / RESULT_FILE

    @property
    def row_files(self) -> list[pathlib.Path]:
        """The files that may have its rows, those that are quicker to read first."""
        known = [self._file_of(use, name) for use, name in ROW_FILES.items()]
        others = [file for use in ROW_FILES for file in sorted(self.path.glob(f"*.{use}"))]
        return [file for file in dict.fromkeys([*known, *others]) if file.is_file()]

    @cached_property
    def result(self) -> Document | None:
        """What the run has shown; None if it wrote no result.

        Raises:
            FluxError: there is one that cannot be read.
        """
        return read_result(self.result_file) if self.result_file.is_file() else None

    @cached_property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return is_held(self.path)

    @cached_property
    def exit_code(self) -> int | None:
        """Of the run, by its log; None if that does not say that it ended."""
        try:
            with self.log_file.open("rb") as stream:
                stream.seek(-min(_TAIL_BYTES, os.fstat(stream.fileno()).st_size), os.SEEK_END)
                lines = stream.read().decode(errors="replace").splitlines()
        except OSError:
            return None
        found = (_ENDED.search(line) for line in reversed(lines))
        return next((int(match[1] or ExitCode.FAILURE) for match in found if match), None)

    @cached_property
    def state(self) -> State:
        """What became of the run."""
        if self.is_running:
            return State.RUNNING
        result = self.result
        if result is not None and result.get("repaired"):
            return State.REPAIRED
        if self.exit_code in (ExitCode.FAILURE, ExitCode.INTERRUPTED):
            return State.FAILED
        if result is not None and result["complete"]:
            return State.VALID if result["validity"]["valid"] else State.INVALID
        if self.exit_code is None or result is not None:
            return State.KILLED
        return State.INVALID if self.exit_code == ExitCode.INVALID_RUN else State.VALID

    def _file_of(self, use: str, name: str) -> pathlib.Path:
        """Where the run's stage of that kind wrote to; what is outside may be another run's."""
        for table in self.session.get("stage", ()):
            if isinstance(table, dict) and table.get("use") == use and "path" in table:
                file = self.path / str(table["path"])
                if file.resolve().is_relative_to(self.path.resolve()):
                    return file
        return self.path / name


def find_runs(results: pathlib.Path) -> list[RunFolder]:
    """All runs in a folder, in the order of their numbers; none if it is not there."""
    try:
        names = os.listdir(results)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FluxError(f"{results} cannot be read: {error.strerror}") from error
    found = [RunFolder(results / name) for name in names if RUN_FOLDER_NAME.fullmatch(name)]
    return sorted(found, key=lambda one: one.number or 0)


def find_path(which: str, results: pathlib.Path) -> pathlib.Path:
    """The folder of a run, or a file: what people call it by.

    Args:
        which: a run's number, `last`, or the path of its folder or of a file.
        results: folder of all runs.

    Raises:
        UsageError: there is nothing of that name.
    """
    folder, path = results / f"result_{which}", pathlib.Path(which)
    try:
        if which.isascii() and which.isdecimal() and folder.is_dir():
            return folder
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{which} cannot be looked at: {reason}") from error
    runs = find_runs(results)
    if which == "last" and runs:
        return runs[-1].path
    there_are = f"there are {runs[0].number} to {runs[-1].number}" if runs else None
    if which == "last" or which.isdecimal():
        what = "there are no runs" if which == "last" else f"there is no run {which}"
        raise UsageError(f"{what} in {results}", hint=there_are or "--results names another folder")
    hint = "give a run's number, `last`, or the path of a folder or file"
    raise UsageError(f"there is no {which}", hint=f"{hint}; {there_are}" if there_are else hint)


def find_run(which: str, results: pathlib.Path) -> RunFolder:
    """One run with all that its folder has: called as for `find_path`, or by a file in the folder.

    Raises:
        UsageError: there is no such run.
    """
    path = find_path(which, results)
    folder = path.parent if path.is_file() else path
    if not any((folder / name).is_file() for name in (LOG_FILE, RESULT_FILE)):
        hint = f"the folder of a run has its {LOG_FILE}; see `flux results list`"
        raise UsageError(f"there is no run in {folder}", hint=hint)
    return RunFolder(folder)
