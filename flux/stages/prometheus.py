"""`prometheus`: the metrics of a run, for Prometheus to scrape while it goes on."""

import importlib
import socket
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, TypeAlias

import attrs
import trio

from flux.config.problems import Violation
from flux.config.rules import NotEmpty, above, at_least, between
from flux.metrics.meter import Meter
from flux.metrics.names import dialect_of
from flux.row_writer import ignore_all
from flux.schemas import SUMMARY, Schema
from flux.stage import Context, Inbox
from flux.units import Duration

Names: TypeAlias = Literal["otel", "kar98k", "volcanion"]


@attrs.frozen(kw_only=True)
class Prometheus:
    """Serves the metrics of the run over HTTP, at /metrics on a port of its own.

    Counts are of whole intervals of the collector, and at last those of `result.json`; what the run
    is at is of the moment. Nobody who scrapes, however slow, holds up the run.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (SUMMARY,)
    sample: ClassVar[str] = '[[stage]]\nuse = "prometheus"\nport = 0\nlinger = "1s"\n'

    port: Annotated[int, between(0, 65535)] = 9464
    """Port to listen on; 0 takes any that is free, and the log says which."""
    host: Annotated[str, NotEmpty()] = "127.0.0.1"
    """Address to listen on: "0.0.0.0" for all of this machine's."""
    linger: Duration = Duration.of_seconds(15)
    """How long, once the run is over, is waited at the most for somebody to fetch the last
    numbers; Ctrl-C ends the wait."""
    names: Names = "otel"
    """What the metrics are called: as OpenTelemetry has it, or as one of two older tools did."""
    buckets: tuple[Annotated[Duration, above(0)], ...] = ()
    """Upper edges of the buckets of service and response times, ascending; those of the names if
    absent."""
    max_series: Annotated[int, at_least(1)] = 500
    """Label sets that one metric may have; the rest of them is added up in one called "other"."""

    def check(self) -> Iterator[Violation]:
        """Buckets ascend, and do not change what other tools had."""
        if list(self.buckets) != sorted(set(self.buckets)):
            yield Violation("must ascend, each edge once", key="buckets")
        if self.buckets and self.names != "otel":
            yield Violation(f'means nothing beside names = "{self.names}"', key="buckets")

    def prepare(self) -> socket.socket:
        """Take the port, or say right away why that cannot be.

        Raises:
            Violation: it cannot be listened on.
        """
        server = importlib.import_module("flux.metrics.server")  # with it, all that takes a while
        listener: socket.socket = server.listen(self.host, self.port)
        return listener

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Serve until the inbox ends and the last numbers are fetched."""
        run = context.run
        if not run.clock.is_live:
            await ignore_all(inbox)
            return
        from flux.metrics.server import Exposition, open_server, url_of

        listener = context.prepared or self.prepare()
        url = url_of(listener)
        meter = Meter(context, dialect_of(self.names, self.buckets), self.max_series)
        page = Exposition(meter)
        context.report_status("url", lambda: url)
        run.log.info("stage %r: metrics are at %s", context.stage, url)
        async with open_server(listener, page, run):
            async for summary in inbox:
                await meter.take(summary)
            if meter.has_ended and self.linger:
                run.log.info(
                    "stage %r: waiting up to %s for the last numbers to be fetched; Ctrl-C ends it",
                    context.stage,
                    self.linger,
                )
                with run.control.lingering(), trio.move_on_after(self.linger.seconds):
                    await page.was_served_whole.wait()
