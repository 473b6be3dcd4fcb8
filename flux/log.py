"""The log of a run: the same lines in the run's folder and on stderr, never on stdout.

    2026-11-21T10:00:00.123+00:00 INFO    engine.py:42 run started

Time in the local zone, level, file:line, message; only the file has tracebacks. Each line is with
the operating system before the call that logged it returns. Secrets are masked in the finished
line, so that those in an argument or in a traceback are masked too. Whatever happens to the file
or to stderr, the run goes on.
"""

import datetime
import logging
import os
import pathlib
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from flux.masking import hide
from flux.storage import storing

LOG_FILE: Final = "flux.log"
"""Name of the file in the run's folder."""

_LINE: Final = "%(asctime)s %(levelname)-7s %(filename)s:%(lineno)d %(message)s"


class Stream(Protocol):
    """Where lines can be written."""

    def write(self, text: str, /) -> object:
        """Write it."""

    def flush(self) -> object:
        """Keep nothing back."""


@contextmanager
def open_log(
    folder: pathlib.Path | None,
    *,
    quiet: bool = False,
    secrets: Collection[str] = (),
    stderr: Stream | None = None,
) -> Iterator[logging.Logger]:
    """Have what is logged below "flux" written while the block lasts.

    Args:
        folder: of the run; None for no file.
        quiet: leave stderr to warnings and errors; the file has all lines.
        secrets: texts that no line may show.
        stderr: what stands for standard error, if something else has the terminal.

    Raises:
        StorageFailed: the file cannot be made.
    """
    log = logging.getLogger("flux")
    level_before = log.level
    handlers: list[logging.Handler] = []
    stream = stderr or sys.stderr
    if stream is not None:
        handlers.append(_StandardError(stream, logging.WARNING if quiet else logging.INFO))
    if folder is not None:
        handlers.insert(0, _File(folder / LOG_FILE))
    for handler in handlers:
        handler.setFormatter(_MaskingFormatter(secrets, is_whole=isinstance(handler, _File)))
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield log
    finally:
        log.setLevel(level_before)
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


class _MaskingFormatter(logging.Formatter):
    def __init__(self, secrets: Collection[str], *, is_whole: bool) -> None:
        super().__init__(_LINE)
        self._secrets = frozenset(secrets)
        self._is_whole = is_whole

    def formatTime(  # noqa: N802  # the name is logging's
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        """RFC 3339 in the local zone, with milliseconds."""
        when = datetime.datetime.fromtimestamp(record.created).astimezone()
        return when.isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several of which all but the first are indented."""
        text = super().format(record)
        traceback: str = getattr(record, "traceback", "")
        if traceback and self._is_whole:
            text += f"\n{traceback.rstrip()}"
        return hide(text, self._secrets).replace("\n", "\n    ")


class _File(logging.Handler):
    """Lines in a file, until the disk has no more room for them."""

    def __init__(self, file: pathlib.Path) -> None:
        super().__init__()
        self._file = file
        self._has_failed = False
        with storing(file):
            self._descriptor = os.open(
                file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, all of it."""
        line = self.format(record).encode(errors="backslashreplace") + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError as error:
            self._warn_once(error)

    def close(self) -> None:
        """Close the file."""
        super().close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _warn_once(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            log = logging.getLogger("flux")
            log.warning("cannot write %s: %s; the run goes on", self._file, error.strerror)


class _StandardError(logging.StreamHandler[Stream]):
    """Lines on stderr, for as long as somebody has it open."""

    def __init__(self, stream: Stream, level: int) -> None:
        super().__init__(stream)
        self.setLevel(level)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is logging's
        """Stderr is gone: there is nobody to tell, and the file has the line."""
