"""Warns while a run goes on that arrivals find no place, and says how many places there should be.

Strategy. The drops of the last minute are held against what was due in it. Where more than 1 % were
dropped, a larger `max_in_flight` helps if the sessions can be had at all: by Little's law (Little
1961) L = λ·W sessions are under way on average, with λ the rate at which they are due and W the
time that each takes. Twice that, as a power of two, leaves room for bursts.
"""

import logging
from collections import deque

import attrs

from flux.stage import Run
from flux.summary import Summary

WINDOW_NS = 60 * 10**9
DROPPED_SHARE = 0.01
SILENT_FOR_NS = 300 * 10**9
"""After a warning."""


@attrs.frozen
class _Interval:
    end_ns: int
    duration_s: float
    dropped: int
    started: int
    busy_s: float
    """Service time of its requests, all together."""


class DropWatch:
    """An observer of summaries."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._intervals: deque[_Interval] = deque()
        self._silent_until_ns = WINDOW_NS  # the window has to be full first

    def look(self, summary: Summary) -> None:
        """Take in an interval; warn if too many of the last minute's arrivals were dropped."""
        if summary.is_final:
            return
        service, sessions = summary.total.service, summary.sessions
        self._intervals.append(
            _Interval(
                end_ns=summary.end_ns,
                duration_s=summary.duration_s,
                dropped=sessions.dropped,
                started=sessions.started,
                busy_s=service.mean_ns * service.count / 1e9 if service.count else 0.0,
            )
        )
        while self._intervals[0].end_ns <= summary.end_ns - WINDOW_NS:
            self._intervals.popleft()
        if summary.end_ns >= self._silent_until_ns:
            self._warn(summary.end_ns)

    def _warn(self, now_ns: int) -> None:
        dropped = sum(one.dropped for one in self._intervals)
        started = sum(one.started for one in self._intervals)
        due = dropped + started
        if not due or dropped / due <= DROPPED_SHARE:
            return
        self._silent_until_ns = now_ns + SILENT_FOR_NS
        text = f"{100 * dropped / due:.3g} % of the arrivals of the last minute found no place"
        if started:
            duration_s = sum(one.duration_s for one in self._intervals)
            busy_s = sum(one.busy_s for one in self._intervals)
            text += (
                f"; max_in_flight = {places(due / duration_s, busy_s / started)} would hold them"
            )
        self._run.mark("guard", text, level=logging.WARNING)


def places(rate_per_s: float, session_s: float) -> int:
    """Places that hold so many sessions a second, each that long: a power of two, at least 16."""
    needed = 2 * rate_per_s * session_s
    size = 16
    while size < needed:
        size *= 2
    return size
