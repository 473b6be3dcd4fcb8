"""`json`: writes what the run has shown to `result.json`."""

import functools
from typing import Annotated, ClassVar

import attrs
import trio

from flux.config.rules import NotEmpty
from flux.result_file import result_document, write_result
from flux.schemas import SUMMARY, Schema
from flux.series import Series
from flux.stage import Context, Inbox
from flux.summary import Summary

REWRITE_NS = 5 * 10**9
"""How much of the run goes by between two writes of a file that is not complete yet."""


@attrs.frozen(kw_only=True)
class Json:
    """Writes the result of the run to one JSON file, for programs.

    While the run goes on the file is written anew every five seconds, marked as not complete; so
    even if flux is killed there is something to read. It is replaced as a whole: whoever reads it
    never sees half of one. Without a folder for the run, as in a plan, nothing is written.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (SUMMARY,)
    sample: ClassVar[str] = '[[stage]]\nuse = "json"\npath = "result.json"\n'

    path: Annotated[str, NotEmpty()] = "result.json"
    """The file, relative to the run's folder."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write the file every five seconds, and at the end."""
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
                parts = [await self._write(context, parts)]
        if finals or parts:  # without a final summary the collector failed: keep what there is
            await self._write(context, finals or parts)

    async def _write(self, context: Context, parts: list[Summary]) -> Summary:
        return await trio.to_thread.run_sync(
            functools.partial(self._write_sync, context, parts), abandon_on_cancel=False
        )

    def _write_sync(self, context: Context, parts: list[Summary]) -> Summary:
        """Put the parts together, write the file, and give back the sum."""
        first, *rest = parts
        summary = first.merge(rest) if rest else first
        if context.run.folder is not None:
            file = context.run.folder / self.path
            write_result(file, result_document(summary, context.run))
        return summary
