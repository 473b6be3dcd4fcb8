"""Content codings of response bodies, undone only for steps that look at the body."""

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from flux.clients.wire.errors import BadResponse
from flux.schemas import ErrorCode

MAX_BODY_BYTES = 16 << 20
"""A body that a step looks at is kept in memory: at most this much, before and after decoding."""

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


def decode(body: bytes, encoding: bytes) -> bytes:
    """The body without its content codings, given the value of Content-Encoding.

    Raises:
        BadResponse: DECODE, if the coding is unknown, broken or hides too much.
    """
    for coding in reversed(encoding.lower().split(b",")):
        undo = _UNDO.get(coding.strip())
        if undo is None:
            raise BadResponse(ErrorCode.DECODE)
        body = undo(body)
    return body


def _inflate(body: bytes, window_bits: int) -> bytes:
    inflater = zlib.decompressobj(window_bits)
    try:
        plain = inflater.decompress(body, MAX_BODY_BYTES)
    except zlib.error:
        raise BadResponse(ErrorCode.DECODE) from None
    if not inflater.eof:
        raise BadResponse(ErrorCode.DECODE)
    return plain


def _gunzip(body: bytes) -> bytes:
    return _inflate(body, _GZIP_OR_ZLIB) if body else body


def _undeflate(body: bytes) -> bytes:
    """Some servers send deflate with zlib's frame, as RFC 9110, 8.4.1.2 says; others without."""
    try:
        return _gunzip(body)
    except BadResponse:
        return _inflate(body, _RAW)


def _unbrotli(body: bytes) -> bytes:
    brotli = _brotli()
    if brotli is None:
        raise BadResponse(ErrorCode.DECODE)
    inflater = brotli.Decompressor()
    try:
        plain: bytes = inflater.process(body, output_buffer_limit=MAX_BODY_BYTES)
    except brotli.error:
        raise BadResponse(ErrorCode.DECODE) from None
    if not inflater.is_finished() or len(plain) > MAX_BODY_BYTES:
        raise BadResponse(ErrorCode.DECODE)
    return plain


def _brotli() -> Any:
    """The module of the extra `brotli`, if it is installed."""
    try:
        return import_module("brotli")
    except ImportError:
        return None


_UNDO: dict[bytes, Callable[[bytes], bytes]] = {
    b"": lambda body: body,
    b"identity": lambda body: body,
    b"gzip": _gunzip,
    b"x-gzip": _gunzip,
    b"deflate": _undeflate,
    b"br": _unbrotli,
}
