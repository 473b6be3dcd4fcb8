"""Reading responses: the general way over httptools, and counting where that is enough."""

import httptools

from flux.clients.wire.decode import MAX_BODY_BYTES
from flux.clients.wire.errors import BadResponse
from flux.clients.wire.heads import Head
from flux.flows.actions import Headers
from flux.schemas import ErrorCode

MAX_HEAD_BYTES = 100 << 10
"""Status line and headers, at the most."""

_NO_BODY = frozenset({204, 304})


class ResponseReader:
    """One connection's parser, used for one response after another.

    Source: RFC 9112, 6.3 for where a response ends.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin(is_head=False, wants_body=False)

    def begin(self, *, is_head: bool, wants_body: bool) -> None:
        """Expect the response to the next request."""
        self._is_head = is_head
        self._parts: list[bytes] | None = [] if wants_body else None
        self.fed_bytes = 0
        """Of this response so far; 0 again once it has been dealt with."""
        self._first_data = b""
        self.is_complete = False
        self.has_surplus = False
        self._clear()

    def _clear(self) -> None:
        """Expect a head: the first one, or the one after an informational response."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body_bytes = 0
        self.keeps_alive = False
        self._head_is_complete = False
        self.ends_at_close = False
        """True when the end of the stream is the end of the response."""
        self.length: int | None = None
        """Content-Length."""

    def feed(self, data: bytes) -> bool:
        """Take what was received; True when the response is complete.

        Raises:
            BadResponse: if it is not HTTP, or too large.
        """
        if not self.fed_bytes:
            self._first_data = data
        self.fed_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keeps_alive = False
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise (cause if isinstance(cause, BadResponse) else error) from None
        except httptools.HttpParserError:
            if not self.is_complete:
                raise BadResponse(ErrorCode.PROTOCOL) from None
            self.has_surplus = True
        if not self._head_is_complete and self.fed_bytes > MAX_HEAD_BYTES:
            raise BadResponse(ErrorCode.PROTOCOL)
        return self.is_complete

    def forget(self) -> None:
        """The response has been dealt with: give its memory back, and be ready for another."""
        self.fed_bytes = 0
        self._first_data = b""
        self._parts = None
        self.headers = []

    def close(self) -> None:
        """Break the cycle of references between this and its parser."""
        del self._parser

    def head(self, wants_headers: bool) -> Head:
        """What the loop wants to know of a complete response."""
        headers = self.mapping() if wants_headers else None
        return self.status, self.body_bytes, headers, self.first(b"content-encoding")

    def raw_head(self) -> bytes | None:
        """The head's bytes if it may be kept for responses to come; see `heads`."""
        end = self._first_data.find(b"\r\n\r\n") + 4
        length = 0 if self.status in _NO_BODY else self.length
        if end < 4 or length is None or end + length != self.fed_bytes:
            return None
        return self._first_data[:end] if length == self.body_bytes else None

    def first(self, wanted: bytes) -> bytes | None:
        """The value of the first header of that name, which is in lower case."""
        for name, value in self.headers:
            if name == wanted:
                return value
        return None

    def all(self, wanted: bytes) -> list[bytes]:
        """The values of all headers of that name."""
        return [value for name, value in self.headers if name == wanted]

    def mapping(self) -> Headers:
        """The headers as flows see them."""
        found: dict[str, str] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1"), _text(raw_value)
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    def body(self) -> bytes | None:
        """The body as received, if it was wanted."""
        return None if self._parts is None else b"".join(self._parts)

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_is_complete and not self.is_complete:  # else it is a trailer
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        self._head_is_complete = True
        length = self.first(b"content-length")
        self.length = None if length is None else int(length)
        coding = self.first(b"transfer-encoding")
        framed = self.length is not None or (
            coding is not None and coding.lower().rstrip().endswith(b"chunked")
        )
        has_body = self.status >= 200 and self.status not in _NO_BODY and not self._is_head
        self.ends_at_close = has_body and not framed
        self.keeps_alive = self._parser.should_keep_alive()
        if self._is_head and self.status >= 200:
            self.keeps_alive = self._may_stay_open()
            self.is_complete = True

    def _may_stay_open(self) -> bool:
        """As `should_keep_alive`, which does not know that a response to HEAD has no body."""
        connection = (self.first(b"connection") or b"").lower()
        return self._parser.get_http_version() == "1.1" and b"close" not in connection

    def on_body(self, data: bytes) -> None:
        if self.is_complete:
            self.has_surplus = True
            return
        self.body_bytes += len(data)
        if self._parts is not None:
            if self.body_bytes > MAX_BODY_BYTES:
                raise BadResponse(ErrorCode.DECODE)
            self._parts.append(data)

    def on_message_complete(self) -> None:
        if self.is_complete:
            return
        if self.status < 200 and self.status != 101:
            self._clear()
        else:
            self.is_complete = True


class CountedBody:
    """The rest of a response whose head was known, and whose body came in parts."""

    __slots__ = ("_parts", "_remaining", "body_bytes", "has_surplus", "head")

    def __init__(self, head: Head, begun: bytes, wants_body: bool) -> None:
        self.head = head
        self.body_bytes = head[1]
        self.has_surplus = False
        self._remaining = self.body_bytes - len(begun)
        if wants_body and self.body_bytes > MAX_BODY_BYTES:
            raise BadResponse(ErrorCode.DECODE)
        self._parts = [begun] if wants_body else None

    def feed(self, data: bytes) -> bool:
        """Take what was received; True when the response is complete."""
        self._remaining -= len(data)
        if self._parts is not None:
            self._parts.append(data)
        self.has_surplus = self._remaining < 0
        return self._remaining <= 0

    def body(self) -> bytes | None:
        """The body as received, if it was wanted."""
        if self._parts is None:
            return None
        return b"".join(self._parts)[: self.body_bytes]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
