"""What flows along the edges of a pipeline: named batches of columns, and what each column means.

Every edge carries batches of one schema. Three are numpy structured arrays; SUMMARY is a
`flux.summary.Summary`. All times are int64 nanoseconds since the run began, on one monotonic
clock. A batch is a plan, not a buffer: it is read-only once sent, and its rows hold at any speed.
"""

import enum
from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]
"""(n,) structured array whose dtype is that of one of the schemas below."""


@attrs.frozen
class Schema:
    """A kind of batch, by name; two edges fit when their schemas are the same object."""

    name: str
    dtype: np.dtype[Any] | None = attrs.field(default=None, repr=False, eq=False)
    """Columns of the structured array, or None where a batch is an object."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order in which files and rows on stdout have them."""
        return self.dtype.names or () if self.dtype is not None else ()

    def empty(self, rows: int) -> Rows:
        """A zeroed batch of that many rows, still writable."""
        return np.zeros(rows, self.dtype)

    def rows(self, values: Iterable[tuple[Any, ...]]) -> Rows:
        """A batch from tuples in column order."""
        return read_only(np.array(list(values), self.dtype))


_LEVELS = np.dtype(
    [
        ("start_ns", np.int64),  # the row holds from here
        ("end_ns", np.int64),  # to here, which is where the next row starts
        ("level", np.float64),  # at start_ns: arrivals per second, or users
        ("end_level", np.float64),  # at end_ns; linear in between, so a ramp is exact
    ]
)

DEMAND = Schema("DEMAND", _LEVELS)
"""How many arrivals per second are wanted, tick by tick."""

USERS = Schema("USERS", _LEVELS)
"""How many virtual users are wanted, tick by tick: DEMAND's columns in the closed model."""

ARRIVAL = Schema(
    "ARRIVAL",
    np.dtype(
        [
            ("seq", np.int64),  # number of the arrival in the whole, unsharded run, from 0
            ("due_ns", np.int64),  # when its session is to start
        ]
    ),
)
"""A session that is due."""

ROSTER = Schema(
    "ROSTER",
    np.dtype(
        [
            ("due_ns", np.int64),  # when the user joins or leaves
            ("user", np.int64),  # number of the user in the whole, unsharded run, from 0
            ("change", np.int64),  # +1 joins; -1 leaves once its flow is finished; see NOBODY
        ]
    ),
)
"""A virtual user that joins or leaves: what ARRIVAL is in the closed model.

When it ends, nobody joins or leaves any more; who is in then stays for as long as it is to.
"""

NOBODY = -1
"""The user of a ROSTER row whose change is 0: nobody else will join, though some may leave."""

OUTCOME = Schema(
    "OUTCOME",
    np.dtype(
        [
            ("seq", np.int64),  # the arrival, or in the closed model the iteration, it belongs to
            ("session", np.int64),  # the virtual user: in the open model every arrival is a new one
            ("step", np.int32),  # which step of the flow, from 0; -1: none was reached
            ("skipped", np.int32),  # on a session's last row: steps that were never run
            ("due_ns", np.int64),  # when the request was to start
            ("start_ns", np.int64),  # when it did
            ("connect_ns", np.int64),  # time spent connecting, 0 on a connection that was open
            ("tls_ns", np.int64),  # time spent on the TLS handshake, 0 on an open connection
            ("first_byte_ns", np.int64),  # when the response began, 0 if it never did
            ("end_ns", np.int64),  # when the response was complete, or the request was given up
            ("status", np.int32),  # of the response, 0 if there was none
            ("error", np.int32),  # an ErrorCode: why the request does not count as a success
            ("bytes_out", np.int64),  # request body
            ("bytes_in", np.int64),  # response body, as received
            ("flags", np.int32),  # Flag
            ("retries", np.int16),  # times it was sent again on a new connection
            ("target", np.int16),  # which target of the run it went to, from 0; -1: none
        ]
    ),
)
"""A request that is finished, or an arrival that was never started."""

SUMMARY = Schema("SUMMARY")
"""What a collector knows, each interval and at the end: a `flux.summary.Summary`."""

SAME = Schema("SAME")
"""In a stage's `emits`: whatever it is given."""


class Flag(enum.IntFlag):
    """Facts of an OUTCOME row that are not measurements."""

    FIRST = 1
    """The first request of its session."""
    LAST = 2
    """The last row of its session."""
    SUCCESS = 4
    """The request succeeded by the flow's rule and its expectations."""
    SESSION_SUCCESS = 8
    """On the last row: every step that was run succeeded, or was allowed to fail."""
    DROPPED = 16
    """Not a request: the arrival could not start in time and was given up."""
    CANCELLED = 32
    """Not a request: the run was stopped before the arrival started."""
    ABORTED = 64
    """The run ended before the request did."""
    HELD = 128
    """The session waited for a place under max_in_flight, so its lag is not the generator's."""
    NEW_CONNECTION = 256
    """The request opened its connection."""
    LOST = 512
    """Not a request: the worker process that had the arrival died, and nobody knows its end."""
    WITHHELD = 1024
    """Not a request: no target that the arrival might have gone to was healthy."""
    AGAIN = 2048
    """The first row of an iteration that is not its user's first one."""


NOT_STARTED = Flag.DROPPED | Flag.CANCELLED | Flag.LOST | Flag.WITHHELD
"""Rows with one of these flags stand for an arrival, not for a request."""


class ErrorCode(enum.IntEnum):
    """Why a request does not count as a success; files have the name in lower case."""

    NONE = 0
    """It does."""
    DNS = 1
    """The host's name could not be resolved."""
    REFUSED = 2
    """Nobody listens on the port."""
    UNREACHABLE = 3
    """There is no route to the host or network."""
    CONNECT_TIMEOUT = 4
    """The connection was not open in time."""
    TLS = 5
    """The TLS handshake failed: certificate, host name, version or alert."""
    RESET = 6
    """The peer reset the connection (ECONNRESET, EPIPE)."""
    CLOSED = 7
    """The peer closed the connection before the response was complete."""
    TIMEOUT = 8
    """The response was not complete in time."""
    PROTOCOL = 9
    """The response is not HTTP, or breaks its rules."""
    REDIRECTS = 10
    """More redirects than allowed, or one that cannot be followed."""
    STATUS = 11
    """The status is no success by the flow's rule."""
    EXPECT_STATUS = 12
    """The status is not the expected one."""
    EXPECT_HEADER = 13
    """A response header is not as expected."""
    EXPECT_BODY = 14
    """The response body is not as expected."""
    EXPECT_LATENCY = 15
    """The response took longer than expected."""
    DECODE = 16
    """The response body could not be decoded (compression, JSON)."""
    DESCRIPTORS = 17
    """The generator ran out of file descriptors (EMFILE, ENFILE)."""
    PORTS = 18
    """The generator ran out of local ports (EADDRNOTAVAIL)."""
    PROXY = 19
    """The proxy refused or failed."""
    REQUEST = 20
    """The request could not be made: a body file or template value is missing."""
    DROPPED = 21
    """Not started: too late by on_late, max_lag or drain."""
    CANCELLED = 22
    """Not started: the run was stopped first."""
    ABORTED = 23
    """Cut by the end of the drain time or by a second interrupt."""
    OTHER = 24
    """None of the above; the log names the exception once."""
    LOST = 25
    """Lost with the worker process that had it."""
    WITHHELD = 26
    """Not started: no target that it might have gone to was healthy."""
    NOT_ALLOWED = 27
    """Nothing was sent: the host is neither loopback nor private, nor in allow_hosts."""

    @property
    def text(self) -> str:
        """As files and reports have it; empty for NONE."""
        return self.name.lower() if self else ""


ERROR_TEXTS = tuple(code.text for code in ErrorCode)
"""Text of each error code, by its number."""


def read_only(rows: Rows) -> Rows:
    """The same array with writing forbidden: what a stage must do before it sends."""
    rows.flags.writeable = False
    return rows
