"""The messages as bytes, and the `.proto` file that tells others about them."""

from pathlib import Path

import attrs
import pytest
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

import flux.gateway
from flux.gateway import contract


def _rendered_proto() -> list[str]:
    """The services and messages of contract.py, as a .proto file spells them."""
    kinds = {str: "string", int: "int32"}
    lines: list[str] = []
    for service in dict.fromkeys(method.service for method in contract.METHODS):
        lines.append(f"service {service.rpartition('.')[2]} {{")
        lines += [
            f"  rpc {method.name}({method.request.__name__}) returns ({method.reply.__name__});"
            for method in contract.METHODS
            if method.service == service
        ]
        lines.append("}")
    for message in contract.MESSAGES["flux.gateway"]:
        lines.append(f"message {message.__name__} {{")
        lines += [
            f"  {kinds[field.type]} {field.name} = {number};"
            for number, field in enumerate(attrs.fields(message), start=1)
        ]
        lines.append("}")
    return lines


def test_proto_file_says_what_the_contract_says() -> None:
    text = (Path(flux.gateway.__file__).parent / "services.proto").read_text()
    assert "package flux.gateway;" in text
    declarations = text[text.index("\nservice ") :]
    assert [line for line in declarations.splitlines() if line] == _rendered_proto()


@pytest.mark.parametrize(
    "message",
    [
        contract.User("u1", "Åsa"),
        contract.SetPasswordRequest("u1", "s3cret"),
        contract.Empty(),
        contract.HealthCheckResponse(1),
    ],
)
def test_message_survives_the_wire(message: object) -> None:
    codec = contract.Codec()
    data = codec.encoder(type(message))(message)
    assert codec.decoder(type(message))(data) == message


def test_bytes_are_those_of_protobuf() -> None:
    codec = contract.Codec()
    created = codec.encoder(contract.CreateUserRequest)(contract.CreateUserRequest("Åsa"))
    assert created == StringValue(value="Åsa").SerializeToString()
    healthy = codec.encoder(contract.HealthCheckResponse)(contract.HealthCheckResponse(1))
    assert healthy == Int32Value(value=1).SerializeToString()
