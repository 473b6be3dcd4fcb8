"""A file of lines, some megabytes at a time, cut where a line ends."""

import gzip
import pathlib
import zlib
from collections.abc import Iterator
from typing import IO

import attrs
import numpy as np

from flux.errors import FluxError

BLOCK_BYTES = 1 << 20
"""As much is looked at at once: small enough for its arrays to stay in the cache."""

LONGEST_LINE_BYTES = 1 << 26
"""What is longer is no line."""

HEAD_BYTES = 1 << 16
"""As much is looked at to tell what a file is; more, if its first line is longer."""

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTE, _LINE_FEED = ord('"'), ord("\n")


@attrs.define
class Notes:
    """What was noticed on the way through a file."""

    warnings: list[str] = attrs.field(factory=list)
    """What a reader has to know, a line each."""
    cut_bytes: int = 0
    """How long the last line is, if it has no end and was left out."""


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


def read_head(path: pathlib.Path, least_bytes: int = HEAD_BYTES) -> bytes:
    """How a file begins: so much of it, and at least its first line.

    Raises:
        FluxError: it cannot be read.
    """
    notes = Notes()
    with open_file(path) as stream:
        head = _read(stream, path, notes, least_bytes)
        while b"\n" not in head and len(head) < LONGEST_LINE_BYTES:
            more = _read(stream, path, notes, BLOCK_BYTES)
            if not more:
                break
            head += more
    if not head and notes.warnings:
        raise FluxError(f"{path} is a gzip file that was cut: nothing can be read of it")
    return head


def line_blocks(
    path: pathlib.Path, notes: Notes, *, is_csv: bool = False, skip_lines: int = 0
) -> Iterator[LineBlock]:
    """The file's lines from the top.

    Args:
        path: the file.
        notes: told if the last line has no end, and is left out.
        is_csv: line feeds between quotes do not end a line.
        skip_lines: so many are not wanted, as they are a header.

    Raises:
        FluxError: the file cannot be read, or a line is too long to be one.
    """
    line, rest = 1, b""
    with open_file(path) as stream:
        while chunk := _read(stream, path, notes, BLOCK_BYTES):
            text = rest + chunk
            if line == 1:
                text = text.removeprefix(_BYTE_ORDER_MARK)
            while skip_lines and b"\n" in text:
                text = text.partition(b"\n")[2]
                line, skip_lines = line + 1, skip_lines - 1
            cut = _last_line_end(text, is_csv=is_csv)
            if cut:
                yield LineBlock(path, text[:cut], line)
                line += _line_feeds(text, cut)
            rest = text[cut:]
            if len(rest) > LONGEST_LINE_BYTES:
                raise BrokenFile(path, line, f"must have at most {LONGEST_LINE_BYTES} bytes")
    if rest.strip():
        notes.cut_bytes = len(rest)
        notes.warnings.append(f"line {line} of {path} has no end, and is left out")


def _read(
    stream: IO[bytes] | gzip.GzipFile,
    path: pathlib.Path,
    notes: Notes,
    most_bytes: int,
) -> bytes:
    parts: list[bytes] = []
    try:
        if not isinstance(stream, gzip.GzipFile):
            return stream.read(most_bytes)
        # Piece by piece: of a file that was cut, `read` gives nothing at all.
        while part := stream.read1(most_bytes - sum(map(len, parts))):
            parts.append(part)
    except EOFError:
        cut = f"{path} is a gzip file that was cut: what is left of it was read"
        notes.warnings += [cut] if cut not in notes.warnings else []
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise FluxError(f"{path} cannot be read: {reason}") from error
    return b"".join(parts)


def _last_line_end(text: bytes, *, is_csv: bool) -> int:
    """The byte after the last line feed that ends a line; 0 if there is none."""
    last = text.rfind(b"\n") + 1
    if not is_csv or b'"' not in text or text.count(b'"', 0, last) % 2 == 0:
        return last
    array = np.frombuffer(text, np.uint8)
    is_inside = (np.cumsum(array == _QUOTE) & 1) == 1
    ends = np.flatnonzero((array == _LINE_FEED) & ~is_inside)
    return int(ends[-1]) + 1 if ends.size else 0


def _line_feeds(text: bytes, cut: int) -> int:
    """How many there are before the cut; where lines are short, quicker than `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8, cut) == _LINE_FEED))
