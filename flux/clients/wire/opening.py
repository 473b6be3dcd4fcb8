"""A connection being opened: connecting, address by address, and the TLS handshake.

connecting ──► (handshaking) ──► open, as a `Connection` of the pool
     └──────────────┴──────────► failed, as an error code of whoever has waited longest
"""

import errno
import socket
import ssl
from time import perf_counter_ns
from typing import TYPE_CHECKING

from flux.clients.wire.deadlines import NEVER_NS
from flux.clients.wire.errors import classify
from flux.clients.wire.poller import READABLE, WRITABLE
from flux.clients.wire.resolve import Address
from flux.schemas import ErrorCode

if TYPE_CHECKING:
    from flux.clients.wire.pool import Pool

_UNDER_WAY = frozenset({0, errno.EINPROGRESS})

_TRY_AGAIN_NS = 1_000_000
"""When the queue of a Unix socket is full; no event tells when it no longer is."""


class Opening:
    """One attempt to open a connection."""

    __slots__ = (
        "_address",
        "_addresses",
        "_began_ns",
        "_fd",
        "_is_over",
        "_poller",
        "_pool",
        "_socket",
        "connect_ns",
        "deadline_ns",
        "tls_ns",
        "watched_ns",
    )

    def __init__(self, pool: "Pool", deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self.watched_ns = NEVER_NS
        self.connect_ns = 0
        """How long connecting took, 0 as long as it is not connected."""
        self.tls_ns = 0
        self._pool = pool
        self._poller = pool.loop.poller
        self._socket: socket.socket | None = None
        self._fd = -1
        self._addresses: list[Address] = []
        self._is_over = False

    def begin(self, addresses: list[Address], code: ErrorCode) -> None:
        """Connect to the first of these that can be connected to; to be called once.

        Args:
            code: Why there are none, if there are none.
        """
        if self._is_over:
            return
        self._began_ns = perf_counter_ns()
        self._addresses = addresses
        code = self._try_next(code)
        if code:  # later, for whoever fails may at once ask again
            self._pool.loop.soon(self._fail, code)

    def _try_next(self, code: ErrorCode) -> ErrorCode:
        while self._addresses:
            self._address = self._addresses.pop(0)
            try:
                self._connect(*self._address)
                return ErrorCode.NONE
            except BlockingIOError:
                self._close()
                self._addresses.insert(0, self._address)
                loop = self._pool.loop
                loop.later(loop.now_ns() + _TRY_AGAIN_NS, self._try_again, None)
                return ErrorCode.NONE
            except OSError as error:
                code = classify(error)
                self._close()
        return code or ErrorCode.UNREACHABLE

    def _try_again(self, _: None, number: int) -> None:
        if not self._is_over and (code := self._try_next(ErrorCode.NONE)):
            self._fail(code)

    def _connect(self, family: int, address: object) -> None:
        self._socket = opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setblocking(False)
        if family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._pool.source_address is not None:
                opened.bind((self._pool.source_address, 0))
        number = opened.connect_ex(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        if number not in _UNDER_WAY:
            raise OSError(number, "connect")
        self._fd = opened.fileno()
        self._poller.add(self._fd, self._on_connect, WRITABLE)

    def _on_connect(self, _: int) -> None:
        if self._socket is None:
            return
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._close()
            if code := self._try_next(classify(OSError(number, "connect"))):
                self._fail(code)
            return
        self.connect_ns = max(1, perf_counter_ns() - self._began_ns)
        self._pool.prefer(self._address)
        if self._pool.origin.is_secure:
            self._begin_handshake(self._socket)
        else:
            self._succeed(self._socket)

    def _begin_handshake(self, plain: socket.socket) -> None:
        self._began_ns = perf_counter_ns()
        self._poller.remove(self._fd)
        self._fd = -1
        try:
            self._socket = self._pool.wrap(plain)
        except (OSError, ValueError) as error:  # ValueError: a name that TLS cannot have
            self._fail(classify(error) if isinstance(error, OSError) else ErrorCode.TLS)
            return
        self._fd = self._socket.fileno()
        self._poller.add(self._fd, self._on_handshake, READABLE | WRITABLE)

    def _on_handshake(self, _: int) -> None:
        if not isinstance(self._socket, ssl.SSLSocket):
            return
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._poller.change(self._fd, self._on_handshake, READABLE)
        except ssl.SSLWantWriteError:
            self._poller.change(self._fd, self._on_handshake, WRITABLE)
        except OSError as error:
            self._fail(classify(error))
        else:
            self.tls_ns = max(1, perf_counter_ns() - self._began_ns)
            self._succeed(self._socket)

    def _succeed(self, opened: socket.socket) -> None:
        self._is_over = True
        self._socket = None
        self._pool.on_opened(self, opened)

    def _fail(self, code: ErrorCode) -> None:
        if not self._is_over:
            self._pool.fail_one(code)
            self.give_up()

    def current_deadline_ns(self) -> int:
        """When it must be open."""
        return NEVER_NS if self._is_over else self.deadline_ns

    def on_deadline(self, now_ns: int) -> None:
        """Give up, and those who have waited for it with it."""
        self._pool.expire(now_ns)
        self.give_up()

    def give_up(self) -> None:
        """Close the socket."""
        if not self._is_over:
            self._is_over = True
            self._close()
            self._pool.on_not_opened(self)

    def _close(self) -> None:
        """Close at the end of the round, so that no event of this round meets a reused number."""
        if self._fd >= 0:
            self._poller.remove(self._fd)
            self._fd = -1
        if self._socket is not None:
            self._pool.loop.close_later(self._socket)
            self._socket = None
