"""`csv`: every request as a row of a CSV file."""

from typing import Annotated, ClassVar

import attrs

from flux.config.rules import NotEmpty
from flux.row_writer import write_row_file
from flux.rows import csv_format
from flux.schemas import OUTCOME, Schema
from flux.stage import Context, Inbox


@attrs.frozen(kw_only=True)
class Csv:
    """Writes a row per request, with its times, status, error and sizes, to a CSV file.

    Arrivals that were dropped, withheld or cancelled have a row too. Rows are in the order in which
    requests ended; sort by `seq` for the order in which sessions were due.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    sample: ClassVar[str] = '[[stage]]\nuse = "csv"\npath = "requests.csv"\n'

    path: Annotated[str, NotEmpty()] = "requests.csv"
    """File to write, relative to the run's folder unless it is absolute."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write rows as they come in."""
        row_format = csv_format(context.steps, context.run.started_at, targets=context.targets)
        await write_row_file(context, inbox, self.path, row_format)
