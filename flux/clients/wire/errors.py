"""From what the system raises to the code that an OUTCOME row has."""

import errno
import socket
import ssl

from flux.schemas import ErrorCode

_BY_ERRNO = {
    errno.ECONNREFUSED: ErrorCode.REFUSED,
    errno.ENOENT: ErrorCode.REFUSED,  # a Unix socket that is not there
    errno.ECONNRESET: ErrorCode.RESET,
    errno.ECONNABORTED: ErrorCode.RESET,
    errno.EPIPE: ErrorCode.RESET,
    errno.EHOSTUNREACH: ErrorCode.UNREACHABLE,
    errno.ENETUNREACH: ErrorCode.UNREACHABLE,
    errno.ETIMEDOUT: ErrorCode.CONNECT_TIMEOUT,
    errno.EMFILE: ErrorCode.DESCRIPTORS,
    errno.ENFILE: ErrorCode.DESCRIPTORS,
    errno.EADDRNOTAVAIL: ErrorCode.PORTS,
}


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
    return _BY_ERRNO.get(error.errno or 0, ErrorCode.OTHER)
