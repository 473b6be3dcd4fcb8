"""The seam between flows and clients: what a session asks for, and what it is told.

    actions = flow.session(seq, user)            a generator
    action = next(actions)                       Send, Pause or End
    action = actions.send(Result(...))           after a Send
    action = actions.send(None)                  after a Pause

A session sends at least once, and ends with exactly one `End`, which never follows a `Pause`. The
client turns each `Send` into one exchange: on success it asks `plan.judge` for the verdict, on
failure it has an `ErrorCode` of its own; either way it tells the session, and then writes one
OUTCOME row, which by then can say whether it was the last.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Literal, TypeAlias

import attrs

from flux.schemas import ErrorCode


@attrs.frozen
class Text:
    """A part of a request: constant bytes, and places that are filled anew for each session.

    Pieces come encoded for where they stand (percent-encoded, JSON-escaped, …), and so do the
    values, so that filling is concatenation.
    """

    pieces: tuple[bytes | int, ...]
    """Constant bytes, or an index into the values of the request plan."""

    @property
    def is_constant(self) -> bool:
        """True when there is nothing to fill."""
        return not any(isinstance(piece, int) for piece in self.pieces)

    def fill(self, values: Sequence[bytes]) -> bytes:
        """The bytes with the values in their places."""
        return b"".join(
            [values[piece] if isinstance(piece, int) else piece for piece in self.pieces]
        )


Headers: TypeAlias = Mapping[str, str]
"""Response headers: names in lower case; values of repeated ones joined by a comma and a space."""

Judge: TypeAlias = Callable[[int, "Headers | None", "bytes | None", int], ErrorCode]
"""(status, headers, body, latency_ns) to a verdict; headers and body if the plan wants them."""


@attrs.frozen(eq=False)
class RequestPlan:
    """One step of a flow, compiled: everything about its request but the values."""

    index: int
    """Number of the step in its flow, from 0."""
    name: str
    method: str
    """In upper case."""
    target: Text
    """Path and query, as on the request line, below the target's own base path."""
    headers: tuple[tuple[bytes, Text], ...]
    """Name and value in order; without Host, Content-Length and Connection, which clients add."""
    body: Text | None
    """None: no body. A body from a file is constant bytes here, read once at load."""
    timeout_ns: int
    """From the start of the request to the end of its response."""
    wants_headers: bool
    """True when the judge or a capture reads the headers."""
    wants_body: bool
    """True when the judge or a capture reads the body; else clients may discard it unread."""
    judge: Judge

    @property
    def is_constant(self) -> bool:
        """True when every request of this step has the same bytes."""
        texts = [self.target, *(value for _, value in self.headers)]
        return all(text.is_constant for text in (*texts, *([self.body] if self.body else [])))


@attrs.frozen(eq=False)
class Send:
    """Make this request now."""

    plan: RequestPlan
    values: tuple[bytes, ...]
    """What fills the places of the plan's texts: one value per place, in the order target,
    headers, body."""


@attrs.frozen(eq=False)
class Pause:
    """Do nothing for this long."""

    duration_ns: int


@attrs.frozen(eq=False)
class End:
    """The session is over."""

    success: bool
    """Every step that was run succeeded, or was allowed to fail."""
    skipped: int
    """Steps that were never run."""


@attrs.frozen(eq=False)
class Result:
    """What came of a request, as far as the session wants to know."""

    error: ErrorCode
    """NONE, the judge's verdict, or why there is no complete response."""
    headers: Headers | None = None
    """As far as the plan wants them."""
    body: bytes | None = None
    """Decoded, as far as the plan wants it."""


Identity: TypeAlias = Literal["iteration", "user"]
"""Who a session is to the target: with each iteration somebody new, or always the same user."""

Action: TypeAlias = Send | Pause | End
Session: TypeAlias = Generator[Action, "Result | None", None]


@attrs.frozen(eq=False)
class Flow:
    """A compiled flow: its request plans, and how to begin a session of it."""

    plans: tuple[RequestPlan, ...]
    begin: Callable[[int, int], Session]
    identity: Identity = "iteration"
    """Whose cookies the clients keep: those of an iteration, or of a user over all of its own."""
    begin_user: Callable[[int], Callable[[int], Session]] | None = None
    """How to begin the iterations of one user, where it keeps something; None: by `begin`."""

    def session(self, seq: int, user: int) -> Session:
        """A session, its random values fixed by the run's seed and `seq`."""
        return self.begin(seq, user)

    def sessions_of(self, user: int) -> Callable[[int], Session]:
        """What begins one iteration of a user after another, each by its number."""
        if self.begin_user is not None:
            return self.begin_user(user)
        return lambda seq: self.begin(seq, user)
