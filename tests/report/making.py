"""Results for tests of reports: made by the code that writes real ones."""

import json
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from flux.report.grid import Grid
from flux.result_file import Document, result_document, result_text
from flux.schemas import OUTCOME, ErrorCode, Flag, Rows
from flux.summary import Finding, Mark, Verdict
from tests.outcomes import SECOND_NS, collect_all, make_context

HOSTILE = '<script>alert("x")</script><b onload=alert(1)>&amp;'
"""A name that breaks a page which does not escape it."""


def some_rows(count: int = 2000, length_s: int = 60) -> Rows:
    """Requests evenly over the time, of two steps; every 50th fails, every 500th takes long."""
    numbers = np.arange(count)
    rows = OUTCOME.empty(count)
    rows["seq"] = rows["session"] = numbers
    rows["step"] = numbers % 2
    rows["due_ns"] = numbers * (length_s * SECOND_NS // count)
    rows["start_ns"] = rows["due_ns"] + 100_000
    rows["end_ns"] = rows["start_ns"] + 5_000_000 + numbers % 7 * 1_000_000
    rows["end_ns"] += np.where(numbers % 500 == 499, 300_000_000, 0)
    rows["status"] = 200
    fails = numbers % 50 == 49
    rows["error"] = np.where(fails, int(ErrorCode.TIMEOUT), 0)
    good = int(Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS)
    rows["flags"] = np.where(fails, int(Flag.FIRST | Flag.LAST), good)
    return rows[np.argsort(rows["end_ns"], kind="stable")]


def document_of(
    rows: Rows | None = None,
    *,
    steps: Sequence[str] = ("health", "register"),
    targets: Sequence[str] = (),
    **changes: Any,
) -> Document:
    """What result.json says about a run with these rows, and with these changes to its summary."""
    found = some_rows() if rows is None else rows
    sessions = int(np.count_nonzero(found["flags"] & int(Flag.LAST)))
    summary = collect_all([found], steps=steps, planned=sessions, targets=targets)[-1]
    changed = attrs.evolve(summary, **changes)
    return dict(json.loads(result_text(result_document(changed, make_context().run))))


def grid_of(rows: Rows | None = None) -> Grid:
    """The grid of these rows."""
    return Grid().add_all([some_rows() if rows is None else rows])


def finding(*, is_fatal: bool) -> Finding:
    """Something that speaks against a run."""
    return Finding("lag p99 is 300 ms", is_fatal=is_fatal, remedy="use a faster machine")


def verdict(*, has_failed: bool) -> Verdict:
    """What became of a threshold on the response time."""
    return Verdict(
        metric="response",
        expect="p(95) < 250ms",
        scope="step register",
        judgement="failed" if has_failed else "passed",
        observed=3e8 if has_failed else 1e8,
        observed_text="300 ms",
        limit=2.5e8,
        unit="ns",
        samples=1000,
        first_failed_ns=7 * SECOND_NS if has_failed else None,
    )


def marks() -> tuple[Mark, ...]:
    """Two things that happened."""
    return (
        Mark(10 * SECOND_NS, "control", "rate set to 200/s"),
        Mark(40 * SECOND_NS, "health", f"target {HOSTILE} is down"),
    )
