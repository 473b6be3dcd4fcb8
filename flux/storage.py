"""What goes wrong with files and folders of results, in words: one message and a way out."""

import difflib
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


def check_folder(file: pathlib.Path) -> None:
    """Raise `StorageFailed` if there is no folder for a file that somebody wants written there.

    Folders are made for nobody but a run, in its own: one that is not there is most often mistyped.
    """
    folder = file.parent
    if folder.is_dir():
        return
    with storing(file):
        if folder.exists():
            raise NotADirectoryError(errno.ENOTDIR, "")
    raise StorageFailed(
        f"cannot write {file}: there is no folder {folder}", hint=_nearest_folder(folder)
    )


def place_in(folder: pathlib.Path, path: str) -> pathlib.Path:
    """Where a file goes whose path is relative to a run's folder, or absolute.

    Raises:
        StorageFailed: it is outside of the run's folder, in one that is not there.
    """
    file = folder / path
    if pathlib.Path(os.path.normpath(file)).is_relative_to(os.path.normpath(folder)):
        with storing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
    check_folder(file)
    return file


def _nearest_folder(folder: pathlib.Path) -> str:
    """What there is of the way to a folder, and what its next part may have been meant to be."""
    missing = folder
    while not missing.parent.is_dir() and missing.parent != missing:
        missing = missing.parent
    try:
        names = [one.name for one in missing.parent.iterdir() if one.is_dir()]
    except OSError:
        names = []
    close = difflib.get_close_matches(missing.name, names, n=1)
    if close:
        return f"did you mean {str(missing.parent / close[0])!r}?"
    return f"make it first; what there is of it is {str(missing.parent)!r}"


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Write a file as a whole or not at all, even if the machine loses power meanwhile.

    Raises:
        StorageFailed: it cannot be written; what stood there before still does.
    """
    with storing(path):
        place = path.resolve()  # a link stays one: what it leads to is written
        if place.exists() and not place.is_file():
            place.write_bytes(data)  # a device or pipe cannot be replaced, and must not be
            return
    check_folder(path)
    unfinished = place.with_name(f".{place.name}.part")
    with storing(path):
        try:
            with unfinished.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(place)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
