"""What is read: a run's folder, a file, or what comes through a pipe.

Files are read more than once, so what comes through a pipe is put into a temporary file first. It
is looked at as soon as its beginning is there: what is no file of a run is not copied to its end.
"""

import pathlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Final

import attrs

from flux.errors import FluxError, UsageError
from flux.formats.detect import detect
from flux.formats.recording import Recording
from flux.runs.folders import find_path
from flux.storage import storing

STANDARD_INPUT: Final = "-"

MOST_BYTES: Final = 1 << 34
"""As much is taken from a pipe: ten million rows of JSON are a third of it."""

_CHUNK_BYTES: Final = 1 << 20


@attrs.frozen
class Input:
    """Something to read."""

    path: pathlib.Path
    """Where it is."""
    name: str
    """What people call it."""
    is_piped: bool = False
    """Whether it came through a pipe, and `path` is a file that nobody knows."""

    def told(self, text: str) -> str:
        """A message about it, with its name in place of such a path."""
        return text.replace(str(self.path), self.name) if self.is_piped else text

    def named(self, recording: Recording) -> Recording:
        """What was read of it, with its name wherever such a path would stand."""
        if not self.is_piped:
            return recording
        return attrs.evolve(
            recording,
            name=recording.name or self.name,
            warnings=tuple(map(self.told, recording.warnings)),
        )


@contextmanager
def open_input(which: str, results: pathlib.Path) -> Iterator[Input]:
    """Find what is to be read; it is there for as long as the block lasts.

    Args:
        which: "-" for standard input, a named pipe, or what `find_path` finds.
        results: folder of all runs.

    Raises:
        UsageError: there is nothing of that name.
        FluxError: what comes through a pipe is too much, or nothing that flux can read.
    """
    with ExitStack() as stack:
        if which == STANDARD_INPUT:
            name, stream = "standard input", _standard_input()
        else:
            path = find_path(which, results)
            if path.is_dir() or path.is_file():
                yield Input(path, which)
                return
            name, stream = which, stack.enter_context(_open_pipe(path))
        with storing(tempfile.gettempdir(), "make a file in"):
            spool = stack.enter_context(tempfile.NamedTemporaryFile(prefix="flux-"))
        found = Input(pathlib.Path(spool.name), name, is_piped=True)
        try:
            _copy(stream, spool, found)
            yield found
        except FluxError as error:
            # The class says which exit code it has: only what it says is changed.
            error.message = found.told(error.message)
            raise


def _standard_input() -> IO[bytes]:
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("standard input is closed")
    if sys.stdin.isatty():
        hint = "as in: vegeta encode --to json results.bin | flux report -"
        raise UsageError("standard input is a terminal: nothing is piped in", hint=hint)
    return sys.stdin.buffer


def _open_pipe(path: pathlib.Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise FluxError(f"{path} cannot be read: {error.strerror}") from error


def _copy(stream: IO[bytes], spool: IO[bytes], found: Input) -> None:
    size, is_known = 0, False
    while chunk := _next_chunk(stream, found):
        size += len(chunk)
        if size > MOST_BYTES:
            hint = "put it into a file, and name that"
            raise FluxError(f"{found.name} has more than {MOST_BYTES >> 30} GiB", hint=hint)
        with storing(spool.name):
            spool.write(chunk)
            spool.flush()
        if not is_known and b"\n" in chunk:
            detect(found.path)
            is_known = True


def _next_chunk(stream: IO[bytes], found: Input) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as error:
        raise FluxError(f"{found.name} cannot be read: {error.strerror}") from error
