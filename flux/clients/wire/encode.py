"""Requests as bytes: what a step's request always says is encoded once, the rest by one format.

A plan becomes a single %-format over its values, so that making a request is one operation in C.
Its values come in the order target, headers, body; between those of the head and those of the body
the length of the body is put, as far as it is not constant itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from flux.clients.wire.heads import Heads
from flux.flows.actions import RequestPlan

Encode: TypeAlias = Callable[[tuple[bytes, ...]], tuple[bytes, int]]
"""Values to (request, bytes of its body)."""

_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""Methods that announce an empty body, too (RFC 9110, 8.6)."""


class Step:
    """A request plan with everything looked up that each of its requests needs."""

    __slots__ = (
        "encode",
        "has_cookies",
        "heads",
        "is_head",
        "judge",
        "number",
        "timeout_ns",
        "wants_body",
        "wants_headers",
    )

    def __init__(self, plan: RequestPlan, authority: str, base_path: str, first_step: int) -> None:
        self.number = first_step + plan.index
        self.encode = encoder(plan, authority, base_path)
        self.judge = plan.judge
        self.timeout_ns = plan.timeout_ns
        self.wants_headers = plan.wants_headers
        self.wants_body = plan.wants_body
        self.is_head = plan.method == "HEAD"
        self.has_cookies = any(name.lower() == b"cookie" for name, _ in plan.headers)
        self.heads: Heads = {}
        """Response heads seen before; see `flux.clients.wire.heads`."""


def encoder(plan: RequestPlan, authority: str, base_path: str) -> Encode:
    """Make the function that encodes this plan's requests."""
    head = list(_head_pieces(plan, authority, base_path))
    body = list(plan.body.pieces) if plan.body else []
    announces = plan.body is not None or plan.method in _WITH_CONTENT
    head_places = [piece for piece in head if isinstance(piece, int)]
    body_places = [piece for piece in body if isinstance(piece, int)]
    fixed = sum(len(piece) for piece in body if isinstance(piece, bytes))
    if not body_places:
        length = b"Content-Length: %d\r\n" % fixed if announces else b""
        template = _template([*head, length, b"\r\n", *body])
        return _fixed_length(template, head_places, fixed)
    template = b"%bContent-Length: %%d\r\n\r\n%b" % (_template(head), _template(body))
    return _counted(template, head_places, body_places, fixed)


def _head_pieces(plan: RequestPlan, authority: str, base_path: str) -> Iterator[bytes | int]:
    yield f"{plan.method} {base_path}".encode()
    yield from plan.target.pieces
    yield b" HTTP/1.1\r\n"
    if not any(name.lower() == b"host" for name, _ in plan.headers):
        yield f"Host: {authority}\r\n".encode()
    for name, value in plan.headers:
        yield name + b": "
        yield from value.pieces
        yield b"\r\n"


def _template(pieces: Sequence[bytes | int]) -> bytes:
    """A %-format of the pieces, with a %b for each place."""
    return b"".join(
        [b"%b" if isinstance(piece, int) else piece.replace(b"%", b"%%") for piece in pieces]
    )


def _fixed_length(template: bytes, places: list[int], body_bytes: int) -> Encode:
    if not places:
        made = (template % (), body_bytes)
        return lambda values: made
    if places == list(range(len(places))):
        return lambda values: (template % values, body_bytes)
    return lambda values: (template % tuple([values[place] for place in places]), body_bytes)


def _counted(template: bytes, head: list[int], body: list[int], fixed: int) -> Encode:
    if not head and body == list(range(len(body))):

        def encode_body(values: tuple[bytes, ...]) -> tuple[bytes, int]:
            body_bytes = fixed + sum(map(len, values))
            return template % (body_bytes, *values), body_bytes

        return encode_body

    def encode(values: tuple[bytes, ...]) -> tuple[bytes, int]:
        filling = [values[place] for place in body]
        body_bytes = fixed + sum(map(len, filling))
        return template % (*[values[place] for place in head], body_bytes, *filling), body_bytes

    return encode
