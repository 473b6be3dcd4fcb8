"""From what the system raises to the code that an OUTCOME row has."""

import socket
import ssl

from flux.clients.system_errors import BY_ERRNO
from flux.schemas import ErrorCode


class BadResponse(Exception):
    """A response that cannot be taken as one; carries the code."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.text)
        self.code = code


def classify(error: OSError) -> ErrorCode:
    """The code of an exception of the socket, ssl or resolver modules."""
    if isinstance(error, ssl.SSLError):
        return ErrorCode.TLS
    if isinstance(error, socket.gaierror):
        return ErrorCode.DNS
    return BY_ERRNO.get(error.errno or 0, ErrorCode.OTHER)
