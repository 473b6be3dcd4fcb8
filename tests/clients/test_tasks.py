"""How the driver of one task per session writes its rows, with a target of the test's own."""

import pathlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import attrs
import numpy as np
import pytest
import trio

from flux.clients.exchange import Exchange, Exchanger
from flux.clients.outcome_log import OutcomeLog
from flux.clients.tasks import drive
from flux.clients.work import Limits, Work
from flux.clock import Clock
from flux.flows.actions import (
    Action,
    End,
    Flow,
    Pause,
    RequestPlan,
    Result,
    Send,
    Session,
    Text,
)
from flux.schemas import ARRIVAL, OUTCOME, ErrorCode, Flag, Rows, Schema
from flux.stage import Context, Inbox, Outbox
from tests.test_engine import pipeline_of, run_virtually

MS = 1_000_000

TEXT = """
    duration = "100ms"
    drain = "500ms"
    [[stage]]
    use = "constant"
    rate = "10/s"
    [[stage]]
    use = "null"
"""

PLAN = RequestPlan(
    index=0,
    name="early",
    method="GET",
    target=Text((b"/",)),
    headers=(),
    body=None,
    timeout_ns=10**9,
    wants_headers=False,
    wants_body=False,
    judge=lambda *_: ErrorCode.NONE,
)


def session(seq: int, user: int) -> Session:
    """A request, a pause of 5 ms, and two more requests."""
    result: Result | None = None
    for action in (Send(PLAN, ()), Pause(5 * MS), Send(PLAN, ()), Send(PLAN, ())):
        result = yield action
    end: Action = End(success=result is not None, skipped=0)
    yield end


@attrs.frozen
class Late:
    """A way to a target whose responses are complete 30 ms before anybody looks at them."""

    clock: Clock
    error: ErrorCode

    async def exchange(self, send: Send, exchange: Exchange) -> None:
        await trio.sleep(0.010)
        exchange.end_ns = self.clock.now_ns()
        await trio.sleep(0.030)
        exchange.status, exchange.error = 200, self.error


@attrs.frozen
class Connecting:
    """A way to a target that never accepts, with a nursery as trio has one in `open_tcp_stream`."""

    async def exchange(self, send: Send, exchange: Exchange) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)


@attrs.frozen
class Executor:
    """An executor over a way to a target, which is made when the clock is known."""

    accepts: ClassVar[tuple[Schema, ...]] = (ARRIVAL,)
    emits: ClassVar[Schema] = OUTCOME
    make_exchanger: Callable[[Clock], Exchanger]

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        flow, log = Flow((PLAN,), session), OutcomeLog(outbox)
        work = Work(context, inbox, ARRIVAL, flow, Limits(max_in_flight=10), log)

        @asynccontextmanager
        async def open_exchanger() -> AsyncIterator[Exchanger]:
            yield self.make_exchanger(context.run.clock)

        await drive(work, open_exchanger)


def run_over(make_exchanger: Callable[[Clock], Exchanger], tmp_path: pathlib.Path) -> Rows:
    pipeline = pipeline_of(TEXT, tmp_path).with_stage("null", Executor(make_exchanger))
    result, rows = run_virtually(pipeline)
    assert result.summary is not None
    assert result.summary.sessions.check() == []
    return np.sort(rows, order="start_ns")


def rows_of(error: ErrorCode, tmp_path: pathlib.Path) -> Rows:
    return run_over(lambda clock: Late(clock, error), tmp_path)


def test_a_response_ends_when_it_was_complete_not_when_its_task_had_a_turn(
    tmp_path: pathlib.Path,
) -> None:
    rows = rows_of(ErrorCode.NONE, tmp_path)
    assert ((rows["end_ns"] - rows["start_ns"]) / MS).tolist() == pytest.approx([10, 10, 10])


def test_what_follows_is_due_from_the_end_of_what_came_before(tmp_path: pathlib.Path) -> None:
    rows = rows_of(ErrorCode.NONE, tmp_path)
    first, second, third = rows.tolist()
    due, start, end = (OUTCOME.columns.index(name) for name in ("due_ns", "start_ns", "end_ns"))
    assert second[due] == first[end] + 5 * MS
    assert third[due] == second[end]
    # The tasks' turns were late, and that is shown as such.
    assert (second[start] - second[due]) / MS == pytest.approx(25)
    assert (third[start] - third[due]) / MS == pytest.approx(30)


def test_a_request_that_failed_ends_when_its_failure_is_known(tmp_path: pathlib.Path) -> None:
    rows = rows_of(ErrorCode.DECODE, tmp_path)
    assert ((rows["end_ns"] - rows["start_ns"]) / MS).tolist() == pytest.approx([40, 40, 40])


def test_a_session_that_is_cut_while_connecting_has_its_row(tmp_path: pathlib.Path) -> None:
    (row,) = run_over(lambda _: Connecting(), tmp_path)
    assert row["error"] == ErrorCode.ABORTED
    assert row["flags"] & Flag.FIRST
    assert row["flags"] & Flag.LAST
