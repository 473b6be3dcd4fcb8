"""The laws themselves: each is broken here, and says so."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.laws import Expected, broken_laws

NAMES = ("seq", "session", "step", "due_ns", "start_ns", "first_byte_ns", "end_ns", "status")


def row(seq: int, step: str, times_ms: tuple[int, int, int], flags: str, error: str = "") -> Any:
    due, start, end = times_ms
    times = {"due_ns": due, "start_ns": start, "first_byte_ns": end, "end_ns": end}
    return {
        "seq": str(seq),
        "session": str(seq),
        "step": step,
        "error": error,
        "flags": flags,
        **{name: str(value * 1_000_000) for name, value in times.items()},
        "status": "200" if step and not error else "0",
    }


def make() -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Three arrivals: one of two requests that succeeded, one that failed, one dropped."""
    rows = [
        row(0, "a", (0, 0, 5), "first|success"),
        row(0, "b", (5, 6, 9), "last|success|session_success"),
        row(1, "a", (10, 10, 15), "first|last", "timeout"),
        row(2, "", (20, 21, 21), "dropped", "dropped"),
    ]
    sessions = {"planned": 3, "started": 2, "dropped": 1, "cancelled": 0, "lost": 0}
    sessions |= {"succeeded": 1, "failed": 1, "aborted": 0}
    series = {"requests": 3, "successes": 2, "failures": 1}
    series |= {"started": 2, "dropped": 1, "cancelled": 0}
    result = {
        "complete": True,
        "Total": 3,
        "Success": 2,
        "Failure": 1,
        "sessions": sessions,
        "errors": {"timeout": 1},
        "statuses": {"200": 2, "0": 1},
        "latency": {"response": {"count": 3}},
        "series": [series],
        "validity": {"findings": []},
    }
    return result, rows


PLAN = {0: 0, 1: 10_000_000, 2: 20_000_000}

EXPECTED = Expected(plan=PLAN, was_stopped=False, max_in_flight=1, may_drop=True)

Change = Callable[[dict[str, Any], list[dict[str, str]]], object]

BROKEN: dict[str, Change] = {
    "planned 4, but 3 are known": lambda result, _: result["sessions"].update(planned=4),
    "started 2, but 3 ended": lambda result, _: result["sessions"].update(failed=2),
    "is not complete": lambda result, _: result.update(complete=False),
    "says so itself": lambda result, _: result["validity"].update(
        findings=[{"text": "sessions got lost: planned 4"}]
    ),
    "sessions dropped: result.json has 1, the rows 2": lambda _, rows: rows.append(rows[3]),
    "Total: result.json has 3, the rows 2": lambda _, rows: rows.pop(1),
    "arrival 0 has 2 first": lambda _, rows: rows.append(rows[0]),
    "session 0 has 1 first and 0 last": lambda _, rows: rows[1].update(flags="success"),
    "errors: ": lambda _, rows: rows[2].update(error="reset"),
    "statuses: ": lambda _, rows: rows[0].update(status="201"),
    "responses: ": lambda result, _: result["latency"].update(response={"count": 2}),
    "series requests: ": lambda result, _: result["series"][0].update(requests=2),
    "times are out of order": lambda _, rows: rows[0].update(end_ns="-1"),
    "started before it was due": lambda _, rows: rows[2].update(start_ns="1000000"),
    "due before the one before it had ended": lambda _, rows: rows[1].update(due_ns="4000000"),
    "seqs have gaps: [1]": lambda _, rows: rows.pop(2),
    "arrival 1 is due at 7, planned at 10000000": lambda _, rows: rows[2].update(due_ns="7"),
    "2 sessions at once": lambda _, rows: rows[2].update(start_ns="8000000", due_ns="8000000"),
}


def test_a_run_that_keeps_the_laws_breaks_none() -> None:
    assert broken_laws(*make(), EXPECTED) == []


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_law_is_told(text: str) -> None:
    result, rows = copy.deepcopy(make())
    BROKEN[text](result, rows)
    found = broken_laws(result, rows, EXPECTED)
    assert any(text in one for one in found), found


def test_fewer_arrivals_than_planned_are_told_unless_the_run_was_stopped() -> None:
    plan = PLAN | {3: 30_000_000}
    (problem,) = broken_laws(*make(), Expected(plan=plan, was_stopped=False, may_drop=True))
    assert problem == "arrivals: result.json has 3, the rows 4"
    assert broken_laws(*make(), Expected(plan=plan, was_stopped=True, may_drop=True)) == []


def test_a_drop_before_the_end_of_the_drain_time_needs_a_reason() -> None:
    late, early = (
        Expected(plan=PLAN, was_stopped=False, drained_ns=time_ns)
        for time_ns in (21_000_000, 22_000_000)
    )
    assert broken_laws(*make(), late) == []
    (problem,) = broken_laws(*make(), early)
    assert problem.startswith("it was dropped though there was still time")
