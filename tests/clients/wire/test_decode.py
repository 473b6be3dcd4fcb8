"""Content codings: what they hide is bounded, and what is broken is told."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.clients.wire.decode import MAX_BODY_BYTES, decode
from flux.clients.wire.errors import BadResponse

CODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
}


@given(body=st.binary(), coding=st.sampled_from(sorted(CODERS)))
def test_what_was_encoded_comes_back(body: bytes, coding: bytes) -> None:
    assert decode(CODERS[coding](body), coding) == body


def test_codings_are_undone_in_reverse_order() -> None:
    assert decode(brotli.compress(gzip.compress(b"plain")), b"gzip, br") == b"plain"


@pytest.mark.parametrize("coding", sorted(CODERS))
def test_a_body_that_hides_too_much_is_given_up(coding: bytes) -> None:
    small = CODERS[coding](bytes(MAX_BODY_BYTES + 1))
    assert len(small) < MAX_BODY_BYTES / 500
    with pytest.raises(BadResponse):
        decode(small, coding)


@pytest.mark.parametrize("coding", sorted(CODERS))
def test_a_body_that_ends_early_is_given_up(coding: bytes) -> None:
    with pytest.raises(BadResponse):
        decode(CODERS[coding](b"x" * 1000)[:-1], coding)
