"""`flux gateway`: the demo target, in the foreground."""

import json
import sys
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from flux.errors import MissingExtra
from flux.gateway.behaviour import ENDPOINTS, parse_behaviours

if TYPE_CHECKING:
    from flux.gateway.children import Microservice


@click.command("gateway")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="TCP port; 0 takes any free one.",
)
@click.option(
    "--latency",
    "latencies",
    metavar="ENDPOINT=FORM",
    multiple=True,
    help="Wait before answering: constant:20ms, uniform:10ms-30ms, normal:20ms,5ms, "
    "exponential:20ms or lognormal:20ms,0.5. Once per endpoint: " + ", ".join(ENDPOINTS) + ".",
)
@click.option(
    "--failures",
    metavar="ENDPOINT=RATIO",
    multiple=True,
    help="Answer 503 to this share of requests, such as register=0.05.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Fixes the latencies and failures."
)
@click.option("--attached", is_flag=True, hidden=True, help="Started by a run, and ends with it.")
def gateway(
    host: str,
    port: int,
    latencies: tuple[str, ...],
    failures: tuple[str, ...],
    seed: int,
    attached: bool,
) -> None:
    """Serve the demo target: HTTP outside, three gRPC services inside.

    GET /health, POST /auth/register, POST /auth/login and GET /users/{id}, as
    something to learn with. It stops at Ctrl-C.
    """
    behaviours = parse_behaviours(latencies, failures)
    check_extra()
    import trio

    from flux.gateway.server import allow_many_connections, bind_listener, serve_gateway

    allow_many_connections()
    with bind_listener(host, port) as listener:
        trio.run(
            partial(
                serve_gateway,
                listener,
                behaviours=behaviours,
                seed=seed,
                announce=_announce_to_run if attached else _announce_to_person,
                ends_with_stdin=attached,
            )
        )


def check_extra() -> None:
    """Look for the optional dependencies without loading them.

    Raises:
        MissingExtra: one is not installed.
    """
    if not all(find_spec(name) for name in ("google", "grpc")):
        raise MissingExtra("the demo gateway", extra="demo")


def _announce_to_person(url: str, services: Mapping[str, "Microservice"]) -> None:
    inside = ", ".join(
        f"{service.name} on port {service.port} (pid {service.process.pid})"
        for service in services.values()
    )
    sys.stderr.write(f"gateway on {url}, with {inside}; Ctrl-C stops it\n")
    sys.stderr.flush()


def _announce_to_run(url: str, services: Mapping[str, "Microservice"]) -> None:
    announcement = {
        "url": url,
        "services": {
            service.name: {"pid": service.process.pid, "port": service.port}
            for service in services.values()
        },
    }
    try:
        sys.stdout.write(json.dumps(announcement) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # the run is gone: the end of standard input says so as well, and stops the gateway
