"""`k6`: every request as points of k6's metrics."""

from typing import Annotated, ClassVar, Literal

import attrs

from flux.config.rules import NotEmpty
from flux.formats.facts import Facts
from flux.formats.k6_points import k6_csv_format, k6_json_format
from flux.row_writer import write_row_file
from flux.schemas import OUTCOME, Schema
from flux.stage import Context, Inbox


@attrs.frozen(kw_only=True)
class K6:
    """Writes the points of each request to a file, as `k6 run --out json` or `--out csv` does.

    A request is twelve lines. Beside k6's own metrics there is `flux_req_response`, the response
    time from when the request was due. Arrivals that were dropped are `dropped_iterations`.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    sample: ClassVar[str] = '[[stage]]\nuse = "k6"\npath = "points.ndjson"\nformat = "json"\n'

    path: Annotated[str, NotEmpty()] = "points.ndjson"
    """File to write, relative to the run's folder unless it is absolute."""
    format: Literal["json", "csv"] = "json"
    """What a point is: "json", a JSON object on each line, or "csv"."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write points as rows come in."""
        facts = Facts.of(context)
        line_format = k6_json_format(facts) if self.format == "json" else k6_csv_format(facts)
        await write_row_file(context, inbox, self.path, line_format)
