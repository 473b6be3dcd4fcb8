"""The lines that go over the control socket: one JSON object each, a request and its answer.

    {"version": 1, "command": "spike", "factor": 3, "seconds": 20}
    {"version": 1, "ok": true, "status": {…}}
    {"version": 1, "ok": false, "error": "…"}

Pure.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import attrs

from flux.config.problems import did_you_mean

VERSION: Final = 1
SOCKET_FILE: Final = "control.sock"
"""Name of the socket in the run's folder."""

MAX_LINE_BYTES: Final = 64 << 10
"""A longer request is refused."""

COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "status": (),
    "pause": (),
    "resume": (),
    "rate": ("factor", "per_s"),
    "spike": ("factor", "seconds"),
    "stop": (),
    "abort": (),
}
"""Each command, and the keys that it may have, all of them numbers."""


class BadRequest(ValueError):
    """A request makes no sense; the text is for whoever sent it."""


@attrs.frozen
class Request:
    """What somebody asks for."""

    command: str
    values: Mapping[str, float] = attrs.field(factory=dict)

    def line(self) -> bytes:
        """It as it goes over the socket."""
        return _line({"version": VERSION, "command": self.command, **self.values})


def read_request(line: bytes) -> Request:
    """Read one line.

    Raises:
        BadRequest: it is none, or asks for what there is not.
    """
    try:
        document = json.loads(line)
    except ValueError:
        raise BadRequest("a request must be one line of JSON") from None
    if not isinstance(document, dict):
        raise BadRequest("a request must be a JSON object")
    if document.pop("version", None) != VERSION:
        raise BadRequest(f"this run speaks version {VERSION} of the protocol")
    command = document.pop("command", None)
    if not isinstance(command, str) or command not in COMMANDS:
        hint = did_you_mean(str(command), COMMANDS) or f"there are {', '.join(COMMANDS)}"
        raise BadRequest(f"no such command {command!r}; {hint}")
    return Request(command, _values(command, document))


def _values(command: str, document: Mapping[str, Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for key, value in document.items():
        if key not in COMMANDS[command]:
            raise BadRequest(f"{command} has no key {key!r}")
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise BadRequest(f"{key} must be a number, got {value!r}")
        values[key] = float(value)
    return values


def answer(status: Mapping[str, Any]) -> bytes:
    """The line that says it was done, and how the run is."""
    return _line({"version": VERSION, "ok": True, "status": status})


def refusal(error: str) -> bytes:
    """The line that says why not."""
    return _line({"version": VERSION, "ok": False, "error": error})


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"
