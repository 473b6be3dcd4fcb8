"""What the services know and decide, without gRPC: each method takes a message and answers one.

Memory is bounded: texts have a longest length, and a full store forgets its oldest entry, so that
a long run goes on working.
"""

import hashlib
import hmac
import os
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from flux.gateway import contract

Handlers: TypeAlias = Mapping[contract.Method[Any, Any], Callable[[Any], object]]
"""What answers each method of a service."""

MAX_USERS = 100_000
MAX_MESSAGES = 1_000
MAX_USERNAME_LENGTH = 100
MAX_PASSWORD_LENGTH = 1_000


class RefusedError(Exception):
    """A service says no; `status` is the name of a gRPC status code."""

    def __init__(self, status: str, details: str) -> None:
        super().__init__(details)
        self.status = status
        self.details = details


class Users:
    """Who exists."""

    def __init__(self, *, max_users: int = MAX_USERS) -> None:
        self._max_users = max_users
        self._lock = threading.Lock()
        self._last_number = 0
        # Ordered by age; a plain dict would scan over its deleted entries to find the oldest.
        self._by_id: OrderedDict[str, contract.User] = OrderedDict()
        self._by_name: dict[str, contract.User] = {}

    def handlers(self) -> Handlers:
        return {
            contract.CREATE_USER: self.create,
            contract.GET_USER: self.get,
            contract.FIND_USER: self.find,
            contract.DELETE_USER: self.delete,
        }

    def create(self, request: contract.CreateUserRequest) -> contract.User:
        _check_text("username", request.username, MAX_USERNAME_LENGTH)
        with self._lock:
            if request.username in self._by_name:
                raise RefusedError("ALREADY_EXISTS", f"username {request.username!r} is taken")
            self._last_number += 1
            user = contract.User(f"u{self._last_number}", request.username)
            self._by_id[user.id] = self._by_name[user.username] = user
            if len(self._by_id) > self._max_users:
                _, oldest = self._by_id.popitem(last=False)
                del self._by_name[oldest.username]
        return user

    def get(self, request: contract.GetUserRequest) -> contract.User:
        return _found(self._by_id.get(request.id), "id", request.id)

    def find(self, request: contract.FindUserRequest) -> contract.User:
        return _found(self._by_name.get(request.username), "name", request.username)

    def delete(self, request: contract.DeleteUserRequest) -> contract.Empty:
        with self._lock:
            user = self._by_id.pop(request.id, None)
            if user is not None:
                del self._by_name[user.username]
        return contract.Empty()


class Auth:
    """Who knows which password."""

    def __init__(self, *, max_users: int = MAX_USERS) -> None:
        self._max_users = max_users
        self._lock = threading.Lock()
        self._salted_hashes: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()

    def handlers(self) -> Handlers:
        return {contract.SET_PASSWORD: self.set_password, contract.LOG_IN: self.log_in}

    def set_password(self, request: contract.SetPasswordRequest) -> contract.Empty:
        _check_text("password", request.password, MAX_PASSWORD_LENGTH)
        salt = os.urandom(16)
        salted_hash = _hash(request.password, salt)
        with self._lock:
            self._salted_hashes[request.user_id] = (salt, salted_hash)
            if len(self._salted_hashes) > self._max_users:
                self._salted_hashes.popitem(last=False)
        return contract.Empty()

    def log_in(self, request: contract.LogInRequest) -> contract.Token:
        salt, salted_hash = self._salted_hashes.get(request.user_id, (b"", b""))
        if not hmac.compare_digest(_hash(request.password, salt), salted_hash):
            raise RefusedError("UNAUTHENTICATED", "unknown username or wrong password")
        return contract.Token(secrets.token_urlsafe(16))


class Notifications:
    """The last messages that were queued; nobody delivers them."""

    def __init__(self, *, max_messages: int = MAX_MESSAGES) -> None:
        self.messages: deque[contract.QueueRequest] = deque(maxlen=max_messages)

    def handlers(self) -> Handlers:
        return {contract.QUEUE: self.queue}

    def queue(self, request: contract.QueueRequest) -> contract.Empty:
        self.messages.append(request)
        return contract.Empty()


STORES: Mapping[str, Callable[[], Users | Auth | Notifications]] = {
    "auth": Auth,
    "users": Users,
    "notifications": Notifications,
}
"""What each microservice runs."""


def _check_text(name: str, text: str, max_length: int) -> None:
    if not text.strip():
        raise RefusedError("INVALID_ARGUMENT", f"{name} must not be blank")
    if len(text) > max_length:
        raise RefusedError(
            "INVALID_ARGUMENT", f"{name} must have at most {max_length} characters, got {len(text)}"
        )


def _found(user: contract.User | None, key: str, value: str) -> contract.User:
    if user is None:
        raise RefusedError("NOT_FOUND", f"no user has the {key} {value!r}")
    return user


def _hash(password: str, salt: bytes) -> bytes:
    # n=256 is far too cheap for real passwords: this is a demo that answers fast.
    return hashlib.scrypt(password.encode(), salt=salt, n=256, r=1, p=1, dklen=32)
