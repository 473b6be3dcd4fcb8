"""Summaries of intervals, for sinks that take them."""

from flux.schemas import ErrorCode, Flag
from flux.summary import Summary
from tests.outcomes import SECOND_NS, collect_all, not_started, request
from tests.outcomes import as_rows as rows_of


def interval(number: int) -> Summary:
    """A second with a success of 5 ms, a failure of 25 ms and a dropped arrival."""
    start_ns = number * SECOND_NS
    failure = {"status": 503, "error": int(ErrorCode.STATUS), "start_ns": start_ns + 10_000_000}
    rows = [
        request(start_ns),
        request(start_ns, start_ns + 25_000_000, Flag.FIRST | Flag.LAST, **failure),
        not_started(start_ns, Flag.DROPPED),
    ]
    return collect_all([rows_of(rows)], end_ns=start_ns + SECOND_NS)[number]


def empty_interval() -> Summary:
    """The first second of a run in which nothing ended."""
    return collect_all([rows_of([request(SECOND_NS)])])[0]


def final() -> Summary:
    """Of a whole run."""
    return collect_all([rows_of([request()])])[-1]
