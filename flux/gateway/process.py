"""A gateway for the length of a run, in processes of its own."""

import logging
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any

import attrs
import trio

from flux.errors import FluxError
from flux.gateway.behaviour import parse_behaviours
from flux.gateway.children import read_announcement, start_child, stop_child
from flux.gateway.command import check_extra

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 3.0
TOLD_BYTES = 4096


@attrs.frozen
class ServiceProcess:
    """Where one of the gateway's services runs."""

    pid: int
    """Its process."""
    port: int
    """On 127.0.0.1, gRPC without TLS."""


@attrs.frozen
class DemoGateway:
    """A running gateway, healthy when it was handed over."""

    url: str
    """`http://127.0.0.1:PORT`, with no slash at the end."""
    pid: int
    """The gateway's own process."""
    services: Mapping[str, ServiceProcess]
    """By name: `auth`, `users`, `notifications`."""


@asynccontextmanager
async def open_demo_gateway(
    *,
    seed: int = 0,
    latencies: Sequence[str] = (),
    failures: Sequence[str] = (),
    port: int = 0,
) -> AsyncIterator[DemoGateway]:
    """Start a gateway, wait until it is healthy, and stop it when the block ends.

    It ends with this process however this process ends, and it does not hear the terminal's
    Ctrl-C: a run that drains still has its target.

    Args:
        seed: fixes the latencies and failures.
        latencies: as `--latency` of `flux gateway`, such as `register=exponential:20ms`.
        failures: as `--failures`, such as `register=0.05`.
        port: 0 takes a free one.

    Raises:
        UsageError: a latency or a failure ratio cannot be read.
        MissingExtra: the extra `demo` is not installed.
        FluxError: the gateway did not become healthy in 15 s; with what it said.
    """
    parse_behaviours(latencies, failures)
    check_extra()
    arguments = ["--attached", f"--port={port}", f"--seed={seed}"]
    arguments += [f"--latency={text}" for text in latencies]
    arguments += [f"--failures={text}" for text in failures]
    with tempfile.TemporaryFile() as stderr:
        process = await start_child("flux.gateway", *arguments, stderr=stderr)
        try:
            yield await _wait_ready(process, stderr)
        finally:
            await stop_child(process, timeout_s=STOP_TIMEOUT_S)
            told = _told(stderr)
            if told:
                logging.getLogger(__name__).info("the demo gateway said: %s", told)


async def _wait_ready(process: trio.Process, stderr: IO[bytes]) -> DemoGateway:
    # The gateway speaks once its HTTP side listens and its services have passed the check that
    # /health makes. Asking /health itself would meet the failures that the caller asked for.
    announcement: dict[str, Any] | None = None
    with trio.move_on_after(START_TIMEOUT_S):
        announcement = await read_announcement(process)
    if announcement is None:
        raise FluxError(
            "the demo gateway did not start", hint=f"it said: {_told(stderr) or 'nothing'}"
        )
    services = {
        name: ServiceProcess(place["pid"], place["port"])
        for name, place in announcement["services"].items()
    }
    return DemoGateway(announcement["url"], process.pid, services)


def _told(stderr: IO[bytes]) -> str:
    length = stderr.seek(0, 2)
    stderr.seek(max(0, length - TOLD_BYTES))
    return stderr.read().decode(errors="replace").strip()
