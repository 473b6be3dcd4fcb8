"""A file of lines, some megabytes at a time, cut where a line ends."""

import gzip
import pathlib
from collections.abc import Iterator
from typing import IO

import attrs
import numpy as np

from flux.errors import FluxError

BLOCK_BYTES = 1 << 20
"""As much is looked at at once: small enough for its arrays to stay in the cache."""

LONGEST_LINE_BYTES = 1 << 26
"""What is longer is no line."""

_GZIP = b"\x1f\x8b"
_QUOTE, _LINE_FEED = ord('"'), ord("\n")


class BrokenFile(FluxError):
    """A file cannot be read any further: says in which line, and why."""

    def __init__(self, path: pathlib.Path, line: int, problem: str) -> None:
        super().__init__(f"line {line} of {path} {problem}")


@attrs.frozen
class LineBlock:
    """Whole lines."""

    path: pathlib.Path
    text: bytes = attrs.field(repr=False)
    """Ends with a line feed."""
    line: int
    """Number of the first line in the file, from 1."""

    def broken(self, byte: int, problem: str) -> BrokenFile:
        """What to raise about the line in which that byte is."""
        return BrokenFile(self.path, self.line + self.text.count(b"\n", 0, byte), problem)


def open_file(path: pathlib.Path) -> IO[bytes] | gzip.GzipFile:
    """The file's bytes, unpacked if it is a gzip file.

    Raises:
        FluxError: it cannot be opened.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise FluxError(f"{path} cannot be read: {error.strerror}") from error
    start = stream.read(2)
    if not stream.seekable():
        stream.close()
        raise FluxError(f"{path} must be a file, as it is read more than once")
    stream.seek(0)
    if start != _GZIP:
        return stream
    stream.close()
    return gzip.open(path)


def line_blocks(
    path: pathlib.Path, warnings: list[str], *, is_csv: bool = False, skip_lines: int = 0
) -> Iterator[LineBlock]:
    """The file's lines from the top.

    Args:
        path: the file.
        warnings: told if the last line has no end, and is left out.
        is_csv: line feeds between quotes do not end a line.
        skip_lines: so many are not wanted, as they are a header.

    Raises:
        FluxError: the file cannot be read, or a line is too long to be one.
    """
    line, rest = 1, b""
    with open_file(path) as stream:
        for _ in range(skip_lines):
            line += bool(stream.readline())
        while chunk := _read(stream, path, warnings):
            text = rest + chunk
            cut = _last_line_end(text, is_csv=is_csv)
            if cut:
                yield LineBlock(path, text[:cut], line)
                line += text.count(b"\n", 0, cut)
            rest = text[cut:]
            if len(rest) > LONGEST_LINE_BYTES:
                raise BrokenFile(path, line, f"must have at most {LONGEST_LINE_BYTES} bytes")
    if rest.strip():
        warnings.append(f"line {line} of {path} has no end, and is left out")


def _read(stream: IO[bytes] | gzip.GzipFile, path: pathlib.Path, warnings: list[str]) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except EOFError:
        warnings.append(f"{path} is a gzip file that was cut: what is left of it was read")
        return b""
    except OSError as error:
        raise FluxError(f"{path} cannot be read: {error.strerror or error}") from error


def _last_line_end(text: bytes, *, is_csv: bool) -> int:
    """The byte after the last line feed that ends a line; 0 if there is none."""
    last = text.rfind(b"\n") + 1
    if not is_csv or not text.count(b'"') or text.count(b'"', 0, last) % 2 == 0:
        return last
    array = np.frombuffer(text, np.uint8)
    is_inside = (np.cumsum(array == _QUOTE) & 1) == 1
    ends = np.flatnonzero((array == _LINE_FEED) & ~is_inside)
    return int(ends[-1]) + 1 if ends.size else 0
