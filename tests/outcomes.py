"""OUTCOME rows for tests of what measures them."""

import datetime
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import trio
from hypothesis import strategies as st

from flux.clock import Clock, PlannedClock
from flux.collection import Collection
from flux.schemas import OUTCOME, ErrorCode, Flag, Rows
from flux.stage import Context, Run
from flux.summary import Summary

SECOND_NS = 10**9
STEPS = ("login", "list", "buy")
TARGETS = ("blue", "green")
STARTED_AT = datetime.datetime(2026, 1, 5, 8, 30, tzinfo=datetime.UTC)

REQUEST_FLAGS = (
    Flag.FIRST | Flag.SUCCESS,
    Flag.FIRST | Flag.HELD | Flag.SUCCESS,
    Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS,
    Flag.FIRST | Flag.LAST | Flag.NEW_CONNECTION,
    Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS | Flag.NEW_CONNECTION,
    Flag.LAST | Flag.SESSION_SUCCESS,
    Flag.LAST | Flag.ABORTED,
    Flag.FIRST | Flag.LAST | Flag.ABORTED,
    Flag.SUCCESS,
    Flag(0),
)


def request(
    due_ns: int = 0,
    end_ns: int | None = None,
    flags: Flag = Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS,
    **columns: int,
) -> dict[str, int]:
    """One row by column; it starts when it is due, and ends 5 ms later unless told otherwise."""
    start_ns = columns.get("start_ns", due_ns)
    end_ns = start_ns + 5_000_000 if end_ns is None else end_ns
    row = {"due_ns": due_ns, "start_ns": start_ns, "end_ns": end_ns, "flags": int(flags)}
    return {"first_byte_ns": end_ns, "status": 200, **row, **columns}


def not_started(due_ns: int, flag: Flag) -> dict[str, int]:
    """The row of an arrival that was dropped, withheld or cancelled."""
    error = ErrorCode[str(flag.name)]
    times = {"due_ns": due_ns, "start_ns": due_ns, "end_ns": due_ns}
    return {**times, "step": -1, "error": int(error), "flags": int(flag)}


def as_rows(rows: Sequence[dict[str, int]]) -> Rows:
    """A batch of rows given by column; what is not given is 0."""
    return OUTCOME.rows(tuple(row.get(name, 0) for name in OUTCOME.columns) for row in rows)


@st.composite
def row_dicts(draw: st.DrawFn) -> dict[str, int]:
    """Any row that an executor may send, in the first five seconds."""
    due_ns = draw(st.integers(0, 4 * SECOND_NS))
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return not_started(
            due_ns, draw(st.sampled_from([Flag.DROPPED, Flag.WITHHELD, Flag.CANCELLED]))
        )
    start_ns = due_ns + draw(st.integers(0, 200_000_000))
    end_ns = start_ns + draw(st.integers(0, SECOND_NS))
    if kind == 1:
        flags = Flag.LAST | Flag.ABORTED | draw(st.sampled_from([Flag(0), Flag.FIRST]))
        times = {"due_ns": due_ns, "start_ns": end_ns, "end_ns": end_ns}
        return {**times, "step": -1, "error": int(ErrorCode.ABORTED), "flags": int(flags)}
    return request(
        due_ns,
        end_ns,
        draw(st.sampled_from(REQUEST_FLAGS)),
        start_ns=start_ns,
        step=draw(st.integers(0, len(STEPS) - 1)),
        first_byte_ns=draw(st.sampled_from([0, (start_ns + end_ns) // 2])),
        connect_ns=draw(st.sampled_from([0, 1_000_000])),
        tls_ns=draw(st.sampled_from([0, 2_000_000])),
        status=draw(st.sampled_from([0, 200, 503])),
        error=draw(st.sampled_from([ErrorCode.NONE, ErrorCode.STATUS, ErrorCode.TIMEOUT])),
        bytes_out=draw(st.integers(0, 1000)),
        bytes_in=draw(st.integers(0, 1000)),
        retries=draw(st.sampled_from([0, 0, 2])),
        skipped=draw(st.sampled_from([0, 0, 1])),
        target=draw(st.sampled_from([0, 0, 1])),
    )


row_lists = st.lists(row_dicts(), max_size=25)


def stalled_rows() -> Rows:
    """100 sessions per second, evenly, for 60 s; 5 ms of service; nobody is answered in [20, 30) s.

    The 1000 sessions due in the stall all end at 30.005 s, as they were started when they were due.
    """
    due_ns = np.arange(6000) * 10_000_000
    is_stalled = (due_ns >= 20 * SECOND_NS) & (due_ns < 30 * SECOND_NS)
    rows = OUTCOME.empty(due_ns.size)
    rows["seq"] = rows["session"] = np.arange(due_ns.size)
    rows["due_ns"] = rows["start_ns"] = due_ns
    rows["end_ns"] = np.where(is_stalled, 30 * SECOND_NS, due_ns) + 5_000_000
    rows["first_byte_ns"] = rows["end_ns"]
    rows["status"] = 200
    rows["flags"] = int(Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS)
    return rows[np.argsort(rows["end_ns"], kind="stable")]


def collect_all(
    batches: Sequence[Rows],
    *,
    steps: Sequence[str] = STEPS,
    planned: int | None = None,
    interval_ns: int = SECOND_NS,
    targets: Sequence[str] = (),
    end_ns: int = 0,
) -> list[Summary]:
    """The summaries of all intervals, and the final one, of a run that was to end then."""
    collection = Collection(steps, interval_ns, targets=targets)
    for batch in batches:
        collection.add(batch)
    return list(collection.finish(end_ns, planned))


def final_of(rows: Sequence[dict[str, int]], **options: Any) -> Summary:
    """The final summary of these rows."""
    return collect_all([as_rows(rows)], **options)[-1]


def make_context(
    *,
    clock: Clock | None = None,
    folder: pathlib.Path | None = None,
    planned: Callable[[], int | None] = lambda: None,
    open_sessions: Callable[[], int | None] = lambda: None,
    steps: Sequence[str] = STEPS,
    duration_ns: int | None = None,
) -> Context:
    """What the engine would tell a stage."""
    run = Run(
        name="checkout",
        seed=7,
        duration_ns=duration_ns,
        tick_ns=100_000_000,
        drain_ns=0,
        started_at=STARTED_AT,
        clock=clock or PlannedClock(),
        folder=folder,
        planned=planned,
        open_sessions=open_sessions,
    )
    return Context(run, "collect", steps=tuple(steps))


async def run_collector(stage: Any, context: Context, batches: Sequence[Rows]) -> list[Summary]:
    """What a collector sends for these batches."""
    outbox, results = trio.open_memory_channel[Any](float("inf"))
    sender, inbox = trio.open_memory_channel[Any](float("inf"))
    async with sender:
        for batch in batches:
            await sender.send(batch)
    async with outbox:
        await stage.run(context, inbox, outbox)
    return [summary async for summary in results]
