"""The seam between what drives sessions and what makes their requests, over any protocol."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from flux.flows.actions import Headers, Send
from flux.schemas import ErrorCode


@attrs.define
class Exchange:
    """What is known of one request; the client fills it in as it happens, in run nanoseconds."""

    status: int = 0
    error: ErrorCode = ErrorCode.NONE
    headers: Headers | None = None
    body: bytes | None = None
    connect_ns: int = 0
    tls_ns: int = 0
    first_byte_ns: int = 0
    end_ns: int = 0
    """When the response was complete; 0 if that is when the exchange returns."""
    bytes_out: int = 0
    bytes_in: int = 0
    opened_connection: bool = False
    retries: int = 0
    target: int = 0
    """Which of the executor's targets it goes to; the client is told."""


class Exchanger(Protocol):
    """One session's way to the target: it keeps what belongs to one user, such as cookies."""

    async def exchange(self, send: Send, exchange: Exchange) -> None:
        """Make the request and fill in what came of it; a failure is an error code."""


class Opener(Protocol):
    """Opens a way to the target for one session."""

    def __call__(self) -> AbstractAsyncContextManager[Exchanger]:
        """Open it."""
