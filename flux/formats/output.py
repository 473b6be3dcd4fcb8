"""Where a conversion goes: a file that is there as a whole or not at all, or standard output."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator
from typing import IO

from flux.errors import UsageError
from flux.storage import check_folder, storing

STANDARD_OUTPUT = "-"


@contextlib.contextmanager
def open_output(out: str, *, is_binary: bool = False) -> Iterator[IO[bytes]]:
    """A stream to write to.

    Args:
        out: path of a file, or "-". The file appears when the block is left without an exception.
        is_binary: it is not for a terminal.

    Raises:
        UsageError: it would be written to a terminal.
        StorageFailed: the file cannot be written.
    """
    if out == STANDARD_OUTPUT:
        if is_binary and sys.stdout.isatty():
            raise UsageError("this format is not for a terminal", hint="name a file by --out")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = pathlib.Path(out)
    if path.exists() and not path.is_file():
        with storing(path), path.open("wb") as stream:  # a device or pipe: it cannot be replaced
            yield stream
        return
    unfinished = path.with_name(f".{path.name}.part")
    check_folder(path)
    with storing(path):
        try:
            with unfinished.open("wb") as stream:
                yield stream
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
