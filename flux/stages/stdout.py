"""`stdout`: requests or intervals as lines on standard output, for a pipe."""

import os
import select
import sys
from typing import ClassVar, Final, Literal

import attrs
import trio

from flux.control import Ending
from flux.errors import ExitCode, StorageFailed
from flux.interval_lines import HEADER, interval_line
from flux.row_writer import ignore_all, write_rows
from flux.rows import Basis, csv_format, ndjson_format
from flux.schemas import OUTCOME, SUMMARY, Schema
from flux.stage import Context, Inbox
from flux.storage import storing

_STANDARD_OUTPUT: Final = 1


@attrs.frozen(kw_only=True)
class Stdout:
    """Writes a line per request, or per interval, to standard output as soon as it is known.

    Nothing else of flux writes there during a run, so the output can be piped. When the reader goes
    away, the run is stopped as by Ctrl-C: other sinks get everything that was measured. A reader
    that is slow does not bend the load; the run waits for it at the end.
    """

    sample: ClassVar[str] = '[[stage]]\nuse = "stdout"\nformat = "ndjson"\n'

    format: Literal["ndjson", "csv", "interval"] = "ndjson"
    """What a line is: "ndjson" and "csv" have one per request, as the stages of those names write
    it; "interval" has one of CSV per interval of the collector."""
    basis: Basis = "due"
    """With "ndjson", what `timestamp` is and `latency` is counted from: "due" or "start"."""

    @property
    def accepts(self) -> tuple[Schema, ...]:
        """Outcomes, or for intervals summaries."""
        return (SUMMARY,) if self.format == "interval" else (OUTCOME,)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write lines as they come in."""
        if sys.stdout is None:
            # Its number may by now be that of some other file.
            raise StorageFailed("cannot write standard output: it is closed")
        try:
            await self._write_all(context, inbox)
        except ConnectionError:
            context.run.log.info("nobody reads standard output any more: stopping the run")
            ending = Ending("a closed standard output: nobody reads it any more", ExitCode.OK)
            context.run.control.stop(ending)
            await ignore_all(inbox)

    async def _write_all(self, context: Context, inbox: Inbox) -> None:
        steps, started_at = context.steps, context.run.started_at
        if self.format == "interval":
            await _write_intervals(inbox)
        elif self.format == "csv":
            csv = csv_format(steps, started_at, targets=context.targets)
            await write_rows(inbox, csv, _write)
        else:
            row_format = ndjson_format(
                steps,
                started_at,
                requests=context.requests,
                targets=context.targets,
                target_urls=context.target_urls,
                basis=self.basis,
            )
            await write_rows(inbox, row_format, _write)


async def _write_intervals(inbox: Inbox) -> None:
    await _write(HEADER.encode())
    async for summary in inbox:
        if not summary.is_final:
            await _write(interval_line(summary).encode())


async def _write(text: bytes | bytearray) -> None:
    """Raises ConnectionError when nobody reads any more."""
    # A reader may block for ever, so whoever cancels the run does not wait for this thread.
    await trio.to_thread.run_sync(_write_to_descriptor, text, abandon_on_cancel=True)


def _write_to_descriptor(text: bytes | bytearray) -> None:
    rest = memoryview(text)
    while rest:
        try:
            rest = rest[os.write(_STANDARD_OUTPUT, rest) :]
        except BlockingIOError:  # somebody who shares the terminal or pipe has made it so
            select.select([], [_STANDARD_OUTPUT], [])
        except ConnectionError:
            raise
        except OSError as error:
            with storing("standard output"):
                raise error
