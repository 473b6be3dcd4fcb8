"""What the gateway does for each request: four endpoints, each a few gRPC calls.

Every answer is a JSON object. An error says what is wrong under `error`.
"""

import json
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import trio

from flux.gateway import contract
from flux.gateway.behaviour import Behaviour
from flux.gateway.calls import CallFailedError, Calls
from flux.gateway.http_server import Answer, Handle, Request

Endpoint: TypeAlias = Callable[[Request], Awaitable[Answer]]

HTTP_STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP status of each gRPC status; any other is 500."""

UNDO_TIMEOUT_S = 1.0


class BadRequestError(Exception):
    """The body cannot be used."""


def build_handle(calls: Calls, behaviours: Mapping[str, Behaviour], *, seed: int) -> Handle:
    """Make what answers every request of the gateway."""
    endpoints = Endpoints(calls)

    def behaved(name: str, endpoint: Endpoint) -> Endpoint:
        generator = random.Random(f"{seed}/{name}")
        return _with_behaviour(endpoint, behaviours.get(name, Behaviour()), generator)

    routes = {
        "/health": ("GET", behaved("health", endpoints.health)),
        "/auth/register": ("POST", behaved("register", endpoints.register)),
        "/auth/login": ("POST", behaved("login", endpoints.login)),
        "/users/": ("GET", behaved("user", endpoints.user)),
    }

    async def handle(request: Request) -> Answer:
        path = "/users/" if request.path.startswith("/users/") else request.path
        if path not in routes:
            return _error(404, f"there is nothing at {request.path}")
        verb, endpoint = routes[path]
        if request.verb != verb:
            return _error(405, f"{request.path} takes {verb}, not {request.verb}")
        try:
            return await endpoint(request)
        except BadRequestError as error:
            return _error(400, str(error))
        except CallFailedError as error:
            status = HTTP_STATUS.get(error.status, 500)
            # What a dead connection says is grpcio's own long text, with addresses in it.
            said = error.details if status < 500 else f"{error.service}: {error.status.lower()}"
            return _error(status, said)

    return handle


class Endpoints:
    """What the gateway does for each request."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def health(self, _: Request) -> Answer:
        services = await self._calls.check_health()
        down = [name for name, state in services.items() if state != "ok"]
        if down:
            error = f"unavailable: {', '.join(down)}"
            return Answer(503, {"status": "unavailable", "services": services, "error": error})
        return Answer(200, {"status": "ok", "services": services})

    async def register(self, request: Request) -> Answer:
        username, password = _read_texts(request.body, "username", "password")
        user = await self._calls.call(
            contract.CREATE_USER, contract.CreateUserRequest(username=username)
        )
        complete = False
        try:
            await self._calls.call(
                contract.SET_PASSWORD, contract.SetPasswordRequest(user.id, password)
            )
            await self._calls.call(
                contract.QUEUE, contract.QueueRequest(user.id, f"Welcome, {username}!")
            )
            complete = True
        finally:
            if not complete:
                await self._undo_create(user)
        return Answer(201, {"id": user.id, "username": user.username})

    async def _undo_create(self, user: contract.User) -> None:
        # A failed registration must not keep the name: who tries again would get a 409. The
        # shield is for a gateway that is stopped meanwhile.
        with trio.CancelScope(shield=True):
            try:
                await self._calls.call(
                    contract.DELETE_USER,
                    contract.DeleteUserRequest(user.id),
                    timeout_s=UNDO_TIMEOUT_S,
                )
            except CallFailedError:
                pass  # the users service went down meanwhile, and its memory with it

    async def login(self, request: Request) -> Answer:
        username, password = _read_texts(request.body, "username", "password")
        try:
            user = await self._calls.call(contract.FIND_USER, contract.FindUserRequest(username))
        except CallFailedError as error:
            if error.status == "NOT_FOUND":
                return _error(401, "unknown username or wrong password")
            raise
        reply = await self._calls.call(contract.LOG_IN, contract.LogInRequest(user.id, password))
        return Answer(200, {"token": reply.token})

    async def user(self, request: Request) -> Answer:
        user_id = request.path.removeprefix("/users/")
        user = await self._calls.call(contract.GET_USER, contract.GetUserRequest(user_id))
        return Answer(200, {"id": user.id, "username": user.username})


def _with_behaviour(endpoint: Endpoint, behaviour: Behaviour, generator: random.Random) -> Endpoint:
    async def behaved(request: Request) -> Answer:
        fails = generator.random() < behaviour.failure_ratio
        if behaviour.draw_latency_s is not None:
            await trio.sleep(behaviour.draw_latency_s(generator))
        if fails:
            return _error(503, "a failure that --failures asked for")
        return await endpoint(request)

    return behaved


def _read_texts(body: bytes, *names: str) -> tuple[str, ...]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("the body must be JSON") from None
    if not isinstance(value, dict):
        raise BadRequestError("the body must be a JSON object")
    return tuple(_text(value, name) for name in names)


def _text(value: dict[str, object], name: str) -> str:
    if name not in value:
        raise BadRequestError(f"{name} is required")
    text = value[name]
    if not isinstance(text, str):
        raise BadRequestError(f"{name} must be text")
    if not text.strip():
        raise BadRequestError(f"{name} must not be blank")
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can write half of a surrogate pair, UTF-8 cannot
        raise BadRequestError(f"{name} must be valid Unicode") from None
    return text


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"error": message})
