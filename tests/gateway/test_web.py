"""What the gateway answers, with services that say what a test tells them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from flux.gateway import contract
from flux.gateway.behaviour import Behaviour, parse_behaviours
from flux.gateway.calls import CallFailedError, Calls
from flux.gateway.contract import Method, ReplyT, RequestT
from flux.gateway.http_server import Answer, Handle, Request
from flux.gateway.stores import Auth, Notifications, RefusedError, Users
from flux.gateway.web import build_handle


class _Services(Calls):
    """The real stores with no network between; some methods fail with a status."""

    def __init__(self, failing: dict[Method[Any, Any], str] | None = None) -> None:
        self.failing = failing or {}
        stores: tuple[Users | Auth | Notifications, ...] = (Users(), Auth(), Notifications())
        self._handlers = {
            method: answer for store in stores for method, answer in store.handlers().items()
        }

    async def call(
        self, method: Method[RequestT, ReplyT], request: RequestT, *, timeout_s: float = 2.0
    ) -> ReplyT:
        await trio.lowlevel.checkpoint()
        status = {failing.path: said for failing, said in self.failing.items()}.get(method.path)
        if status is not None:
            raise CallFailedError(method.service, status, "told to fail")
        try:
            reply = self._handlers[method](request)
        except RefusedError as refusal:
            raise CallFailedError(method.service, refusal.status, refusal.details) from None
        assert isinstance(reply, method.reply)
        return reply


def _handle(
    services: Calls | None = None, behaviours: Mapping[str, Behaviour] | None = None
) -> Handle:
    return build_handle(services or _Services(), behaviours or {}, seed=7)


def _post(path: str, body: object) -> Request:
    return Request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())


REGISTER = _post("/auth/register", {"username": "ann", "password": "secret"})


async def test_registered_user_can_be_read_and_can_log_in() -> None:
    handle = _handle()
    assert await handle(REGISTER) == Answer(201, {"id": "u1", "username": "ann"})
    assert await handle(Request("GET", "/users/u1", b"")) == Answer(
        200, {"id": "u1", "username": "ann"}
    )
    login = await handle(_post("/auth/login", {"username": "ann", "password": "secret"}))
    assert login.status == 200
    assert list(login.body) == ["token"]


@pytest.mark.parametrize(
    "body", [{"username": "ann", "password": "wrong"}, {"username": "bob", "password": "secret"}]
)
async def test_login_does_not_tell_an_unknown_name_from_a_wrong_password(body: object) -> None:
    handle = _handle()
    await handle(REGISTER)
    assert await handle(_post("/auth/login", body)) == Answer(
        401, {"error": "unknown username or wrong password"}
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body must be JSON"),
        (b"{", "the body must be JSON"),
        (b"\xff", "the body must be JSON"),
        (b"[" * 60_000, "the body must be JSON"),
        ([], "the body must be a JSON object"),
        (b"NaN", "the body must be a JSON object"),
        ({}, "username is required"),
        ({"username": "ann"}, "password is required"),
        ({"username": 5, "password": "x"}, "username must be text"),
        ({"username": None, "password": "x"}, "username must be text"),
        ({"username": "ann", "password": " "}, "password must not be blank"),
        (b'{"username": "\\ud800", "password": "x"}', "username must be valid Unicode"),
        (
            {"username": "a" * 101, "password": "x"},
            "username must have at most 100 characters, got 101",
        ),
    ],
)
async def test_body_that_cannot_be_used_is_400(body: object, error: str) -> None:
    assert await _handle()(_post("/auth/register", body)) == Answer(400, {"error": error})


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/users", 404),
        ("GET", "/users/", 404),
        ("GET", "/users/u1/x", 404),
        ("POST", "/health", 405),
        ("GET", "/auth/register", 405),
    ],
)
async def test_what_is_not_there_is_a_json_error(verb: str, path: str, status: int) -> None:
    answer = await _handle()(Request(verb, path, b""))
    assert answer.status == status
    assert list(answer.body) == ["error"]


@pytest.mark.parametrize(
    ("grpc_status", "status"),
    [
        ("INVALID_ARGUMENT", 400),
        ("UNAUTHENTICATED", 401),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("UNAVAILABLE", 503),
        ("DEADLINE_EXCEEDED", 504),
        ("INTERNAL", 500),
        ("UNKNOWN", 500),
    ],
)
async def test_grpc_status_becomes_an_http_status(grpc_status: str, status: int) -> None:
    handle = _handle(_Services({contract.GET_USER: grpc_status}))
    answer = await handle(Request("GET", "/users/u1", b""))
    assert answer.status == status
    assert list(answer.body) == ["error"]


@pytest.mark.parametrize("method", [contract.SET_PASSWORD, contract.QUEUE])
async def test_registration_that_fails_half_way_gives_the_name_back(
    method: Method[Any, Any],
) -> None:
    services = _Services({method: "UNAVAILABLE"})
    handle = _handle(services)
    assert (await handle(REGISTER)).status == 503
    services.failing = {}
    assert (await handle(REGISTER)).status == 201


async def test_same_seed_fails_the_same_requests() -> None:
    async def statuses() -> list[int]:
        handle = _handle(behaviours={"register": Behaviour(failure_ratio=0.5)})
        return [
            (await handle(_post("/auth/register", {"username": f"u{n}", "password": "x"}))).status
            for n in range(64)
        ]

    first = await statuses()
    assert first == await statuses()
    assert set(first) == {201, 503}


async def test_latency_delays_only_its_endpoint(autojump_clock: MockClock) -> None:
    handle = _handle(behaviours=parse_behaviours(["user=constant:1h"], []))
    start_s = trio.current_time()
    await handle(REGISTER)
    assert trio.current_time() == start_s
    await handle(Request("GET", "/users/u1", b""))
    assert trio.current_time() == pytest.approx(start_s + 3600)
