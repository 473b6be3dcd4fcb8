"""From what the operating system refuses to the code that an OUTCOME row has: one table for all."""

import errno
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flux.schemas import ErrorCode

BY_ERRNO: Final[Mapping[int, ErrorCode]] = MappingProxyType(
    {
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
)
"""By `OSError.errno`; what is not in it is OTHER."""
