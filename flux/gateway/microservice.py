"""One microservice: `python -m flux.gateway.microservice NAME`, started by the gateway.

It takes a free port, says which on standard output, and serves until standard input closes. The
gateway holds the other end of that pipe, and the kernel closes it however the gateway ends, so
that no service outlives its gateway.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from flux.gateway import contract
from flux.gateway.stores import STORES, Handlers, RefusedError

THREADS = 4


def main(name: str) -> None:
    """Serve the microservice called `name` until standard input closes."""
    server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.so_reuseport", 0)])
    add_handlers(server, name, STORES[name]().handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    server.stop(None).wait()


def add_handlers(server: grpc.Server, name: str, handlers: Handlers) -> None:
    """Make `server` answer the handlers' methods and the standard health check."""
    codec = contract.Codec()

    def check_health(request: contract.HealthCheckRequest) -> contract.HealthCheckResponse:
        if request.service not in ("", contract.SERVICES[name]):
            raise RefusedError("NOT_FOUND", f"no service {request.service!r} here")
        return contract.HealthCheckResponse(contract.SERVING)

    services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
    for method, answer in {**handlers, contract.CHECK_HEALTH: check_health}.items():
        services.setdefault(method.service, {})[method.name] = grpc.unary_unary_rpc_method_handler(
            _refusals_as_status(answer),
            request_deserializer=codec.decoder(method.request),
            response_serializer=codec.encoder(method.reply),
        )
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(*item) for item in services.items()]
    )


def _refusals_as_status(
    answer: Callable[[Any], object],
) -> Callable[[Any, grpc.ServicerContext], object]:
    def handle(request: object, context: grpc.ServicerContext) -> object:
        try:
            return answer(request)
        except RefusedError as refusal:
            return context.abort(grpc.StatusCode[refusal.status], refusal.details)  # raises

    return handle


if __name__ == "__main__":
    main(sys.argv[1])
