"""A request is the bytes that the plan's pieces and values make, with the right length."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from flux.clients.wire.encode import encoder
from flux.flows.actions import RequestPlan, Text
from tests.clients.wire.rig import plan

_BYTES = st.binary(max_size=5).map(lambda data: data.replace(b"\r\n", b"")) | st.just(b"%b%%d")


@st.composite
def plans(draw: st.DrawFn) -> tuple[RequestPlan, tuple[bytes, ...]]:
    """A plan with places anywhere, and values for them."""
    texts = []
    places = 0
    for _ in range(3):
        pieces: list[bytes | int] = []
        for piece in draw(st.lists(st.none() | _BYTES, max_size=4)):
            if piece is None:
                pieces.append(places)
                places += 1
            else:
                pieces.append(piece)
        texts.append(Text(tuple(pieces)))
    values = tuple(draw(_BYTES) for _ in range(places))
    one = plan(texts[0], method="POST", body=draw(st.sampled_from([texts[2], None])))
    if one.body is None:
        values = values[: places - sum(isinstance(piece, int) for piece in texts[2].pieces)]
    return attrs.evolve(one, headers=((b"X-One", texts[1]),)), values


@given(plans())
def test_a_request_is_what_its_pieces_and_values_make(
    planned: tuple[RequestPlan, tuple[bytes, ...]],
) -> None:
    one, values = planned
    body = one.body.fill(values) if one.body else b""
    wanted = (
        b"POST /base%b HTTP/1.1\r\nHost: a.test:81\r\nX-One: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (one.target.fill(values), one.headers[0][1].fill(values), len(body), body)
    )
    assert encoder(one, "a.test:81", "/base")(values) == (wanted, len(body))


def test_a_plan_with_places_out_of_order() -> None:
    one = plan(Text((b"/", 2, 0)), method="POST", body=Text((1, b"-", 1)))
    request, body_bytes = encoder(one, "a", "")((b"x", b"yy", b"z"))
    assert request == b"POST /zx HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nyy-yy"
    assert body_bytes == 5


def test_a_get_announces_no_body_and_a_post_does() -> None:
    assert b"Content-Length" not in encoder(plan(), "a", "")(())[0]
    assert b"Content-Length: 0" in encoder(plan(method="POST"), "a", "")(())[0]


def test_a_host_header_of_the_plan_takes_the_place_of_ours() -> None:
    request, _ = encoder(plan(headers=((b"host", b"b.test"),)), "a", "")(())
    assert request == b"GET / HTTP/1.1\r\nhost: b.test\r\n\r\n"
