"""gRPC calls as trio sees them: grpcio's futures, resolved into the loop that waits.

grpcio completes a future on a thread of its own, which only asks trio to set an event; the loop
never blocks. A wait that trio cancels cancels the call, so that the service hears of it.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import trio

from flux.gateway import contract
from flux.gateway.contract import Method, ReplyT, RequestT

CALL_TIMEOUT_S = 2.0
HEALTH_TIMEOUT_S = 1.0


class CallFailedError(Exception):
    """A call did not give a reply; `status` is the name of its gRPC status code."""

    def __init__(self, service: str, status: str, details: str) -> None:
        super().__init__(f"{service}: {status}: {details}")
        self.service = service
        self.status = status
        self.details = details


class Calls:
    """The services as the gateway reaches them."""

    def __init__(self, channels: Mapping[str, grpc.Channel]) -> None:
        codec = contract.Codec()
        self._names = {contract.SERVICES[name]: name for name in channels}
        self._methods = {
            method.path: _callable(channels[self._names[method.service]], codec, method)
            for method in contract.METHODS
            if method.service in self._names
        }
        self._health_checks = {
            name: _callable(channel, codec, contract.CHECK_HEALTH)
            for name, channel in channels.items()
        }

    async def call(
        self,
        method: Method[RequestT, ReplyT],
        request: RequestT,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> ReplyT:
        """Make one call.

        Raises:
            CallFailedError: the service refused, is not there, or took longer than `timeout_s`.
        """
        future = self._methods[method.path].future(request, timeout=timeout_s)
        reply: ReplyT = await _result(self._names[method.service], future)
        return reply

    async def check_health(self) -> dict[str, str]:
        """Ask every service at the same time.

        Returns: `ok`, or what is wrong, by the name of the service.
        """
        futures = {
            name: check.future(
                contract.HealthCheckRequest(contract.SERVICES[name]), timeout=HEALTH_TIMEOUT_S
            )
            for name, check in self._health_checks.items()
        }
        states = {}
        for name, future in futures.items():
            try:
                reply = await _result(name, future)
            except CallFailedError as error:
                states[name] = error.status.lower()
            else:
                states[name] = "ok" if reply.status == contract.SERVING else "not_serving"
        return states


@contextmanager
def open_calls(ports: Mapping[str, int]) -> Iterator[Calls]:
    """Open a channel to each service, by its name and port on the loopback address."""
    with ExitStack() as stack:
        yield Calls(
            {
                name: stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}", _OPTIONS))
                for name, port in ports.items()
            }
        )


_OPTIONS = (
    # A proxy named in the environment must not come between loopback addresses.
    ("grpc.enable_http_proxy", 0),
)


def _callable(channel: grpc.Channel, codec: contract.Codec, method: Method[Any, Any]) -> Any:
    return channel.unary_unary(
        method.path,
        request_serializer=codec.encoder(method.request),
        response_deserializer=codec.decoder(method.reply),
    )


async def _result(service: str, future: grpc.Future) -> Any:
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def wake(_: grpc.Future) -> None:
        try:
            token.run_sync_soon(done.set)
        except trio.RunFinishedError:
            pass  # the loop is gone, and with it whoever waited

    future.add_done_callback(wake)
    try:
        await done.wait()
    finally:
        future.cancel()  # no effect on a future that is done
    if future.code() is not grpc.StatusCode.OK:
        raise CallFailedError(service, future.code().name, future.details() or "")
    return future.result()
