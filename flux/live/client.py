"""The other end of the control socket: one request, one answer, one clear error."""

import json
import os
import pathlib
import re
import socket
from typing import Any

from flux.errors import FluxError, UsageError
from flux.live.protocol import SOCKET_FILE, Request

ANSWER_S = 5.0
"""How long a run may take to answer."""


def ask(folder: pathlib.Path, request: Request) -> dict[str, Any]:
    """Send a request to the run of this folder, and return its status.

    Raises:
        FluxError: there is no such run any more, it does not answer, or it refuses.
    """
    line = _exchange(folder, request.line())
    try:
        document = json.loads(line)
        if document["ok"]:
            status: dict[str, Any] = document["status"]
            return status
        error = str(document["error"])
    except (ValueError, KeyError, TypeError):
        raise FluxError(f"what answers in {folder} does not speak flux's protocol") from None
    raise FluxError(error)


def find_run(results: pathlib.Path, number: int | None) -> pathlib.Path:
    """The folder of that run, or of the newest one that is running.

    Raises:
        UsageError: there is none.
    """
    if number is not None:
        folder = results / f"result_{number}"
        if not folder.is_dir():
            raise UsageError(f"there is no run {number} in {results}")
        return folder
    numbers = [
        int(match[1])
        for one in (results.iterdir() if results.is_dir() else ())
        if (match := re.fullmatch(r"result_(\d+)", one.name)) and (one / SOCKET_FILE).exists()
    ]
    for newest in sorted(numbers, reverse=True):
        folder = results / f"result_{newest}"
        if _answers(folder):
            return folder
    raise UsageError(f"no run is running in {results}", hint="--results names another folder")


def _answers(folder: pathlib.Path) -> bool:
    try:
        _connect(folder).close()
    except FluxError:
        return False
    return True


def _exchange(folder: pathlib.Path, line: bytes) -> bytes:
    with _connect(folder) as connection:
        try:
            connection.sendall(line)
            received = bytearray()
            while not received.endswith(b"\n"):
                data = connection.recv(65536)
                if not data:
                    break
                received += data
        except TimeoutError:
            raise FluxError(f"the run in {folder} does not answer within {ANSWER_S:g} s") from None
        except OSError as error:
            raise FluxError(f"the run in {folder} hung up: {error.strerror}") from error
    if not received:
        raise FluxError(f"the run in {folder} hung up without an answer")
    return bytes(received)


def _connect(folder: pathlib.Path) -> socket.socket:
    """A connection to the run's socket.

    Raises:
        FluxError: with what has become of the run.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(ANSWER_S)
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            connection.connect(f"/proc/self/fd/{descriptor}/{SOCKET_FILE}")
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        connection.close()
        raise FluxError(f"the run in {folder} has ended") from None
    except ConnectionRefusedError:
        connection.close()
        raise FluxError(f"the run in {folder} was killed: nobody answers on its socket") from None
    except PermissionError:
        connection.close()
        raise FluxError(f"the run in {folder} is another user's: permission denied") from None
    except OSError as error:
        connection.close()
        raise FluxError(f"the run in {folder} cannot be reached: {error.strerror}") from error
    return connection
