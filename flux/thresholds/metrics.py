"""What thresholds can look at, and how each is measured in a summary.

A measurement adds up: those of the intervals of a window give that of the window. So the same few
numbers serve the end of a run, the run so far, and a sliding window.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import attrs

from flux.conservation import Ledger
from flux.histogram import Histogram
from flux.summary import StepSummary

Kind: TypeAlias = Literal["latency", "count", "share"]


@attrs.frozen
class Measured:
    """What was seen of one metric in some time."""

    start_ns: int
    end_ns: int
    count: int
    """How many there were of what is counted; of a latency, how many were measured."""
    out_of: int
    """Of how many requests, sessions or arrivals; none of them, nothing is known."""
    latency: Histogram | None = None
    """Of a latency."""
    cut: int = 0
    """Of a latency: requests that the end of the run cut; each took longer than is known."""

    @property
    def duration_s(self) -> float:
        """How long that time was."""
        return (self.end_ns - self.start_ns) / 1e9

    def merge(self, others: Iterable["Measured"]) -> "Measured":
        """This and the others together; all stay as they are."""
        parts = (self, *others)
        latency = None
        if self.latency is not None:
            latency = Histogram()
            for part in parts:
                latency.merge(part.latency or Histogram())
        return Measured(
            start_ns=min(part.start_ns for part in parts),
            end_ns=max(part.end_ns for part in parts),
            count=sum(part.count for part in parts),
            out_of=sum(part.out_of for part in parts),
            latency=latency,
            cut=sum(part.cut for part in parts),
        )


Counts: TypeAlias = tuple[int, int]
"""How many, out of how many."""


@attrs.frozen
class Metric:
    """Something that can be looked at."""

    name: str
    kind: Kind
    noun: str
    """What stands behind a value: requests, sessions or arrivals."""
    meaning: str
    k6: tuple[str, ...] = ()
    """What k6 calls it, or what comes closest there."""
    count_steps: Callable[[Sequence[StepSummary], str], Counts] | None = None
    """Counts in steps; it is given the error, if one is named."""
    count_sessions: Callable[[Ledger], Counts] | None = None
    """Counts sessions, which have no step."""

    @property
    def has_steps(self) -> bool:
        """True if it can be looked at step by step."""
        return self.count_sessions is None

    def measure(
        self,
        steps: Sequence[StepSummary],
        sessions: Ledger,
        start_ns: int,
        end_ns: int,
        error: str = "",
    ) -> Measured:
        """Look at these steps and sessions.

        Args:
            steps: only those that are meant.
            sessions: all of that time.
            start_ns: where the time begins.
            end_ns: where it ends.
            error: count only what failed for this reason; any if empty.
        """
        if self.count_sessions is not None:
            return Measured(start_ns, end_ns, *self.count_sessions(sessions))
        if self.count_steps is not None:
            return Measured(start_ns, end_ns, *self.count_steps(steps, error))
        latency = Histogram()
        for step in steps:
            latency.merge(getattr(step, self.name))
        cut = sum(step.aborted for step in steps) if self.name in _WITH_CUT else 0
        return Measured(start_ns, end_ns, latency.count, latency.count + cut, latency, cut)


_WITH_CUT: Final = ("response", "service")
"""Latencies that a request has even if it never gets an answer."""


def _requests(steps: Sequence[StepSummary], error: str) -> Counts:
    count = sum(step.requests for step in steps)
    return count, count


def _failed(steps: Sequence[StepSummary], error: str) -> Counts:
    failed = sum(step.errors.get(error, 0) if error else step.failures for step in steps)
    return failed, sum(step.requests for step in steps)


def _sessions(ledger: Ledger) -> Counts:
    return ledger.started, ledger.started


def _sessions_failed(ledger: Ledger) -> Counts:
    return ledger.failed + ledger.aborted, ledger.ended


def _dropped(ledger: Ledger) -> Counts:
    return ledger.dropped, ledger.arrived + ledger.dropped + ledger.lost


_ALL: Final = (
    Metric(
        "response",
        "latency",
        "requests",
        "From when a request was due until its end: what a user would have felt.",
        ("http_req_duration",),
    ),
    Metric(
        "service",
        "latency",
        "requests",
        "From when a request started until its end.",
        ("http_req_duration",),
    ),
    Metric(
        "first_byte",
        "latency",
        "responses",
        "From when a request started until its response began.",
        ("http_req_waiting",),
    ),
    Metric(
        "lag",
        "latency",
        "sessions",
        "From when a session was due until it started: the generator's own delay.",
    ),
    Metric(
        "connect",
        "latency",
        "connections",
        "Time to connect, of requests that opened their connection.",
        ("http_req_connecting",),
    ),
    Metric(
        "tls",
        "latency",
        "connections",
        "Time for the TLS handshake, of requests that opened their connection.",
        ("http_req_tls_handshaking",),
    ),
    Metric(
        "requests",
        "count",
        "requests",
        "Requests that ended.",
        ("http_reqs",),
        count_steps=_requests,
    ),
    Metric(
        "failed",
        "share",
        "requests",
        "Requests that failed: by transport, by status or by what was expected.",
        ("http_req_failed", "checks"),
        count_steps=_failed,
    ),
    Metric(
        "sessions",
        "count",
        "sessions",
        "Sessions that started; in the closed model, iterations.",
        ("iterations",),
        count_sessions=_sessions,
    ),
    Metric(
        "sessions_failed",
        "share",
        "sessions",
        "Of the sessions that ended, those that failed or were cut.",
        count_sessions=_sessions_failed,
    ),
    Metric(
        "dropped",
        "share",
        "arrivals",
        "Of the arrivals that were due, those that could not start in time.",
        ("dropped_iterations",),
        count_sessions=_dropped,
    ),
)

METRICS: Final[Mapping[str, Metric]] = MappingProxyType({metric.name: metric for metric in _ALL})
"""All metrics by name."""
