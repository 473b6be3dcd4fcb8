"""The gateway's own process: starts the services, serves HTTP, stops everything in order."""

import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping

import trio

from flux.errors import FluxError
from flux.gateway.behaviour import Behaviour
from flux.gateway.children import Microservice, open_microservices, wait_microservices


def bind_listener(host: str, port: int) -> socket.socket:
    """Take the address before anything is started.

    Raises:
        FluxError: it is taken, not allowed, or not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise FluxError(
            f"the gateway cannot listen on {host}:{port}: {error.strerror}",
            hint="--port 0 takes any free port",
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The base URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve_gateway(
    listener: socket.socket,
    *,
    behaviours: Mapping[str, Behaviour],
    seed: int,
    announce: Callable[[str, Mapping[str, Microservice]], None],
    ends_with_stdin: bool = False,
) -> None:
    """Run a gateway until SIGINT or SIGTERM, or with `ends_with_stdin` until its parent is gone.

    Args:
        listener: bound, not listening yet; becomes the server's own.
        behaviours: by endpoint.
        seed: fixes the latencies and failures, in order of arrival at each endpoint.
        announce: called once, with the URL and the services, when the gateway is healthy.

    Raises:
        FluxError: a service did not start.
    """
    url = url_of(listener)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_microservices() as processes:
            # These load grpcio, which takes about as long as the services
            # take to start: side by side.
            from flux.gateway.calls import open_calls
            from flux.gateway.http_server import serve_http
            from flux.gateway.web import build_handle

            services = await wait_microservices(processes)
            with open_calls({name: service.port for name, service in services.items()}) as calls:
                states = await calls.check_health()
                if set(states.values()) != {"ok"}:
                    raise FluxError(f"the services do not answer: {states}")
                handle = build_handle(calls, behaviours, seed=seed)
                stop = trio.Event()
                async with trio.open_nursery() as watches:
                    watches.start_soon(_watch_signals, signals, stop)
                    for service in services.values():
                        watches.start_soon(_watch_microservice, service)
                    if ends_with_stdin:
                        watches.start_soon(_watch_stdin, stop)
                    async with trio.open_nursery() as serving:
                        await serving.start(serve_http, handle, listener, stop)
                        announce(url, services)
                    watches.cancel_scope.cancel()


def allow_many_connections() -> None:
    """Lift the soft limit of open files as far as the hard one lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _watch_signals(signals: AsyncIterator[int], stop: trio.Event) -> None:
    async for _ in signals:
        stop.set()


async def _watch_stdin(stop: trio.Event) -> None:
    async with trio.lowlevel.FdStream(sys.stdin.fileno()) as stdin:
        while await stdin.receive_some():
            pass  # nobody has anything to say: only the end counts
    stop.set()


async def _watch_microservice(service: Microservice) -> None:
    code = await service.process.wait()
    sys.stderr.write(
        f"the {service.name} service (pid {service.process.pid}) ended with code {code}; "
        "requests that need it answer 503\n"
    )
    sys.stderr.flush()
