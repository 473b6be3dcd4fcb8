"""Following a redirect: from a request's bytes and a Location to the next request's bytes.

Source: RFC 9110, 15.4.
"""

from urllib.parse import urljoin, urlsplit

from flux.clients.wire.errors import BadResponse
from flux.clients.wire.settings import DEFAULT_PORTS, Origin
from flux.schemas import ErrorCode

STATUSES = frozenset({301, 302, 303, 307, 308})

_OF_THE_BODY = frozenset({b"content-length", b"content-type", b"transfer-encoding"})


def follow(request: bytes, origin: Origin, status: int, location: bytes) -> tuple[bytes, Origin]:
    """The next request, and where it goes.

    Raises:
        BadResponse: REDIRECTS, if the location is no http or https URL.
    """
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method, target, _ = line.split(b" ", 2)
    next_origin, next_target = _destination(origin, target, location)
    dropped = {b"host", b"cookie"}
    if next_origin != origin:
        dropped.add(b"authorization")
    if _becomes_get(method, status):
        method, body = b"GET", b""
        dropped |= _OF_THE_BODY
    kept = [field for field in fields if field.partition(b":")[0].lower() not in dropped]
    line = b"%b %b HTTP/1.1" % (method, next_target)
    host = b"Host: " + next_origin.authority.encode()
    return b"\r\n".join([line, host, *kept, b"", body]), next_origin


def _becomes_get(method: bytes, status: int) -> bool:
    if status == 303:
        return method not in (b"GET", b"HEAD")
    if status == 302:
        return method not in (b"GET", b"HEAD")
    return status == 301 and method == b"POST"


def _destination(origin: Origin, target: bytes, location: bytes) -> tuple[Origin, bytes]:
    base = f"{origin.scheme}://{origin.authority}{target.decode('latin-1')}"
    try:
        parts = urlsplit(urljoin(base, location.decode("latin-1")))
        port = parts.port
    except ValueError:
        raise BadResponse(ErrorCode.REDIRECTS) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise BadResponse(ErrorCode.REDIRECTS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Servers send blanks and bytes beyond ASCII here; on a request line they would break it.
    quoted = b"".join(
        [
            bytes([byte]) if 0x21 <= byte <= 0x7E else b"%%%02X" % byte
            for byte in path.encode("latin-1")
        ]
    )
    return Origin(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]), quoted
