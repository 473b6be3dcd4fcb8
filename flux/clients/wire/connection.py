"""One open connection: a state machine over a non-blocking socket.

    idle ◄──► awaiting a response ──► closed

The state is which method the poller calls. `_on_readable` is the hot one: it is called for every
response, and for nearly all of them it does one `recv`, one `find` and one dict lookup.
"""

import socket
import ssl
from time import perf_counter_ns
from typing import TYPE_CHECKING

from flux.clients.wire.deadlines import NEVER_NS
from flux.clients.wire.errors import BadResponse, classify
from flux.clients.wire.heads import Head, keep
from flux.clients.wire.poller import READABLE, WRITABLE, Handler
from flux.clients.wire.response import CountedBody, ResponseReader
from flux.clients.wire.visit import Visit
from flux.schemas import ErrorCode

if TYPE_CHECKING:
    from flux.clients.wire.pool import Pool

_RECEIVE_BYTES = 65536
_END_OF_HEAD = b"\r\n\r\n"
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """Carries one request at a time to one origin."""

    __slots__ = (
        "_counted",
        "_fd",
        "_is_secure",
        "_origin_ns",
        "_outbox",
        "_poller",
        "_reader",
        "_receive",
        "_send",
        "_socket",
        "_unbegun",
        "_unsent",
        "is_closed",
        "is_kept",
        "pool",
        "visit",
        "watched_ns",
    )

    def __init__(self, pool: "Pool", opened: socket.socket) -> None:
        self.pool = pool
        self.watched_ns = NEVER_NS
        self.visit: Visit | None = None
        self.is_closed = False
        self.is_kept = False
        """True once it has carried a whole response."""
        self._poller = pool.loop.poller
        self._origin_ns = pool.loop.origin_ns
        self._socket = opened
        self._fd = opened.fileno()
        self._is_secure = isinstance(opened, ssl.SSLSocket)
        self._send = opened.send
        # SSLSocket.recv only adds a check to what its read does.
        self._receive = opened.read if isinstance(opened, ssl.SSLSocket) else opened.recv
        self._reader: ResponseReader | None = None
        self._counted: CountedBody | None = None
        self._unsent: memoryview | None = None
        self._unbegun: Visit | None = None
        self._outbox = pool.loop.outbox
        self._poller.change(self._fd, self._on_response, READABLE)

    @property
    def _on_response(self) -> Handler:
        """The handler of an open connection; not kept, for that would be a reference cycle."""
        return self._on_readable_tls if self._is_secure else self._on_readable

    # Sending

    def begin(self, visit: Visit) -> None:
        """Have the visit's request sent at the end of the round."""
        self.visit = self._unbegun = visit
        visit.connection = self
        self._outbox.append(self)

    def send_request(self) -> None:
        """Send it now. It never fails at once, for this may be within a failure."""
        visit, self._unbegun = self._unbegun, None
        if visit is None or visit is not self.visit:
            return  # it was answered or lost before it was sent: a server that has hung up
        if not visit.start_ns:
            visit.start_ns = start_ns = perf_counter_ns() - self._origin_ns
            visit.deadline_ns = start_ns + visit.step.timeout_ns
        if visit.deadline_ns < self.watched_ns:
            self.pool.loop.deadlines.watch(self, visit.deadline_ns)
        request = visit.request
        try:
            sent_bytes = self._send(request)
        except _WOULD_BLOCK:
            sent_bytes = 0
        except OSError as error:
            self._unsent = memoryview(request)
            self.pool.loop.soon(self._on_unsendable, classify(error))
            return
        if sent_bytes != len(request):
            self._unsent = memoryview(request)[sent_bytes:]
            self._poller.change(self._fd, self._on_writable, READABLE | WRITABLE)

    def _on_writable(self, mask: int) -> None:
        """Send more of a large request, and read meanwhile."""
        if mask & WRITABLE and self._unsent is not None:
            try:
                self._unsent = self._unsent[self._send(self._unsent) :]
            except _WOULD_BLOCK:
                pass
            except OSError as error:
                self._on_unsendable(classify(error))
                return
            if not self._unsent:
                self._unsent = None
                self._poller.change(self._fd, self._on_response, READABLE)
        if mask & ~WRITABLE:
            self._on_response(mask)

    def _on_unsendable(self, code: ErrorCode) -> None:
        """Take the response that a server may have sent before it hung up; else fail."""
        while self.visit is not None and not self.is_closed:
            try:
                data = self._receive(_RECEIVE_BYTES)
            except OSError:
                self._fail(code)
                return
            if data:
                self._feed(self.visit, data, perf_counter_ns() - self._origin_ns)
            else:
                self._on_end(code)

    # Receiving

    def _on_readable(self, mask: int) -> None:
        """Read once; nearly always that is a whole response with a head seen before."""
        try:
            data = self._receive(_RECEIVE_BYTES)
        except _WOULD_BLOCK:
            return
        except OSError as error:
            self._on_end(classify(error))
            return
        now_ns = perf_counter_ns() - self._origin_ns
        visit = self.visit
        if visit is None or not data:
            self._on_end(ErrorCode.CLOSED)
            return
        if not visit.first_byte_ns:
            visit.first_byte_ns = now_ns
            step = visit.step
            head_bytes = data.find(_END_OF_HEAD) + 4
            head = step.heads.get(data[:head_bytes])
            if head is not None and self._unsent is None:
                missing_bytes = head[1] - len(data) + head_bytes
                if not missing_bytes:
                    self.visit = None
                    self.pool.release(self)
                    body = data[head_bytes:] if step.wants_body else None
                    self.pool.sessions.complete(visit, head, body, now_ns)
                    return
                if missing_bytes > 0:
                    self._count(head, data[head_bytes:], step.wants_body)
                    return
        self._feed(visit, data, now_ns)

    def _on_readable_tls(self, mask: int) -> None:
        """As above, until nothing is left of what OpenSSL has decrypted."""
        self._on_readable(mask)
        while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            self._on_readable(mask)

    def _count(self, head: Head, begun: bytes, wants_body: bool) -> None:
        try:
            self._counted = CountedBody(head, begun, wants_body)
        except BadResponse as error:
            self._fail(error.code)

    def _feed(self, visit: Visit, data: bytes, now_ns: int) -> None:
        """The general way: a response in parts, or with a head not seen before."""
        if not visit.first_byte_ns:
            visit.first_byte_ns = now_ns
        counted = self._counted
        if counted is not None:
            if counted.feed(data):
                self._counted = None
                self._let_go(is_reusable=not counted.has_surplus)
                self.pool.sessions.complete(visit, counted.head, counted.body(), now_ns)
            return
        reader = self._reader
        if reader is None:
            self._reader = reader = ResponseReader()
        if not reader.fed_bytes:
            reader.begin(is_head=visit.step.is_head, wants_body=visit.step.wants_body)
        try:
            is_complete = reader.feed(data)
        except BadResponse as error:
            self._fail(error.code)
            return
        if is_complete:
            self._complete(visit, reader, now_ns)

    def _complete(self, visit: Visit, reader: ResponseReader, now_ns: int) -> None:
        """Hand on what the parser made of the response."""
        step, sessions = visit.step, self.pool.sessions
        head = reader.head(step.wants_headers)
        body = reader.body()
        is_reusable = reader.keeps_alive and not reader.has_surplus and self._unsent is None
        raw = reader.raw_head() if is_reusable else None
        is_special = sessions.is_special(head[0], reader)
        if raw is not None and not is_special and not step.is_head:
            keep(step.heads, raw, head)
        if step.is_head:
            self._reader = None  # its parser still waits for a body
        self._let_go(is_reusable=is_reusable)
        if not (is_special and sessions.take_special(visit, head[0], reader)):
            sessions.complete(visit, head, body, now_ns)
        reader.forget()

    def _let_go(self, *, is_reusable: bool) -> None:
        """The response is complete: be there for another request, or close."""
        self.visit = None
        if self._is_secure and not self.is_kept:
            # With TLS 1.3 the server's ticket comes with or before its first response.
            self.pool.keep_session(self._socket)
        if is_reusable:
            self.pool.release(self)
        else:
            self.close()

    def _on_end(self, code: ErrorCode) -> None:
        """The peer closed or reset the connection, or spoke without being asked."""
        visit, reader = self.visit, self._reader
        if visit is None:
            self.close()
        elif (
            code is ErrorCode.CLOSED
            and self._counted is None
            and reader is not None
            and reader.fed_bytes
            and reader.ends_at_close
        ):
            reader.keeps_alive = False
            self._complete(visit, reader, perf_counter_ns() - self._origin_ns)
        else:
            self._fail(code)

    # Ending

    def current_deadline_ns(self) -> int:
        """When what it is doing must be done."""
        # What is to be sent at the end of the round gets its deadline, and is watched, by that.
        if self.visit is None or self._unbegun is not None:
            return NEVER_NS
        return self.visit.deadline_ns

    def on_deadline(self, now_ns: int) -> None:
        """Give up what it is doing."""
        self._fail(ErrorCode.TIMEOUT)

    def _fail(self, code: ErrorCode) -> None:
        """Close, and tell the visit."""
        visit = self.visit
        self.visit = None
        is_stale = (
            self.is_kept
            and visit is not None
            and not visit.first_byte_ns
            and code in (ErrorCode.CLOSED, ErrorCode.RESET)
        )
        self.close()
        if visit is not None:
            self.pool.sessions.lose(visit, code, is_stale=is_stale)

    def close(self) -> None:
        """Give the socket back; what it carries is the caller's to deal with."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._reader is not None:
            self._reader.close()
        self._reader = self._counted = self._unsent = None
        self._poller.remove(self._fd)
        self.pool.loop.close_later(self._socket)
        self.pool.on_closed(self)
