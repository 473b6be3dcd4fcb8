"""Probes of targets: one GET each, on a connection of its own, in tasks beside the load.

Strategy. A probe is written to a socket by hand: it needs no pool, no cookies and no redirects, and
must cost the process that makes the load next to nothing. It is over once the answer's status is
known. It counts as no request and leaves no row.
"""

import logging
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Protocol

import attrs
import trio

from flux.clients.health import Health, Probe, Standing
from flux.clients.system_errors import BY_ERRNO
from flux.clients.target import Address, HostPort, Target
from flux.clients.target_choice import TargetChoice
from flux.flows import encoding
from flux.schemas import ErrorCode
from flux.stage import Run

_MOST_BYTES = 65536
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r)")


@attrs.frozen(kw_only=True)
class Route:
    """How connections to the targets are made."""

    context: ssl.SSLContext
    """Of https connections; made once, for it reads the certificates of all authorities."""
    server_name: str | None = None
    """For SNI and verification, in place of a target's host."""
    connect_to: HostPort | None = None
    unix_socket: str | None = None
    source_address: Address | None = None


class _NoAnswer(Exception):
    """The target does not answer as a server of HTTP does."""


@attrs.frozen
class Prober:
    """Asks one target."""

    target: Target
    health: Health
    route: Route

    async def probe(self) -> Probe:
        """Ask once; whatever goes wrong is what the probe has shown."""
        began_s = trio.current_time()
        problem = ErrorCode.TIMEOUT.text
        with trio.move_on_after(self.health.timeout / 1e9):
            try:
                status = await self._ask()
                problem = "" if status in self.health.status.allowed else f"status {status}"
            except _NoAnswer as error:
                problem = str(error)
            except (OSError, trio.BrokenResourceError, ValueError) as error:
                problem = _told(error)
        return Probe(round((trio.current_time() - began_s) * 1e9), problem)

    async def _ask(self) -> int:
        stream = await self._open()
        try:
            await stream.send_all(self._request())
            return await _receive_status(stream)
        finally:
            await trio.aclose_forcefully(stream)

    async def _open(self) -> trio.abc.Stream:
        stream = await self._connect()
        if self.target.scheme != "https":
            return stream
        secure = trio.SSLStream(
            stream,
            self.route.context,
            server_hostname=self.route.server_name or self.target.host,
            https_compatible=True,
        )
        try:
            await secure.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secure

    async def _connect(self) -> trio.abc.Stream:
        route = self.route
        if route.unix_socket is not None:
            return await trio.open_unix_socket(route.unix_socket)
        where = route.connect_to or HostPort(self.target.host, self.target.port)
        source = route.source_address.text if route.source_address else None
        return await trio.open_tcp_stream(where.host, where.port, local_address=source)

    def _request(self) -> bytes:
        path = encoding.target(self.health.path).decode()
        lines = [
            f"GET {self.target.base_path}{path} HTTP/1.1",
            f"Host: {self.target.host_header}",
            "Connection: close",
            *(f"{name}: {text}" for name, text in self.health.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


async def _receive_status(stream: trio.abc.Stream) -> int:
    """The status of the answer."""
    data = b""
    while received := bytes(await stream.receive_some(_MOST_BYTES)):
        data = _past_interim(data + received)
        match = _STATUS_LINE.match(data)
        if match and not match[1].startswith(b"1"):
            return int(match[1])
        if len(data) > _MOST_BYTES or (b"\r\n" in data and not match):
            raise _NoAnswer(ErrorCode.PROTOCOL.text)
    raise _NoAnswer(ErrorCode.CLOSED.text)


def _past_interim(data: bytes) -> bytes:
    """What follows responses such as 103 that only announce the final one (RFC 9110, 15.2)."""
    while data.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")) and b"\r\n\r\n" in data:
        data = data.partition(b"\r\n\r\n")[2]
    return data


def _told(error: BaseException) -> str:
    """The most telling of an exception and what caused it, in one word where there is one."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLError):
            return ErrorCode.TLS.text
        if isinstance(cause, socket.gaierror):
            return ErrorCode.DNS.text
        code = BY_ERRNO.get(cause.errno or 0) if isinstance(cause, OSError) else None
        if code is not None:
            return code.text
    return str(chain[-1]) or type(chain[-1]).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__


class Probing(Protocol):
    """Asks one target."""

    async def probe(self) -> Probe:
        """Ask once."""


async def probe_all(probers: Sequence[Probing]) -> list[Probe]:
    """Ask every target once, all at the same time."""
    probes: list[Probe | None] = [None] * len(probers)

    async def probe(index: int) -> None:
        probes[index] = await probers[index].probe()

    async with trio.open_nursery() as nursery:
        for index in range(len(probers)):
            nursery.start_soon(probe, index)
    return [one for one in probes if one is not None]


@attrs.frozen(eq=False)
class Watch:
    """Keeps the choice of targets up to date with how they are."""

    probers: Sequence[Probing]
    standings: Sequence[Standing]
    choice: TargetChoice
    interval_ns: int
    run: Run

    def begin(self, probes: Sequence[Probe]) -> None:
        """Take in the first probe of each target."""
        for index, probe in enumerate(probes):
            self._take(index, probe)

    async def keep(self) -> None:
        """Probe again and again until cancelled."""
        async with trio.open_nursery() as nursery:
            for index in range(len(self.probers)):
                nursery.start_soon(self._keep_one, index)

    async def _keep_one(self, index: int) -> None:
        due_s = trio.current_time()
        while True:
            due_s = max(due_s + self.interval_ns / 1e9, trio.current_time())
            await trio.sleep_until(due_s)
            self._take(index, await self.probers[index].probe())

    def _take(self, index: int, probe: Probe) -> None:
        standing = self.standings[index]
        if standing.take(probe):
            self.choice.set_healthy(index, standing.is_healthy)
            level = logging.INFO if standing.is_healthy else logging.WARNING
            self.run.mark("health", standing.text, level=level)


def status_of(standings: Sequence[Standing], choice: TargetChoice) -> list[dict[str, object]]:
    """How the targets stand right now, as plain data: a table each.

    A target that nobody probes is not known to be healthy: null."""
    return [
        {
            "name": standing.name,
            "healthy": standing.is_healthy if standing.last else None,
            "problem": standing.last.problem if standing.last else "",
            "last_probe_ms": standing.last.latency_ns / 1e6 if standing.last else None,
            "share": share,
        }
        for standing, share in zip(standings, choice.shares)
    ]
