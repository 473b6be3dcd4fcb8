"""`json`: writes what the run has shown to `result.json`."""

import pathlib
from typing import Annotated, ClassVar

import attrs
import trio

from flux.config.rules import NotEmpty
from flux.result_file import RESULT_FILE, result_document, write_result
from flux.row_writer import ignore_all
from flux.schemas import SUMMARY, Schema
from flux.series import Series
from flux.stage import Context, Inbox, Run
from flux.storage import place_in
from flux.summary import Summary

REWRITE_NS = 5 * 10**9
"""How much of the run goes by between two writes of a file that is not complete yet."""


@attrs.frozen(kw_only=True)
class Json:
    """Writes the result of the run to one JSON file, for programs.

    Every run has one that writes `result.json`, whether or not it is written down. While the run
    goes on the file is written anew every five seconds, marked as not complete; so even if flux is
    killed there is something to read. It is replaced as a whole: whoever reads it never sees half
    of one. Without a folder for the run, as in a plan, nothing is written.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (SUMMARY,)
    sample: ClassVar[str] = '[[stage]]\nuse = "json"\npath = "result.json"\n'

    path: Annotated[str, NotEmpty()] = RESULT_FILE
    """The file, relative to the run's folder unless it is absolute; with another than result.json
    there are two."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write the file every five seconds, and at the end."""
        if context.run.folder is None:
            await ignore_all(inbox)
            return
        file = place_in(context.run.folder, self.path)
        finals: list[Summary] = []
        parts: list[Summary] = []
        written_ns = 0
        async for summary in inbox:
            if summary.is_final:
                finals.append(summary)
                continue
            parts.append(attrs.evolve(summary, series=Series()))
            if summary.end_ns - written_ns >= REWRITE_NS:
                written_ns = summary.end_ns
                parts = [await _write(file, parts, context.run)]
        if finals or parts:  # without a final summary the collector failed: keep what there is
            await _write(file, finals or parts, context.run)


async def _write(file: pathlib.Path, parts: list[Summary], run: Run) -> Summary:
    return await trio.to_thread.run_sync(_write_sync, file, parts, run, abandon_on_cancel=False)


def _write_sync(file: pathlib.Path, parts: list[Summary], run: Run) -> Summary:
    """Put the parts together, write the file, and give back the sum."""
    first, *rest = parts
    summary = first.merge(rest) if rest else first
    write_result(file, result_document(summary, run))
    return summary
