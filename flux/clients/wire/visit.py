"""One session as the loop sees it: where it is in its flow, and the request it is at."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flux.clients.wire.cookies import CookieJar
from flux.clients.wire.encode import Step
from flux.flows.actions import Action, Result, Session

if TYPE_CHECKING:
    from flux.clients.wire.connection import Connection
    from flux.clients.wire.pool import Pool


class Home:
    """A target: what its requests are encoded with, and the connections to it."""

    __slots__ = ("number", "pool", "steps")

    def __init__(self, number: int, steps: "tuple[Step, ...]", pool: "Pool") -> None:
        self.number = number
        """Among all targets of the run."""
        self.steps = steps
        self.pool = pool


class Visit:
    """A session under way; a virtual user is one too, in one session after another."""

    __slots__ = (
        "actions",
        "advance",
        "began_ns",
        "begin",
        "body_bytes",
        "connect_ns",
        "connection",
        "deadline_ns",
        "done",
        "due_ns",
        "first_byte_ns",
        "flags",
        "home",
        "is_in_flight",
        "is_leaving",
        "jar",
        "joined_ns",
        "redirects",
        "request",
        "rest_number",
        "retries",
        "seq",
        "start_ns",
        "step",
        "tls_ns",
        "user",
    )

    step: Step
    """Of the last request."""
    actions: Session
    advance: "Callable[[Result | None], Action]"
    """The session's `send`."""
    begin: Callable[[int], Session]
    """Of a user: begins its iterations, by their number."""
    began_ns: int
    """Of a user: when its iteration began."""
    joined_ns: int
    """Of a user: when it was due."""
    done: int
    """Of a user: iterations it has begun."""

    def __init__(self, user: int, home: Home) -> None:
        self.user = user
        self.home = home
        """The target of its session."""
        self.seq = 0
        self.flags = 0
        self.due_ns = 0
        self.start_ns = 0
        self.first_byte_ns = 0
        self.connect_ns = 0
        self.tls_ns = 0
        self.retries = 0
        self.redirects = 0
        self.deadline_ns = 0
        self.body_bytes = 0
        self.request = b""
        """What is sent, kept for a retry or a redirect."""
        self.is_in_flight = False
        """True while a request is under way, False during a pause."""
        self.connection: Connection | None = None
        """What carries the request under way; None while it waits for one."""
        self.jar: CookieJar | None = None
        """None until the first Set-Cookie."""
        self.is_leaving = False
        """Of a user: no other session is to follow."""
        self.rest_number = -1
        """Number of the rest the user takes between two sessions, -1 if it does not rest."""

    def start_at(self, now_ns: int) -> None:
        """Begin to count the time of its request, unless that has begun."""
        if not self.start_ns:
            self.start_ns = now_ns
            self.deadline_ns = now_ns + self.step.timeout_ns
