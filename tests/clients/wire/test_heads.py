"""The short way over a head seen before gives what the parser gives, for any response."""

from hypothesis import given, settings
from hypothesis import strategies as st

from flux.clients.wire.errors import BadResponse
from flux.clients.wire.heads import Heads, keep
from flux.clients.wire.response import ResponseReader

_FIELDS = st.sampled_from(
    [
        b"Content-Length: 3",
        b"Content-Length: 0",
        b"content-length:3 ",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Connection: keep-alive",
        b"X-Empty:",
        b"Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK",
        b"X-Folded: a\r\n b",
    ]
)
_STATUS = st.sampled_from([b"200 OK", b"204 No Content", b"304 Not Modified", b"100 Go", b"404 "])
_REST = st.sampled_from([b"", b"abc", b"abcd", b"\r\n\r\n", b"a\r\n", b"3\r\nabc\r\n0\r\n\r\n"])


def _parse(data: bytes) -> tuple[object, ...]:
    """What the parser alone makes of a response that came at once."""
    reader = ResponseReader()
    try:
        if not reader.feed(data):
            return ("incomplete",)
    except BadResponse as error:
        return (error.code,)
    may_stay = reader.keeps_alive and not reader.has_surplus
    return (may_stay, *reader.head(wants_headers=True))


@settings(max_examples=500)
@given(_STATUS, st.lists(_FIELDS, max_size=3), st.lists(_REST, min_size=2, max_size=4))
def test_a_kept_head_says_what_the_parser_says(
    status: bytes, fields: list[bytes], rests: list[bytes]
) -> None:
    head = b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", b""])
    heads: Heads = {}
    for rest in rests:
        data = head + rest
        end = data.find(b"\r\n\r\n") + 4
        known = heads.get(data[:end])
        if known is not None and known[1] == len(data) - end:
            assert _parse(data) == (True, *known)
        reader = ResponseReader()
        try:
            is_complete = reader.feed(data)
        except BadResponse:
            continue
        if is_complete and reader.keeps_alive and not reader.has_surplus:
            raw = reader.raw_head()
            if raw is not None:
                keep(heads, raw, reader.head(wants_headers=True))


def test_heads_that_all_differ_do_not_fill_the_memory() -> None:
    heads: Heads = {}
    for number in range(1000):
        keep(heads, b"%d" % number, (200, 0, None, None))
    assert len(heads) <= 64
