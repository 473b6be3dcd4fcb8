"""Sends metrics to a collector of OpenTelemetry now and then, whatever becomes of the collector.

One request is under way at a time, and takes so long and no longer. One that fails is not sent
again: the next one says all that it would have said. Only the last one has no next, so it is tried
a few times, within a bound.
"""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import trio
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from flux.clients.guarded_transport import GuardedTransport
from flux.guards.hosts import HostRule
from flux.metrics.meter import Meter
from flux.metrics.otlp import Encoder
from flux.stage import Context
from flux.summary import Finding

LAST_TRIES = 3
"""Of the last request; one only if the collector has never taken any."""

PAUSE_S = 1.0
"""Between two of them."""

MOST_ANSWER_BYTES = 64 << 10
"""Of a collector's answer no more is read."""

_GOOD = range(200, 300)


@asynccontextmanager
async def open_client(tls: ssl.SSLContext, hosts: HostRule) -> AsyncIterator[httpx.AsyncClient]:
    """A client that talks to hosts that the run may talk to, and keeps one connection."""
    limits = httpx.Limits(max_connections=1)
    inner = httpx.AsyncHTTPTransport(verify=tls, limits=limits)
    transport = GuardedTransport(inner, hosts, lambda *_: None)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as client:
        yield client


@attrs.frozen
class Collector:
    """Somebody who takes metrics over HTTP."""

    client: httpx.AsyncClient
    url: str
    headers: Mapping[str, str]
    timeout_s: float

    async def post(self, body: bytes) -> str:
        """Send a request; return why it was not taken, if it was not."""
        with trio.move_on_after(self.timeout_s):
            return await self._post(body)
        return f"no answer within {self.timeout_s:g} s"

    async def _post(self, body: bytes) -> str:
        headers = {**self.headers, "content-type": "application/x-protobuf"}
        try:
            async with self.client.stream(
                "POST", self.url, content=body, headers=headers
            ) as response:
                answer = bytearray()
                async for piece in response.aiter_raw():
                    answer += piece
                    if len(answer) > MOST_ANSWER_BYTES:
                        break
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return _reason(error)
        if response.status_code not in _GOOD:
            return f"it answered {response.status_code}"
        return _refused(bytes(answer))


def _reason(error: BaseException) -> str:
    """What the system said, if it said anything: it may be deep below."""
    waiting: list[BaseException] = [error]
    for one in waiting:  # grows meanwhile
        if isinstance(one, (ssl.SSLError, socket.gaierror)):  # their numbers are of their own
            return one.strerror or str(one)
        if isinstance(one, OSError) and one.errno:
            return os.strerror(one.errno)
        below = (one.__cause__, *one.args, *getattr(one, "exceptions", ()))
        waiting += [each for each in below if isinstance(each, BaseException)]
    return str(error) or type(error).__name__


def _refused(answer: bytes) -> str:
    """What a collector that answers well says it did not take."""
    message: Any = ExportMetricsServiceResponse()
    try:
        message.ParseFromString(answer)
    except DecodeError:
        return "what answers does not speak OTLP"
    count = message.partial_success.rejected_data_points
    return f"it refused {count} points: {message.partial_success.error_message}" if count else ""


class Sender:
    """Sends a run's metrics, and tells once if that does not work."""

    def __init__(
        self, context: Context, meter: Meter, encoder: Encoder, collector: Collector, place: str
    ) -> None:
        """Begin with nothing sent.

        Args:
            context: of the sink.
            meter: what is sent.
            encoder: makes requests of it.
            collector: who takes them.
            place: what to call that one; without secrets.
        """
        self._context = context
        self._meter, self._encoder = meter, encoder
        self._collector, self._place = collector, place
        self._taken = self._failed = 0
        self._was_told = False
        context.report_status("exports", lambda: {"taken": self._taken, "failed": self._failed})

    async def keep_sending(self, interval_ns: int) -> None:
        """Send each interval until cancelled."""
        clock, due_ns = self._context.run.clock, interval_ns
        while True:
            await clock.wait_until(due_ns)
            why = await self._send()
            if why:
                self._tell(why)
            due_ns = (max(due_ns, clock.now_ns()) // interval_ns + 1) * interval_ns

    async def send_last(self, within_s: float) -> None:
        """Send the numbers of the whole run, if that can be done in that time."""
        why = f"no answer within {within_s:g} s"
        is_hopeless = self._failed > 0 and not self._taken
        with trio.move_on_after(within_s):
            for number in range(1 if is_hopeless else LAST_TRIES):
                await trio.sleep(PAUSE_S if number else 0)
                why = await self._send()
                if not why:
                    return
        self._context.run.log.warning(
            "stage %r: the last numbers did not get to %s: %s",
            self._context.stage,
            self._place,
            why,
        )

    async def _send(self) -> str:
        message = await self._encoder.encode(self._meter.read())
        why = await self._collector.post(message.body)
        if why:
            self._failed += 1
        else:
            self._taken += 1
            self._encoder.note_sent(message)
        return why

    def _tell(self, why: str) -> None:
        if self._was_told:
            return
        self._was_told = True
        text = f"stage {self._context.stage!r}: {self._place} does not take metrics: {why}"
        self._context.run.log.warning("%s; the run goes on", text)
        remedy = "start the collector, or leave the stage out; the run is none the worse for it"
        self._context.report_finding(Finding(text, is_fatal=False, remedy=remedy))
