"""`jtl`: every request as a sample of JMeter's."""

from typing import Annotated, ClassVar

import attrs

from flux.config.rules import NotEmpty
from flux.formats.facts import Facts
from flux.formats.jtl import jtl_format
from flux.row_writer import write_row_file
from flux.rows import Basis
from flux.schemas import OUTCOME, Schema
from flux.stage import Context, Inbox


@attrs.frozen(kw_only=True)
class Jtl:
    """Writes a sample per request to a JTL file as CSV, of which JMeter makes its HTML dashboard.

    Times are whole milliseconds. Arrivals that were never started are not in it.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    sample: ClassVar[str] = '[[stage]]\nuse = "jtl"\npath = "requests.jtl"\nbasis = "due"\n'

    path: Annotated[str, NotEmpty()] = "requests.jtl"
    """File to write, relative to the run's folder unless it is absolute."""
    basis: Basis = "due"
    """What a sample's times are counted from: "due", when the request was to start, or "start",
    when it did, as JMeter itself counts."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write samples as they come in."""
        line_format = jtl_format(Facts.of(context), self.basis)
        await write_row_file(context, inbox, self.path, line_format)
