"""`parquet`: every request as a row of a Parquet file."""

from typing import Annotated, ClassVar

import attrs
import trio

from flux.config.rules import NotEmpty
from flux.formats.facts import Facts
from flux.formats.parquet import ROWS_PER_GROUP, ParquetWriter, load_pyarrow
from flux.row_writer import ignore_all
from flux.schemas import OUTCOME, Rows, Schema
from flux.stage import Context, Inbox
from flux.storage import place_in, storing


@attrs.frozen(kw_only=True)
class Parquet:
    """Writes a row per request, with the columns of `csv`, to a Parquet file.

    Needs the extra `parquet`. Rows are kept until there are enough to be compressed together, and
    the file can be read once the run has ended: what a crash leaves is lost.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    sample: ClassVar[str] = '[[stage]]\nuse = "parquet"\npath = "requests.parquet"\n'

    path: Annotated[str, NotEmpty()] = "requests.parquet"
    """File to write, relative to the run's folder unless it is absolute."""

    def prepare(self) -> None:
        """Have pyarrow loaded before the first arrival."""
        load_pyarrow()

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write a group of rows whenever there are enough."""
        if context.run.folder is None:
            await ignore_all(inbox)
            return
        file, facts = place_in(context.run.folder, self.path), Facts.of(context)
        with storing(file):
            writer = await trio.to_thread.run_sync(ParquetWriter, str(file))
            try:
                waiting: list[Rows] = []
                async for rows in inbox:
                    waiting.append(rows)
                    if sum(map(len, waiting)) >= ROWS_PER_GROUP:
                        group, waiting = waiting, []
                        await trio.to_thread.run_sync(writer.write_all, group, facts)
                await trio.to_thread.run_sync(writer.write_all, waiting, facts)
            finally:
                writer.close()  # also when the run is given up: then it can be read after all
