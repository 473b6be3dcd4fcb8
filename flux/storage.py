"""What goes wrong with files and folders of results, in words: one message and a way out."""

import errno
import os
import pathlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from flux.errors import StorageFailed

_HINTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.ENOSPC: "free some space, or have it written to another disk",
        errno.EDQUOT: "free some space, or have it written where there is no quota",
        errno.EACCES: "have it written where you are allowed to, or change the permissions",
        errno.EPERM: "have it written where you are allowed to, or change the permissions",
        errno.EROFS: "the disk is mounted read-only: have it written to another",
        errno.ENXIO: "it is a named pipe that nobody reads: start the reader first",
        errno.ENOTDIR: "a part of this path is a file, and must be a folder",
        errno.EISDIR: "this is a folder, and must be a file",
        errno.EEXIST: "something else of this name is in the way",
        errno.EWOULDBLOCK: "another sink or run is writing to it: give this one a path of its own",
        errno.ENAMETOOLONG: "give it a shorter name",
        errno.EMFILE: "raise the limit of open files: ulimit -n",
    }
)


@contextmanager
def storing(what: str | os.PathLike[str], task: str = "write") -> Iterator[None]:
    """Raise what the system refuses in the block as `StorageFailed`, with a hint.

    Args:
        what: path or name of what is to be written.
        task: what could not be done with it.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = _HINTS.get(error.errno or 0)
        raise StorageFailed(f"cannot {task} {os.fspath(what)}: {reason}", hint=hint) from error


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Write a file as a whole or not at all, even if the machine loses power meanwhile.

    Raises:
        StorageFailed: it cannot be written; what stood there before still does.
    """
    with storing(path):
        path = path.resolve()  # a link stays one: what it leads to is written
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a device or pipe cannot be replaced, and must not be
            return
    unfinished = path.with_name(f".{path.name}.part")
    with storing(path):
        try:
            with unfinished.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
