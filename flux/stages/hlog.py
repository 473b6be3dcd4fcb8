"""`hlog`: the latencies of each interval as a log of HdrHistogram's."""

from typing import Annotated, ClassVar, Literal

import attrs

from flux.config.rules import NotEmpty
from flux.formats.hlog_text import interval_text, own_header
from flux.row_writer import open_line_file
from flux.schemas import SUMMARY, Schema
from flux.stage import Context, Inbox


@attrs.frozen(kw_only=True)
class Hlog:
    """Writes the latencies of each interval and step to a log of HdrHistogram's.

    That is the whole distribution, not some percentiles of it. HdrHistogram's tools read it and
    merge it with others, bucket for bucket. Warm-up is left out.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (SUMMARY,)
    sample: ClassVar[str] = '[[stage]]\nuse = "hlog"\npath = "latency.hlog"\nlatency = "response"\n'

    path: Annotated[str, NotEmpty()] = "latency.hlog"
    """File to write, relative to the run's folder unless it is absolute."""
    latency: Literal["response", "service", "first_byte", "lag", "connect", "tls"] = "response"
    """Which latency: as `latency` of `result.json` has them."""

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Write intervals as they are closed."""
        async with open_line_file(context, self.path) as write:
            started_s = context.run.started_at.timestamp()
            await write(own_header(context.run.name, self.latency, started_s).encode())
            async for summary in inbox:
                if summary.is_final:
                    continue
                text = interval_text(summary.steps, self.latency, summary.start_ns, summary.end_ns)
                if text:
                    await write(text.encode())
