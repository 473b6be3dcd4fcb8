"""Processes that the demo starts: a pipe each way, and no child outlives its parent.

The child says on standard output what the parent must know, as one line of JSON, and ends when
its standard input closes. Each child has a session of its own, because Ctrl-C goes to all of a
terminal's foreground processes and only the parent shall decide when to stop.
"""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import attrs
import trio

import flux
from flux.errors import FluxError
from flux.gateway.contract import SERVICES

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 1.0
MAX_LINE_BYTES = 64 * 1024


@attrs.frozen
class Microservice:
    """A running microservice."""

    name: str
    """`auth`, `users` or `notifications`."""
    port: int
    """On 127.0.0.1."""
    process: trio.Process
    """Its process."""


async def start_child(
    module: str, *arguments: str, stderr: IO[bytes] | None = None
) -> trio.Process:
    """Start `python -m module` with a pipe to its standard input and one from its output."""
    # -P: a file in the working directory must not hide a module.
    return await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": _python_path()},
        start_new_session=True,
    )


def _python_path() -> str:
    # The child must find this very flux, also from a checkout.
    here = str(Path(flux.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([here, inherited] if inherited else [here])


async def read_announcement(process: trio.Process) -> dict[str, object] | None:
    """Read the line of JSON with which a child says that it is ready; None: it ended first."""
    assert process.stdout is not None
    line = bytearray()
    while not line.endswith(b"\n"):
        data = await process.stdout.receive_some()
        if not data or len(line) > MAX_LINE_BYTES:
            return None
        line += data
    announcement: dict[str, object] = json.loads(line)
    return announcement


async def stop_child(process: trio.Process, *, timeout_s: float) -> None:
    """Ask a child to end by closing its input and by SIGTERM, and kill it after `timeout_s`."""
    with trio.CancelScope(shield=True):
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                await stream.aclose()
        process.terminate()
        with trio.move_on_after(timeout_s):
            await process.wait()
        process.kill()
        await process.wait()


@asynccontextmanager
async def open_microservices() -> AsyncIterator[Mapping[str, trio.Process]]:
    """Start every microservice, not waiting for any; stop them all at the end."""
    processes: dict[str, trio.Process] = {}
    try:
        for name in SERVICES:
            processes[name] = await start_child("flux.gateway.microservice", name)
        yield processes
    finally:
        for process in processes.values():
            await stop_child(process, timeout_s=STOP_TIMEOUT_S)


async def wait_microservices(processes: Mapping[str, trio.Process]) -> dict[str, Microservice]:
    """Wait until each has said its port.

    Raises:
        FluxError: one ended, or said nothing for too long.
    """
    services = {}
    for name, process in processes.items():
        announcement = None
        with trio.move_on_after(START_TIMEOUT_S):
            announcement = await read_announcement(process)
        if announcement is None:
            raise FluxError(f"the {name} service (pid {process.pid}) did not start")
        port = announcement["port"]
        assert isinstance(port, int)
        services[name] = Microservice(name, port, process)
    return services
