"""What the gateway and its services say to each other: messages, methods, and protobuf bytes.

The messages are attrs classes; their fields, in order, are protobuf fields 1, 2, 3 …. The codec
describes them to the protobuf library when a process starts. There is no generated code, because
generated code is bound to a range of versions of its library. `services.proto` says the same for
other clients of the services, and a test holds the two together.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")
MessageT = TypeVar("MessageT")


@attrs.frozen
class Method(Generic[RequestT, ReplyT]):
    """One unary call of one service."""

    service: str
    """Full name, with its package."""
    name: str
    """Name within the service."""
    request: type[RequestT]
    """Class of what is asked."""
    reply: type[ReplyT]
    """Class of what is answered."""

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"


@attrs.frozen
class CreateUserRequest:
    """Ask for a new user."""

    username: str
    """Free, not blank."""


@attrs.frozen
class GetUserRequest:
    """Ask for the user with an id."""

    id: str
    """As `User.id`."""


@attrs.frozen
class FindUserRequest:
    """Ask for the user with a name."""

    username: str
    """As `User.username`."""


@attrs.frozen
class DeleteUserRequest:
    """Forget a user; none of that id is no error."""

    id: str
    """As `User.id`."""


@attrs.frozen
class User:
    """A user as the users service knows it."""

    id: str
    """`u1`, `u2` … in order of registration."""
    username: str
    """Unique."""


@attrs.frozen
class SetPasswordRequest:
    """Store the password of a user."""

    user_id: str
    """As `User.id`."""
    password: str
    """In clear; only a salted hash is kept."""


@attrs.frozen
class LogInRequest:
    """Exchange a password for a token."""

    user_id: str
    """As `User.id`."""
    password: str
    """In clear."""


@attrs.frozen
class Token:
    """What a login gives."""

    token: str
    """Random text; nothing checks it later."""


@attrs.frozen
class QueueRequest:
    """Queue a message to a user."""

    user_id: str
    """As `User.id`."""
    text: str
    """What to say."""


@attrs.frozen
class Empty:
    """Nothing to say."""


@attrs.frozen
class HealthCheckRequest:
    """Ask whether a service serves (standard gRPC health protocol)."""

    service: str
    """Full name; empty: the whole server."""


@attrs.frozen
class HealthCheckResponse:
    """Whether a service serves (standard gRPC health protocol)."""

    status: int
    """1 is SERVING. An enum in the standard, and enums travel as int32."""


USERS = "flux.gateway.Users"
AUTH = "flux.gateway.Auth"
NOTIFICATIONS = "flux.gateway.Notifications"

CREATE_USER = Method(USERS, "Create", CreateUserRequest, User)
GET_USER = Method(USERS, "Get", GetUserRequest, User)
FIND_USER = Method(USERS, "Find", FindUserRequest, User)
DELETE_USER = Method(USERS, "Delete", DeleteUserRequest, Empty)
SET_PASSWORD = Method(AUTH, "SetPassword", SetPasswordRequest, Empty)
LOG_IN = Method(AUTH, "LogIn", LogInRequest, Token)
QUEUE = Method(NOTIFICATIONS, "Queue", QueueRequest, Empty)
CHECK_HEALTH = Method("grpc.health.v1.Health", "Check", HealthCheckRequest, HealthCheckResponse)

METHODS = (CREATE_USER, GET_USER, FIND_USER, DELETE_USER, SET_PASSWORD, LOG_IN, QUEUE)
"""The calls of the demo's own services."""

SERVING = 1
"""`HealthCheckResponse.status` of a service that works."""

SERVICES: Mapping[str, str] = {"auth": AUTH, "users": USERS, "notifications": NOTIFICATIONS}
"""Short name of each microservice, and its full name in gRPC."""

MESSAGES: Mapping[str, tuple[type, ...]] = {
    "flux.gateway": (
        CreateUserRequest,
        GetUserRequest,
        FindUserRequest,
        DeleteUserRequest,
        User,
        SetPasswordRequest,
        LogInRequest,
        Token,
        QueueRequest,
        Empty,
    ),
    "grpc.health.v1": (HealthCheckRequest, HealthCheckResponse),
}
"""The messages of each protobuf package."""


class Codec:
    """Turns messages into protobuf bytes and back."""

    def __init__(self) -> None:
        from google.protobuf.descriptor_pool import DescriptorPool
        from google.protobuf.message_factory import GetMessageClass

        # A pool of its own: the default one may hold somebody else's health messages.
        pool = DescriptorPool()
        self._wire_classes: dict[type, Any] = {}
        for package, messages in MESSAGES.items():
            pool.AddSerializedFile(_describe(package, messages))
            for message in messages:
                descriptor = pool.FindMessageTypeByName(f"{package}.{message.__name__}")
                self._wire_classes[message] = GetMessageClass(descriptor)

    def encoder(self, message: type[MessageT]) -> Callable[[MessageT], bytes]:
        wire_class = self._wire_classes[message]
        names = _field_types(message)

        def encode(value: MessageT) -> bytes:
            wire = wire_class(**{name: getattr(value, name) for name in names})
            serialized: bytes = wire.SerializeToString()
            return serialized

        return encode

    def decoder(self, message: type[MessageT]) -> Callable[[bytes], MessageT]:
        wire_class = self._wire_classes[message]
        names = _field_types(message)

        def decode(data: bytes) -> MessageT:
            wire = wire_class.FromString(data)
            return message(*(getattr(wire, name) for name in names))

        return decode


def _field_types(message: type) -> dict[str, type | None]:
    return {field.name: field.type for field in attrs.fields(message)}


def _describe(package: str, messages: tuple[type, ...]) -> bytes:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

    types: dict[type | None, FieldDescriptorProto.Type.ValueType] = {
        str: FieldDescriptorProto.TYPE_STRING,
        int: FieldDescriptorProto.TYPE_INT32,
    }
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message in messages:
        description = file.message_type.add(name=message.__name__)
        for number, (name, kind) in enumerate(_field_types(message).items(), start=1):
            description.field.add(
                name=name,
                number=number,
                type=types[kind],
                label=FieldDescriptorProto.LABEL_OPTIONAL,
            )
    return file.SerializeToString()
