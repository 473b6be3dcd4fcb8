"""What must hold of every run, whatever happened to it: pure, over the files that it left.

    planned = started + dropped + cancelled + lost        started = succeeded + failed + aborted

and the same counts come from the rows on disk; every arrival has exactly one first or not-started
row, and every session that began exactly one last row; arrivals are those of the plan, at their
times; and no limit that the pipeline sets was ever exceeded.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

MS = 1_000_000

NOT_STARTED = ("dropped", "cancelled", "lost")

Row = Mapping[str, str]


@attrs.frozen
class Expected:
    """What is known of a run before it is made."""

    plan: Mapping[int, int] | None
    """seq → due_ns of every arrival that is planned; None in the closed model."""
    was_stopped: bool
    """Whether it may have ended before its plan did."""
    drained_ns: int = 0
    """When the drain time is over, if nobody stops the run."""
    max_in_flight: int | None = None
    may_drop: bool = False
    """Whether arrivals that are late may be dropped before."""
    shards: int = 1
    """Processes among which the sessions are divided."""


def broken_laws(result: Mapping[str, Any], rows: Sequence[Row], expected: Expected) -> list[str]:
    """Every law that does not hold, in words; empty if all do."""
    return [
        *_equations(result),
        *_sessions_of_rows(result, rows),
        *_requests_of_rows(result, rows),
        *_series(result),
        *_one_row_each(rows),
        *_times(rows),
        *_arrivals(rows, expected),
        *_limits(rows, expected),
    ]


def flags_of(row: Row) -> set[str]:
    """The row's flags."""
    return set(row["flags"].split("|")) - {""}


def _equations(result: Mapping[str, Any]) -> Iterator[str]:
    sessions = result["sessions"]
    known = sum(sessions[name] for name in ("started", *NOT_STARTED))
    if sessions["planned"] is not None and sessions["planned"] != known:
        yield f"planned {sessions['planned']}, but {known} are known: {sessions}"
    ended = sum(sessions[name] for name in ("succeeded", "failed", "aborted"))
    if sessions["started"] != ended:
        yield f"started {sessions['started']}, but {ended} ended: {sessions}"
    if not result["complete"]:
        yield "result.json is not complete"
    for finding in result["validity"]["findings"]:
        if "got lost" in finding["text"]:
            yield f"flux says so itself: {finding['text']}"


def _sessions_of_rows(result: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        flags = flags_of(row)
        counts.update(flags.intersection(NOT_STARTED))
        counts["started"] += "first" in flags
        if "last" in flags:
            fate = {"session_success": "succeeded", "aborted": "aborted"}
            counts[next((fate[flag] for flag in fate if flag in flags), "failed")] += 1
    for name in ("started", *NOT_STARTED, "succeeded", "failed", "aborted"):
        yield from _differs(f"sessions {name}", result["sessions"][name], counts[name])


def _requests_of_rows(result: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
    requests = [row for row in rows if row["step"]]
    yield from _differs("Total", result["Total"], len(requests))
    successes = sum("success" in flags_of(row) for row in requests)
    yield from _differs("Success", result["Success"], successes)
    yield from _differs("Failure", result["Failure"], len(requests) - successes)
    errors = Counter(row["error"] for row in requests if row["error"])
    yield from _differs("errors", result["errors"], dict(errors))
    statuses = Counter(row["status"] for row in requests)
    yield from _differs("statuses", result["statuses"], dict(statuses))
    measured = sum("aborted" not in flags_of(row) for row in requests)
    yield from _differs("responses", result["latency"]["response"]["count"], measured)


def _series(result: Mapping[str, Any]) -> Iterator[str]:
    sessions, series = result["sessions"], result["series"]
    totals = {
        "requests": result["Total"],
        "successes": result["Success"],
        "failures": result["Failure"],
        "started": sessions["started"],
        "dropped": sessions["dropped"],
        "cancelled": sessions["cancelled"],
    }
    for name, total in totals.items():
        yield from _differs(f"series {name}", sum(row[name] for row in series), total)


def _one_row_each(rows: Sequence[Row]) -> Iterator[str]:
    firsts, lasts, never = Counter[int](), Counter[int](), Counter[int]()
    for row in rows:
        flags, seq = flags_of(row), int(row["seq"])
        firsts[seq] += "first" in flags
        lasts[seq] += "last" in flags
        never[seq] += bool(flags.intersection(NOT_STARTED))
    for seq in firsts:
        if firsts[seq] + never[seq] != 1:
            yield f"arrival {seq} has {firsts[seq]} first and {never[seq]} not-started rows"
        if firsts[seq] != lasts[seq]:
            yield f"session {seq} has {firsts[seq]} first and {lasts[seq]} last rows"


def _times(rows: Sequence[Row]) -> Iterator[str]:
    last_end_ns: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: (int(row["start_ns"]), int(row["end_ns"]))):
        seq = int(row["seq"])
        due_ns, start_ns, first_byte_ns, end_ns = (
            int(row[name]) for name in ("due_ns", "start_ns", "first_byte_ns", "end_ns")
        )
        if end_ns < start_ns or (first_byte_ns and not start_ns <= first_byte_ns <= end_ns):
            yield f"times are out of order: {row}"
        if flags_of(row).intersection(NOT_STARTED):
            continue
        if start_ns < due_ns - MS:
            yield f"it started before it was due: {row}"
        if due_ns < last_end_ns.get(seq, due_ns):
            yield f"it was due before the one before it had ended: {row}"
        last_end_ns[seq] = end_ns


def _arrivals(rows: Sequence[Row], expected: Expected) -> Iterator[str]:
    due_ns = {
        int(row["seq"]): int(row["due_ns"])
        for row in rows
        if flags_of(row).intersection({"first", *NOT_STARTED})
    }
    for shard in range(expected.shards):
        found = sorted(seq for seq in due_ns if seq % expected.shards == shard)
        wanted = list(range(shard, shard + expected.shards * len(found), expected.shards))
        if found != wanted:
            yield f"seqs have gaps: {sorted(set(wanted) - set(found))} are missing"
    if expected.plan is None:
        return
    for seq, time_ns in due_ns.items():
        if expected.plan.get(seq) != time_ns:
            yield f"arrival {seq} is due at {time_ns}, planned at {expected.plan.get(seq)}"
    if not expected.was_stopped:
        yield from _differs("arrivals", len(due_ns), len(expected.plan))


def _limits(rows: Sequence[Row], expected: Expected) -> Iterator[str]:
    flags = [flags_of(row) for row in rows]
    if not expected.may_drop:
        for row in rows:
            if "dropped" in row["flags"] and int(row["end_ns"]) < expected.drained_ns:
                yield f"it was dropped though there was still time: {row}"
    if not expected.was_stopped and any("cancelled" in one for one in flags):
        yield "arrivals were cancelled though nobody stopped the run"
    if expected.max_in_flight is not None:
        peak = _most_at_once(rows)
        if peak > expected.max_in_flight:
            yield f"{peak} sessions at once, max_in_flight is {expected.max_in_flight}"


def _most_at_once(rows: Sequence[Row]) -> int:
    """Sessions under way at once, by their first start and last end."""
    changes: list[tuple[int, int]] = []
    for row in rows:
        flags = flags_of(row)
        if "first" in flags:
            changes.append((int(row["start_ns"]), 1))
        if "last" in flags:
            changes.append((int(row["end_ns"]), -1))
    peak = under_way = 0
    for _, change in sorted(changes):  # at the same moment, ends come first
        under_way += change
        peak = max(peak, under_way)
    return peak


def _differs(name: str, said: object, counted: object) -> Iterator[str]:
    if said != counted:
        yield f"{name}: result.json has {said}, the rows {counted}"
