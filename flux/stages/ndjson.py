"""`ndjson`: every request as a line of JSON, which vegeta reads too."""

from typing import Annotated, ClassVar

import attrs

from flux.config.rules import NotEmpty
from flux.row_writer import write_row_file
from flux.rows import Basis, ndjson_format
from flux.schemas import OUTCOME, Schema
from flux.stage import Context, Inbox


@attrs.frozen(kw_only=True)
class Ndjson:
    """Writes a JSON object per request to a file, one on each line.

    Its first twelve keys are those of a result of vegeta, so that `vegeta report` reads the file;
    the others are the columns of the `csv` stage.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    sample: ClassVar[str] = '[[stage]]\nuse = "ndjson"\npath = "requests.ndjson"\nbasis = "due"\n'

    path: Annotated[str, NotEmpty()] = "requests.ndjson"
    """File to write, relative to the run's folder unless it is absolute."""
    basis: Basis = "due"
    """What `timestamp` is and `latency` is counted from: "due", when the request was to start, or
    "start", when it did."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write lines as they come in."""
        row_format = ndjson_format(
            context.steps,
            context.run.started_at,
            requests=context.requests,
            targets=context.targets,
            target_urls=context.target_urls,
            basis=self.basis,
        )
        await write_row_file(context, inbox, self.path, row_format)
