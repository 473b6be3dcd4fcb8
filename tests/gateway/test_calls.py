"""gRPC calls under trio, against a server in threads of this process."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import trio

from flux.gateway import contract
from flux.gateway.calls import CallFailedError, open_calls
from flux.gateway.microservice import add_handlers
from flux.gateway.stores import Handlers, RefusedError, Users


@contextmanager
def _serving(handlers: Handlers) -> Iterator[dict[str, int]]:
    pool = ThreadPoolExecutor(2)
    server = grpc.server(pool)
    add_handlers(server, "users", handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield {"users": port}
    finally:
        server.stop(None).wait()
        pool.shutdown()


async def test_reply_comes_back_over_the_network() -> None:
    with _serving(Users().handlers()) as ports, open_calls(ports) as calls:
        user = await calls.call(contract.CREATE_USER, contract.CreateUserRequest("ann"))
        assert await calls.call(contract.GET_USER, contract.GetUserRequest(user.id)) == user


async def test_refusal_keeps_its_status_and_its_words() -> None:
    with (
        _serving(Users().handlers()) as ports,
        open_calls(ports) as calls,
        pytest.raises(CallFailedError, match="no user has the id 'u9'") as caught,
    ):
        await calls.call(contract.GET_USER, contract.GetUserRequest("u9"))
    assert (caught.value.service, caught.value.status) == ("users", "NOT_FOUND")


async def test_slow_service_is_deadline_exceeded() -> None:
    release = threading.Event()

    def wait(_: contract.GetUserRequest) -> contract.User:
        release.wait()
        raise RefusedError("NOT_FOUND", "too late")

    with _serving({contract.GET_USER: wait}) as ports, open_calls(ports) as calls:
        with pytest.raises(CallFailedError, match="users: DEADLINE_EXCEEDED"):
            await calls.call(contract.GET_USER, contract.GetUserRequest("u1"), timeout_s=0.05)
        release.set()


async def test_cancelled_wait_ends_at_once_and_leaves_the_channel_usable() -> None:
    arrived = threading.Event()
    release = threading.Event()

    def wait(request: contract.GetUserRequest) -> contract.User:
        arrived.set()
        release.wait()
        return contract.User(request.id, "ann")

    with _serving({contract.GET_USER: wait}) as ports, open_calls(ports) as calls:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(calls.call, contract.GET_USER, contract.GetUserRequest("u1"))
            await trio.to_thread.run_sync(arrived.wait)
            nursery.cancel_scope.cancel()
        release.set()
        user = await calls.call(contract.GET_USER, contract.GetUserRequest("u2"))
    assert user.id == "u2"


async def test_health_names_the_service_that_is_gone() -> None:
    with _serving(Users().handlers()) as ports, open_calls(ports) as calls:
        assert await calls.check_health() == {"users": "ok"}
    with open_calls(ports) as calls:
        assert await calls.check_health() == {"users": "unavailable"}
