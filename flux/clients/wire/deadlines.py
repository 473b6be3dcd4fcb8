"""Time limits that cost next to nothing per request.

Theory of operation. Nearly every request ends long before its limit, so a limit must be cheap to
set and free to lift. What is watched is therefore not the request but what carries it, a
connection, which makes thousands of requests within one limit. It is put into a bucket once; when
the bucket's time has come, it is asked for its current deadline: none, and it is let go; a later
one, and it moves to that bucket; passed, and it is told. A request only compares its deadline with
the time its connection is watched for already, and asks again only if that is later.

A deadline is noticed up to one bucket late.
"""

from heapq import heappop, heappush
from typing import Protocol

NEVER_NS = 1 << 62
"""Later than any time of a run."""

_BUCKET_BITS = 23
"""Buckets of 2^23 ns, 8.4 ms."""


class Watched(Protocol):
    """What can have a deadline."""

    watched_ns: int
    """When it will be looked at, NEVER_NS if it will not."""

    def current_deadline_ns(self) -> int:
        """Its deadline, NEVER_NS if it has none."""

    def on_deadline(self, now_ns: int) -> None:
        """Called once its deadline has passed."""


class Deadlines:
    """Buckets of watched things by the time they are to be looked at."""

    __slots__ = ("_buckets", "_order", "next_ns")

    def __init__(self) -> None:
        self._buckets: dict[int, list[Watched]] = {}
        self._order: list[int] = []
        self.next_ns = NEVER_NS
        """When `sweep` has something to do."""

    def watch(self, watched: Watched, deadline_ns: int) -> None:
        """Look at it at that time; an earlier call for a later time is void."""
        bucket = deadline_ns >> _BUCKET_BITS
        if watched.watched_ns >> _BUCKET_BITS == bucket:
            watched.watched_ns = min(watched.watched_ns, deadline_ns)
            return
        watched.watched_ns = deadline_ns
        if bucket in self._buckets:
            self._buckets[bucket].append(watched)
            return
        self._buckets[bucket] = [watched]
        heappush(self._order, bucket)
        self.next_ns = (self._order[0] + 1) << _BUCKET_BITS

    def sweep(self, now_ns: int) -> None:
        """Look at everything whose time has come."""
        while self._order and (self._order[0] + 1) << _BUCKET_BITS <= now_ns:
            bucket = heappop(self._order)
            for watched in self._buckets.pop(bucket):
                if watched.watched_ns >> _BUCKET_BITS == bucket:
                    watched.watched_ns = NEVER_NS
                    self._look_at(watched, now_ns)
        self.next_ns = (self._order[0] + 1) << _BUCKET_BITS if self._order else NEVER_NS

    def _look_at(self, watched: Watched, now_ns: int) -> None:
        deadline_ns = watched.current_deadline_ns()
        if deadline_ns <= now_ns:
            watched.on_deadline(now_ns)
        elif deadline_ns < NEVER_NS:
            self.watch(watched, deadline_ns)
