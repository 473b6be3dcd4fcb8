"""The breaker's state machine. Pure: it is told the time and what ended, and says what happens.

                          too much, for `sustained`
        closed ─────────────────────────────────────► open ◄──────────────┐
          ▲                                            │ cool_down is over │ too much
          │            good for `probe_for`            ▼                   │
          └──────────────────────────────────────── half open ─────────────┘

and from any arrow to open to stopped instead, if the action says so or there were enough trips.

What counts. While it is closed, requests that ended within the window. While it is half open, only
those that were due after the pause: what was in flight when it tripped says how the target *was*.
So a breaker that tripped on latency closes as soon as the latency is good, and no sooner.
"""

import enum

import attrs

from flux.guards.breaker import Breaker
from flux.guards.window import Counts, Window

SLOW_SHARE = 0.05
"""More slow requests than this, and the 95th percentile is slow."""

ALWAYS_NS = -(2**62)


class State(enum.Enum):
    """Where the breaker stands; the values are what people and webhooks read."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    STOPPED = "stopped"


@attrs.frozen
class Transition:
    """A change of state."""

    state: State
    """The new one."""
    reason: str
    """Why, with the values and the limits."""
    trips: int
    """How often it has tripped so far."""


class Circuit:
    """A breaker at work."""

    def __init__(self, breaker: Breaker) -> None:
        """Begin closed, at the start of the run."""
        self.breaker = breaker
        self.state = State.CLOSED
        self.trips = 0
        self.reason = ""
        """Of the last transition."""
        self.counted_from_ns = ALWAYS_NS
        """Requests that were due before this are not to be shown to it."""
        self._window = Window(breaker.window)
        self._since_ns = 0
        self._bad_since_ns: int | None = None
        self._quiet_since_ns = 0

    @property
    def factor(self) -> float:
        """What the level is to be multiplied by."""
        if self.state is State.OPEN:
            return 0.0
        return self.breaker.probe if self.state is State.HALF_OPEN else 1.0

    @property
    def counts(self) -> Counts:
        """What its next decision will rest on, as of now."""
        return self._window.counts

    @property
    def decides_ns(self) -> int | None:
        """When it is to decide next, at the earliest; None while it waits for nothing."""
        if self.state is State.OPEN:
            return self._since_ns + self.breaker.cool_down
        if self.state is State.HALF_OPEN:
            return self._since_ns + self.breaker.probe_for
        return None

    def observe(self, now_ns: int, counts: Counts, *, is_waiting: bool) -> Transition | None:
        """Take in what ended since the last call, and say what comes of it.

        To be called several times a second, whether or not anything ended.

        Args:
            now_ns: not before that of the last call.
            counts: of requests due at `counted_from_ns` or later.
            is_waiting: whether sessions are under way.
        """
        if counts.requests or not is_waiting:
            self._quiet_since_ns = now_ns
        self._window.add(now_ns, counts)
        match self.state:
            case State.CLOSED:
                return self._when_closed(now_ns)
            case State.OPEN:
                return self._when_open(now_ns)
            case State.HALF_OPEN:
                return self._when_half_open(now_ns)
        return None

    def _when_closed(self, now_ns: int) -> Transition | None:
        if silence := self._silence(now_ns, "no request"):
            return self._trip(now_ns, silence)
        where = f"in the last {self.breaker.window}"
        excess = self._excess(self.breaker.min_requests, where)
        if not excess:
            self._bad_since_ns = None
            return None
        if self._bad_since_ns is None:
            self._bad_since_ns = now_ns
        if now_ns - self._bad_since_ns < self.breaker.sustained:
            return None
        return self._trip(now_ns, excess)

    def _when_open(self, now_ns: int) -> Transition | None:
        if now_ns - self._since_ns < self.breaker.cool_down:
            return None
        self.counted_from_ns = now_ns
        # As long as the probe takes, all of it counts.
        self._window = Window(2**62)
        return self._enter(now_ns, State.HALF_OPEN, f"{self.breaker.cool_down} of pause are over")

    def _when_half_open(self, now_ns: int) -> Transition | None:
        breaker = self.breaker
        if silence := self._silence(now_ns, "no request of the probe"):
            return self._trip(now_ns, silence)
        is_over = now_ns - self._since_ns >= breaker.probe_for and self.counts.requests > 0
        excess = self._excess(1 if is_over else breaker.min_requests, "of the probe")
        if excess:
            return self._trip(now_ns, excess)
        if not is_over:
            return None
        good = f"{_requests(self.counts.requests)} of the probe ended well enough"
        self._window = Window(breaker.window)
        return self._enter(now_ns, State.CLOSED, good)

    def _trip(self, now_ns: int, reason: str) -> Transition:
        self.trips += 1
        is_last = self.breaker.action == "stop" or self.trips > self.breaker.trips
        return self._enter(now_ns, State.STOPPED if is_last else State.OPEN, reason)

    def _enter(self, now_ns: int, state: State, reason: str) -> Transition:
        self.state, self.reason = state, reason
        self._since_ns = self._quiet_since_ns = now_ns
        self._bad_since_ns = None
        return Transition(state, reason, self.trips)

    def _silence(self, now_ns: int, nothing: str) -> str:
        """What is wrong, if nothing ends."""
        limit_ns = self.breaker.silence
        if limit_ns is None or now_ns - self._quiet_since_ns < limit_ns:
            return ""
        return f"{nothing} has ended for {limit_ns}"

    def _excess(self, fewest: int, where: str) -> str:
        """What is too much, if there were that many requests at least."""
        breaker, counts = self.breaker, self.counts
        if counts.requests < fewest:
            return ""
        failed, slow = counts.failures / counts.requests, counts.slow / counts.requests
        of = f"of {_requests(counts.requests)} {where}"
        if breaker.error_share is not None and failed > breaker.error_share:
            limit = _percent(breaker.error_share)
            return f"{_percent(failed)} {of} failed, more than {limit}"
        if breaker.p95 is not None and slow > SLOW_SHARE:
            return f"{breaker.latency} p95 is over {breaker.p95}: {_percent(slow)} {of} took longer"
        return ""


def _requests(count: int) -> str:
    return f"{count:,} request{'s' if count != 1 else ''}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
