"""The other end of the control socket: one request, one answer, one clear error."""

import json
import os
import pathlib
import socket
from typing import Any

from flux.errors import FluxError, UsageError
from flux.live.protocol import SOCKET_FILE, Request
from flux.runs.folders import find_runs

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


def find_running(results: pathlib.Path) -> pathlib.Path:
    """The folder of the newest run that is running and answers.

    Raises:
        UsageError: there is none.
    """
    for run in reversed(find_runs(results)):
        if (run.path / SOCKET_FILE).exists() and _answers(run.path):
            return run.path
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
