"""From batches of OUTCOME to bytes written: what the sinks of rows have in common.

Strategy. Rows become text in the task itself, column after column, in turns with whatever is due
meanwhile. A thread would compete for the interpreter's lock, which costs the load more than it
spares (see tests/bench/rows.py). Writing may take any time, so it is done in a thread. While it
goes on, batches wait in the inbox; then all that wait are written at once. Nothing is kept back:
what the thread has written is with the operating system, and survives the end of this process,
however it ends.
"""

import errno
import fcntl
import os
import pathlib
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from flux.line_format import LineFormat
from flux.schemas import OUTCOME, Rows
from flux.stage import Context, Inbox
from flux.storage import place_in, storing
from flux.turns import Turns, in_turns

ROWS_AT_ONCE = 512
"""As many become text together: of fewer each would cost more, of more a column takes too long."""

BYTES_AT_ONCE = 1 << 20
"""That much text is written, even if more batches wait."""

_CANNOT_SYNCHRONISE = (errno.EINVAL, errno.EROFS, errno.ENOTSUP)
"""What devices and pipes answer: they have no disk below them."""

Write = Callable[[bytes | bytearray], Awaitable[None]]
"""Writes all of it before it returns."""


async def write_rows(inbox: Inbox, row_format: LineFormat, write: Write) -> None:
    """Write the header at once, then every row until the inbox ends.

    Args:
        inbox: of OUTCOME.
        row_format: how rows become lines.
        write: where lines go.
    """
    row_format.lines(OUTCOME.empty(1))  # builds its tables now, not while the first rows wait
    if row_format.header:
        await write(bytearray(row_format.header))
    text = bytearray()
    async for rows in inbox:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            await in_turns(_add_lines(text, row_format, rows[start : start + ROWS_AT_ONCE]))
        if text and (len(text) >= BYTES_AT_ONCE or not inbox.statistics().current_buffer_used):
            await write(text)
            text = bytearray()


def _add_lines(text: bytearray, row_format: LineFormat, rows: Rows) -> Turns[None]:
    """Make lines of a few rows."""
    for chunk in row_format.chunks(rows):
        text += chunk
        yield


async def write_row_file(context: Context, inbox: Inbox, path: str, row_format: LineFormat) -> None:
    """Write every row to a file, which is on disk when this returns.

    Args:
        context: of the sink. Without a folder for the run, as in a plan, nothing is written.
        inbox: of OUTCOME.
        path: relative to the run's folder, or absolute; what the file held before is lost.
        row_format: how rows become lines.

    Raises:
        StorageFailed: the file cannot be written, or somebody else is writing it.
    """
    async with open_line_file(context, path) as write:
        await write_rows(inbox, row_format, write)


@asynccontextmanager
async def open_line_file(context: Context, path: str) -> AsyncIterator[Write]:
    """What writes lines to a new file, which is on disk after the block: `await write(lines)`.

    It takes whole lines, as bytes, and writes them in a thread. Without a folder for the run, as in
    a plan, they go nowhere.

    Args:
        context: of the sink.
        path: relative to the run's folder, or absolute; what the file held before is lost.

    Raises:
        StorageFailed: the file cannot be written, or somebody else is writing it.
    """
    if context.run.folder is None:
        yield _write_nothing
        return
    file = place_in(context.run.folder, path)
    async with _open_file(file) as descriptor:

        async def write(text: bytes | bytearray) -> None:
            with storing(file):
                await trio.to_thread.run_sync(_write_lines, descriptor, text)

        yield write


async def _write_nothing(_: bytes | bytearray) -> None:
    await trio.lowlevel.checkpoint()


async def ignore_all(inbox: Inbox) -> None:
    """Receive until the inbox ends, so that nothing above has to wait."""
    async for _ in inbox:
        pass


@asynccontextmanager
async def _open_file(file: pathlib.Path) -> AsyncIterator[int]:
    """The descriptor of a new file; unless the block raises, it is on disk after it."""
    with storing(file):
        descriptor = await trio.to_thread.run_sync(_open, file)
    try:
        yield descriptor
        with storing(file):
            await trio.to_thread.run_sync(_synchronise, descriptor)
    finally:
        os.close(descriptor)


def _open(file: pathlib.Path) -> int:
    # Non-blocking, for to open a named pipe that nobody reads would wait for ever.
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(file, flags, 0o644)
    try:
        os.set_blocking(descriptor, True)
        # Two sinks that write to one file would overwrite each other's rows.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write_lines(descriptor: int, text: bytes | bytearray) -> None:
    written = 0
    try:
        while written < len(text):
            written += os.write(descriptor, memoryview(text)[written:])
    except OSError:
        _cut_off(descriptor, written - (text.rfind(b"\n", 0, written) + 1))
        raise


def _cut_off(descriptor: int, count_bytes: int) -> None:
    """Take back the beginning of a line whose rest did not fit."""
    try:
        os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR) - count_bytes)
    except OSError:
        return  # a device or a pipe: nothing can be taken back


def _synchronise(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNCHRONISE:
            raise
