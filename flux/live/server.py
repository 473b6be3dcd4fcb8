"""The control socket of a run: made for its owner alone, and never in the way of the load.

The path of a Unix socket is limited to about a hundred bytes, which a deep folder is longer than;
so it is bound, and connected to, by way of the folder's descriptor.
"""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from flux.live.desk import Desk
from flux.live.protocol import (
    MAX_LINE_BYTES,
    SOCKET_FILE,
    BadRequest,
    answer,
    read_request,
    refusal,
)
from flux.stage import Run

IDLE_S = 10.0
"""How long a client may take for a request, or to take its answer."""

MOST_CLIENTS = 32
"""More at once are sent away."""


@asynccontextmanager
async def open_server(desk: Desk, run: Run) -> AsyncIterator[None]:
    """Answer on the socket in the run's folder while the block lasts.

    Where it cannot be made the run goes on without, and the log says why.
    """
    listener = _listen(run)
    if listener is None or run.folder is None:
        yield
        return
    path = run.folder / SOCKET_FILE
    clients = trio.CapacityLimiter(MOST_CLIENTS)

    async def serve(stream: trio.SocketStream) -> None:
        await _serve(stream, desk, clients, run)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            yield
            nursery.cancel_scope.cancel()
    finally:
        # The folder may have been taken away meanwhile.
        path.unlink(missing_ok=True)


def _listen(run: Run) -> trio.SocketListener | None:
    if run.folder is None:
        return None
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder = os.open(run.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            # Before it is bound: so it is the owner's alone from its first moment.
            os.fchmod(opened.fileno(), 0o600)
            opened.bind(f"/proc/self/fd/{folder}/{SOCKET_FILE}")
        finally:
            os.close(folder)
        opened.listen(4 * MOST_CLIENTS)
    except OSError as error:
        opened.close()
        run.log.warning("no live control: cannot make %s: %s", SOCKET_FILE, error.strerror)
        return None
    return trio.SocketListener(trio.socket.from_stdlib_socket(opened))


async def _serve(
    stream: trio.SocketStream, desk: Desk, clients: trio.CapacityLimiter, run: Run
) -> None:
    """Answer one client until it has had enough; whatever it does is its own affair."""
    try:
        clients.acquire_nowait()
    except trio.WouldBlock:
        await stream.aclose()
        return
    try:
        async with stream:
            buffer = bytearray()
            while await _answer_next(stream, buffer, desk):
                pass
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        run.log.debug("a client of the control socket went away")
    finally:
        clients.release()


async def _answer_next(stream: trio.SocketStream, buffer: bytearray, desk: Desk) -> bool:
    """Read a line and answer it; False if there is no other."""
    with trio.move_on_after(IDLE_S):
        while b"\n" not in buffer:
            data = await stream.receive_some(4096)
            if not data:
                return False
            buffer += data
            if len(buffer) > MAX_LINE_BYTES:
                await stream.send_all(refusal("a request must be one short line"))
                return False
        line, _, rest = bytes(buffer).partition(b"\n")
        buffer[:] = rest
        await stream.send_all(_answer(line, desk))
        return True
    return False


def _answer(line: bytes, desk: Desk) -> bytes:
    try:
        return answer(desk.handle(read_request(line)))
    except BadRequest as error:
        return refusal(str(error))
