"""`otlp`: the metrics of a run, sent to a collector of OpenTelemetry while it goes on."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import attrs
import trio

from flux.clients.target import Tls
from flux.config.http_url import HttpUrl
from flux.config.problems import Violation
from flux.config.rules import AtLeast, above, at_least
from flux.errors import MissingExtra
from flux.flows.step import at, header_violation
from flux.guards.hosts import Contact
from flux.metrics.meter import Meter
from flux.metrics.otel import otel_dialect
from flux.row_writer import ignore_all
from flux.schemas import SUMMARY, Schema
from flux.stage import Context, Inbox
from flux.units import Duration

PATH = "/v1/metrics"


@attrs.frozen
class Endpoint(HttpUrl):
    """Where a collector listens; the text has the path that metrics go to."""

    type_text: ClassVar[str] = 'a URL, as in "http://127.0.0.1:4318"'

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read it."""
        parts = cls._split(value)
        if parts.username or parts.password:
            hint = 'write headers = { authorization = "${OTLP_AUTHORIZATION}" }'
            raise Violation("must have no user and password", hint=hint)
        if parts.query or parts.fragment:
            raise Violation("must have no query and no fragment")
        base = parts.geturl().rstrip("/").removesuffix(PATH)
        return cls(base + PATH, parts.hostname or "", parts.netloc)


@attrs.frozen(kw_only=True)
class Otlp:
    """Sends the metrics of the run to a collector by the OpenTelemetry protocol, over HTTP.

    Needs the extra `otel`. The names are those of `prometheus`, as OpenTelemetry has them. A
    collector that is slow, or not there, does not touch the run: that is told once.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (SUMMARY,)
    sample: ClassVar[str] = '[[stage]]\nuse = "otlp"\nendpoint = "http://127.0.0.1:4318"\n'

    endpoint: Endpoint = Endpoint.from_toml("http://127.0.0.1:4318")  # noqa: RUF009  # immutable
    """Where the collector listens, "http://127.0.0.1:4318" if absent; /v1/metrics is added if it is
    not there."""
    interval: Annotated[Duration, AtLeast(Duration.parse("100ms"))] = Duration.of_seconds(10)
    """How often metrics are sent; once more at the end."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Headers of each request; secrets from the environment, as in "${OTLP_API_KEY}"."""
    timeout: Annotated[Duration, above(0)] = Duration.of_seconds(5)
    """How long a request may take, and how long is tried at the end to send the last numbers."""
    temporality: Literal["cumulative", "delta"] = "cumulative"
    """Whether counts are from the beginning of the run, or since what was sent before."""
    histogram: Literal["explicit", "exponential"] = "explicit"
    """Whether histograms have the buckets of `prometheus`, or eight for each doubling."""
    max_series: Annotated[int, at_least(1)] = 500
    """Attribute sets that one metric may have; the rest of them is added up in one called
    "other"."""
    tls: Tls = Tls()  # noqa: RUF009  # immutable
    """How TLS connections are made."""

    def check(self) -> Iterator[Exception]:
        """Headers can be sent."""
        for name, text in self.headers.items():
            if violation := header_violation(name, text):
                yield at(("headers", name), violation)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The collector's host."""
        return (Contact(("endpoint",), self.endpoint.host),)

    def prepare(self) -> Any:
        """Load what is needed before the first arrival, and read the authorities to trust.

        Raises:
            MissingExtra: the protocol's classes are not installed.
        """
        try:
            import flux.metrics.otlp
        except ImportError as error:
            raise MissingExtra("the stage otlp", extra="otel") from error
        import flux.metrics.sender  # noqa: F401  # takes a while

        return self.tls.context()

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Send until the inbox ends, and then once more."""
        run = context.run
        if not run.clock.is_live:
            await ignore_all(inbox)
            return
        tls = context.prepared or self.prepare()
        from flux.metrics.otlp import Encoder, exponential_edges
        from flux.metrics.sender import Collector, Sender, open_client

        is_exponential = self.histogram == "exponential"
        dialect = otel_dialect()
        if is_exponential:
            dialect = attrs.evolve(dialect, edges=dict.fromkeys(dialect.edges, exponential_edges()))
        meter = Meter(context, dialect, self.max_series)
        encoder = Encoder(
            meter,
            instance=str(uuid.uuid4()),
            temporality=self.temporality,
            is_exponential=is_exponential,
        )
        timeout_s = self.timeout.seconds
        async with open_client(tls, run.manners.hosts) as client:
            collector = Collector(client, self.endpoint.text, self.headers, timeout_s)
            sender = Sender(context, meter, encoder, collector, self.endpoint.place)
            async with trio.open_nursery() as sending:
                sending.start_soon(sender.keep_sending, int(self.interval))
                async for summary in inbox:
                    await meter.take(summary)
                sending.cancel_scope.cancel()
            with run.control.lingering():
                await sender.send_last(timeout_s)
