"""What the tests of the wire client share: a server that does as it is told, and runs of a flow."""

import contextlib
import datetime
import fcntl
import pathlib
import socket
import ssl
import struct
import tempfile
import termios
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import attrs
import numpy as np
import trio

from flux.clients import httpx_client, tasks, wire
from flux.clients.outcome_log import OutcomeLog
from flux.clients.wire import WireSettings
from flux.clients.work import Limits, Work
from flux.clock import LiveClock
from flux.control import Control
from flux.flows.actions import (
    Action,
    End,
    Flow,
    Headers,
    Judge,
    RequestPlan,
    Result,
    Send,
    Session,
    Text,
)
from flux.habits import Habits
from flux.schemas import ARRIVAL, OUTCOME, ROSTER, ErrorCode, Rows
from flux.stage import Context, Run
from flux.think import Think, ThinkTable
from flux.units import Duration

Script = Callable[["Peer", int], None]
"""What the server does with each connection, given its number."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """The server's end of one connection."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._buffer = b""

    def read_request(self) -> bytes:
        """The next request, whole; empty at the end of the stream."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return b""
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = 0
        for field in head.split(b"\r\n")[1:]:
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(rest) < length:
            if not self._more():
                return b""
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        request = head + b"\r\n\r\n" + rest[:length]
        self._buffer = rest[length:]
        return request

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def send_apart(self, chunks: list[bytes]) -> None:
        """Send each chunk once the one before was read; over Unix sockets only.

        There SIOCOUTQ counts what the peer has not read.
        """
        for chunk in chunks:
            self.socket.sendall(chunk)
            until = time.monotonic() + 5
            while time.monotonic() < until:
                (unread,) = struct.unpack(
                    "i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, struct.pack("i", 0))
                )
                if not unread:
                    break
                time.sleep(0.0001)

    def reset(self) -> None:
        """Close with a reset instead of the end of the stream."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_for_close(self) -> None:
        """Read until the peer has gone."""
        while self._more():
            pass


@attrs.define
class Server:
    """A running server."""

    address: Any
    requests: list[bytes] = attrs.field(factory=list)
    """As far as the scripts note them."""
    accepted: int = 0
    failures: list[BaseException] = attrs.field(factory=list)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address[1])

    @property
    def settings(self) -> WireSettings:
        """How the wire client reaches it."""
        if isinstance(self.address, str):
            return WireSettings(host="unit.test", unix_socket=self.address)
        return WireSettings(host=self.address[0], port=self.port)


@contextlib.contextmanager
def serve(
    script: Script,
    *,
    unix: bool = False,
    family: int = socket.AF_INET,
    context: ssl.SSLContext | None = None,
    queue: int = 512,
) -> Iterator[Server]:
    """Serve on loopback, each connection in a thread of its own."""
    folder = tempfile.TemporaryDirectory()
    listener = socket.socket(socket.AF_UNIX if unix else family, socket.SOCK_STREAM)
    local: Any = str(pathlib.Path(folder.name) / "s") if unix else ("127.0.0.1", 0)
    listener.bind(("::1", 0) if family == socket.AF_INET6 else local)
    listener.listen(queue)
    server = Server(listener.getsockname())
    ends: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def run(end: socket.socket, number: int) -> None:
        try:
            if context is not None:
                end = context.wrap_socket(end, server_side=True)
                ends.append(end)
            script(Peer(end), number)
        except OSError:
            pass  # the client has gone, as many tests want
        except BaseException as error:  # noqa: BLE001  # raised again in the test's own thread
            server.failures.append(error)
        finally:
            end.close()

    def accept() -> None:
        while True:
            try:
                end, _ = listener.accept()
            except OSError:
                return
            end.settimeout(10)
            ends.append(end)
            threads.append(threading.Thread(target=run, args=(end, server.accepted)))
            server.accepted += 1
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for end in ends:
            end.close()
        folder.cleanup()
    if server.failures:
        raise server.failures[0]


def answer_all(response: bytes = OK) -> Script:
    """A script that answers every request of a connection in the same way."""

    def script(peer: Peer, _: int) -> None:
        while peer.read_request():
            peer.send(response)

    return script


def judge_status(status: int, headers: Headers | None, body: bytes | None, ns: int) -> ErrorCode:
    """The judge of flows that expect nothing."""
    return ErrorCode.NONE if status < 400 else ErrorCode.STATUS


def plan(
    target: bytes | Text = b"/",
    *,
    method: str = "GET",
    index: int = 0,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    body: bytes | Text | None = None,
    timeout_s: float = 5.0,
    wants_headers: bool = False,
    wants_body: bool = False,
    judge: Judge = judge_status,
) -> RequestPlan:
    """A request plan."""
    return RequestPlan(
        index=index,
        name=f"step{index}",
        method=method,
        target=_text(target),
        headers=tuple((name, _text(value)) for name, value in headers),
        body=None if body is None else _text(body),
        timeout_ns=round(timeout_s * 1e9),
        wants_headers=wants_headers,
        wants_body=wants_body,
        judge=judge,
    )


def _text(value: bytes | Text) -> Text:
    return value if isinstance(value, Text) else Text((value,))


def flow_of(*plans: RequestPlan, results: list[Result] | None = None) -> Flow:
    """A flow of these steps, which ends at the first failure; notes what it is told."""

    def begin(seq: int, user: int) -> Session:
        for number, one in enumerate(plans):
            result = yield Send(one, ())
            assert result is not None
            if results is not None:
                results.append(result)
            if result.error:
                yield End(success=False, skipped=len(plans) - number - 1)
                return
        yield End(success=True, skipped=0)

    return Flow(plans, begin)


def flow_from(plans: tuple[RequestPlan, ...], actions: Callable[[], list[Action]]) -> Flow:
    """A flow that takes these actions, whatever comes of them."""

    def begin(seq: int, user: int) -> Session:
        for action in actions():
            _ = yield action  # a list takes no results, so there is no yielding from it

    return Flow(plans, begin)


def resting(rest_ns: int = 0, **habits: Any) -> Habits:
    """Habits with a rest that is always the same."""
    return Habits(think=Think(ThinkTable(every=Duration(rest_ns))), **habits)


Client = Callable[[Work], Awaitable[None]]


def wire_client(settings: WireSettings) -> Client:
    """The wire client."""
    return lambda work: wire.drive(work, settings)


def httpx_client_for(url: str, max_redirects: int = 10) -> Client:
    """The reference."""

    async def drive(work: Work) -> None:
        settings = httpx_client.HttpxSettings(
            base_urls=(url,), verify=ssl.create_default_context(), max_redirects=max_redirects
        )
        async with httpx_client.open_pool(settings, work.context.run.clock) as pool:
            await tasks.drive(work, pool.open_session)

    return drive


async def run(
    client: Client,
    flow: Flow,
    dues_ms: tuple[float, ...] = (0.0,),
    *,
    roster: tuple[tuple[float, int, int], ...] = (),
    limits: Limits | None = None,
    habits: Habits | None = None,
    drain_s: float = 5.0,
    ends_s: float | None = None,
    control: Control | None = None,
    steer: Callable[[Control], Awaitable[None]] | None = None,
    holds_open: bool = False,
) -> Rows:
    """Run a flow, in the closed model if there is a roster, and return the rows sorted by seq.

    Args:
        roster: (ms, user, change) of each change.
        ends_s: When arrivals end by the plan.
        steer: Given the control while the run is on.
        holds_open: The inbox ends only when the run is stopped.
    """
    control = control or Control()
    info = Run(
        name="test",
        seed=1,
        duration_ns=None,
        tick_ns=100_000_000,
        drain_ns=round(drain_s * 1e9),
        started_at=datetime.datetime.now(datetime.UTC),
        clock=LiveClock(),
        control=control,
    )
    into, inbox = trio.open_memory_channel[Rows](10)
    outbox, out = trio.open_memory_channel[Rows](10_000)
    schema = ROSTER if roster else ARRIVAL
    if roster:
        into.send_nowait(ROSTER.rows([(round(ms * 1e6), user, by) for ms, user, by in roster]))
    elif dues_ms:
        into.send_nowait(ARRIVAL.rows([(n, round(ms * 1e6)) for n, ms in enumerate(dues_ms)]))
    if not holds_open:
        into.close()
    work = Work(
        Context(info, "executor"),
        inbox,
        schema,
        flow,
        limits or Limits(max_in_flight=1000),
        OutcomeLog(outbox),
        habits or (resting(count=1) if roster else None),
        ends_ns=None if ends_s is None else round(ends_s * 1e9),
    )

    async def close_inbox_when_stopped() -> None:
        await control.stopping.wait()
        into.close()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            if holds_open:
                nursery.start_soon(close_inbox_when_stopped)
            if steer is not None:
                nursery.start_soon(steer, control)
            await client(work)
            nursery.cancel_scope.cancel()
    outbox.close()
    batches = [batch async for batch in out]
    rows = np.concatenate(batches) if batches else OUTCOME.empty(0)
    return rows[np.lexsort((rows["end_ns"], rows["seq"]))]


def run_sync(client: Client, flow: Flow, **options: Any) -> Rows:
    """`run`, for tests that are not async."""

    async def main() -> Rows:
        return await run(client, flow, **options)

    return trio.run(main)


def errors(rows: Rows) -> list[str]:
    """The error of each row, by name."""
    return [ErrorCode(code).name for code in rows["error"].tolist()]
