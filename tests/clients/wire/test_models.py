"""Open and closed model, limits, pauses, stop, abort and drain: as by the reference driver."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trio

from flux.clients.wire import poller
from flux.clients.wire.loop import origin_of
from flux.clients.wire.models import OpenModel
from flux.clients.work import Limits
from flux.clock import LiveClock
from flux.control import Control
from flux.flows.actions import Action, End, Pause, Send
from flux.schemas import ARRIVAL, Flag, Rows
from tests.clients.wire.rig import (
    OK,
    Peer,
    Script,
    answer_all,
    errors,
    flow_from,
    flow_of,
    httpx_client_for,
    plan,
    resting,
    run,
    run_sync,
    serve,
    wire_client,
)

_COLUMNS = ("seq", "session", "step", "skipped", "status", "error", "bytes_in", "bytes_out")


def _both(script: Script, flow: Any, **options: Any) -> tuple[Rows, Rows]:
    """The rows of the wire client, and the reference's."""
    with serve(script) as server:
        by_wire = run_sync(wire_client(server.settings), flow, **options)
        by_httpx = run_sync(httpx_client_for(f"http://127.0.0.1:{server.port}"), flow, **options)
    return by_wire, by_httpx


def _check_same(by_wire: Rows, by_httpx: Rows) -> None:
    for column in _COLUMNS:
        assert by_wire[column].tolist() == by_httpx[column].tolist(), column
    opened = int(Flag.NEW_CONNECTION)
    assert (by_wire["flags"] & ~opened).tolist() == (by_httpx["flags"] & ~opened).tolist()


def _slow(peer: Peer, _: int) -> None:
    while peer.read_request():
        time.sleep(0.05)
        peer.send(OK)


def _slower(peer: Peer, _: int) -> None:
    while peer.read_request():
        time.sleep(0.4)
        peer.send(OK)


def _mute(peer: Peer, _: int) -> None:
    peer.wait_for_close()


_FLOW = flow_of(plan(), plan(index=1, method="POST", body=b"four"), plan(index=2))


def test_sessions_of_the_open_model() -> None:
    _check_same(*_both(answer_all(), _FLOW, dues_ms=(0, 0, 1, 5, 5)))


def test_a_failing_step_ends_the_session() -> None:
    script = answer_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    by_wire, by_httpx = _both(script, _FLOW, dues_ms=(0, 1))
    _check_same(by_wire, by_httpx)
    assert by_wire["skipped"].tolist() == [2, 2]


def test_users_of_the_closed_model() -> None:
    by_wire, by_httpx = _both(
        answer_all(),
        _FLOW,
        roster=((0, 5, 1),),
        habits=resting(count=4, rest_ns=1_000_000),
        holds_open=True,
    )
    _check_same(by_wire, by_httpx)
    assert by_wire["seq"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_user_who_leaves_finishes_the_flow_and_cuts_the_rest_short() -> None:
    by_wire, by_httpx = _both(
        answer_all(),
        _FLOW,
        roster=((0, 0, 1), (100, 0, -1)),
        habits=resting(rest_ns=10**12),
    )
    _check_same(by_wire, by_httpx)
    assert len(by_wire) == 3


@pytest.mark.parametrize(
    ("gap_ns", "together_ns"),
    [(10_000, 10_100_000), (50_000, 10_100_000), (150_000, 10_000_000), (1_000_000, 10_000_000)],
)
async def test_starts_share_a_wake_up_only_where_they_come_thick(
    gap_ns: int, together_ns: int
) -> None:
    """Elsewhere it would make few wake-ups fewer, and the first of each pair late."""
    work: Any = SimpleNamespace(
        log=None,
        choice=None,
        limits=SimpleNamespace(max_in_flight=1, on_late="hold", max_lag_ns=None),
    )
    model = OpenModel(SimpleNamespace(homes=()), work)  # type: ignore[arg-type]
    arrivals = ARRIVAL.empty(100)
    arrivals["due_ns"] = 10_000_000 + np.arange(100) * gap_ns
    model.feed(arrivals)
    assert model.due_together_ns(100_000) == together_ns


def test_arrivals_beyond_the_most_in_flight_wait() -> None:
    limits = Limits(max_in_flight=1)
    by_wire, by_httpx = _both(_slow, flow_of(plan()), dues_ms=(0, 5, 10), limits=limits)
    _check_same(by_wire, by_httpx)
    assert [bool(flags & Flag.HELD) for flags in by_wire["flags"].tolist()] == [False, True, True]


def test_arrivals_beyond_the_most_in_flight_are_dropped() -> None:
    limits = Limits(max_in_flight=1, on_late="drop")
    by_wire, by_httpx = _both(_slow, flow_of(plan()), dues_ms=(0, 5, 10), limits=limits)
    _check_same(by_wire, by_httpx)
    assert errors(by_wire) == ["NONE", "DROPPED", "DROPPED"]


def test_arrivals_that_would_start_too_late_are_dropped() -> None:
    limits = Limits(max_in_flight=1, max_lag_ns=200_000_000)
    by_wire, by_httpx = _both(_slower, flow_of(plan()), dues_ms=(0, 5, 350), limits=limits)
    _check_same(by_wire, by_httpx)
    assert errors(by_wire) == ["NONE", "DROPPED", "NONE"]


def test_a_queue_that_does_not_move_is_dropped_when_the_drain_time_is_over() -> None:
    limits = Limits(max_in_flight=1)
    flow = flow_of(plan(timeout_s=100))
    by_wire, by_httpx = _both(
        _mute, flow, dues_ms=(0, 5, 10), limits=limits, ends_s=0.02, drain_s=0.1
    )
    _check_same(by_wire, by_httpx)
    assert errors(by_wire) == ["ABORTED", "DROPPED", "DROPPED"]


def _pausing() -> list[Action]:
    send = Send(_FLOW.plans[0], ())
    return [Pause(5_000_000), send, Pause(5_000_000), send, End(success=True, skipped=1)]


def test_pauses_are_kept_and_due_when_they_end() -> None:
    by_wire, by_httpx = _both(answer_all(), flow_from(_FLOW.plans, _pausing), dues_ms=(0, 2))
    _check_same(by_wire, by_httpx)
    starts = by_wire["due_ns"].tolist()
    assert starts[1] >= by_wire["end_ns"][0] + 5_000_000
    assert (by_wire["due_ns"] <= by_wire["start_ns"]).all()


def test_a_pause_that_is_cut_was_not_due_after_its_end() -> None:
    long: list[Action] = [Pause(60 * 10**9), Send(_FLOW.plans[0], ()), End(success=True, skipped=2)]
    by_wire, by_httpx = _both(
        answer_all(), flow_from(_FLOW.plans, lambda: long), steer=_abort_at_once, holds_open=True
    )
    _check_same(by_wire, by_httpx)
    for rows in (by_wire, by_httpx):
        assert errors(rows) == ["ABORTED"]
        assert (rows["due_ns"] <= rows["end_ns"]).all()


async def _stop_at_once(control: Control) -> None:
    await trio.sleep(0.1)
    control.stop()


async def _abort_at_once(control: Control) -> None:
    await trio.sleep(0.05)
    control.abort()


async def _stop_then_abort(control: Control) -> None:
    await trio.sleep(0.1)
    control.stop()
    await trio.sleep(0.05)
    control.abort()


def _never(peer: Peer, _: int) -> None:
    if peer.read_request():
        peer.send(OK)
    peer.wait_for_close()


def test_a_stop_cancels_what_has_not_started_and_drains_the_rest() -> None:
    by_wire, by_httpx = _both(
        answer_all(), _FLOW, dues_ms=(0, 1, 60_000, 60_001), steer=_stop_at_once, holds_open=True
    )
    _check_same(by_wire, by_httpx)
    assert errors(by_wire)[-2:] == ["CANCELLED", "CANCELLED"]


@pytest.mark.parametrize(
    ("steer", "drain_s"), [(_stop_at_once, 0.05), (_stop_then_abort, 60.0)], ids=["drain", "abort"]
)
def test_what_does_not_end_in_time_is_aborted(steer: Any, drain_s: float) -> None:
    flow = flow_of(plan(timeout_s=100), plan(index=1, timeout_s=100))
    by_wire, by_httpx = _both(
        _never, flow, dues_ms=(0, 0), steer=steer, drain_s=drain_s, holds_open=True
    )
    _check_same(by_wire, by_httpx)
    assert errors(by_wire) == ["NONE", "ABORTED"] * 2


def test_an_abort_cancels_what_has_not_started() -> None:
    flow = flow_of(plan(timeout_s=100), plan(index=1, timeout_s=100))
    with serve(_never) as server:
        rows = run_sync(
            wire_client(server.settings),
            flow,
            dues_ms=(0, 60_000),
            steer=_abort_at_once,
            holds_open=True,
        )
    assert errors(rows) == ["NONE", "ABORTED", "CANCELLED"]


def test_a_session_in_a_pause_is_aborted_too() -> None:
    def actions() -> list[Action]:
        return [Send(_FLOW.plans[0], ()), Pause(10**12), End(success=True, skipped=0)]

    flow = flow_from(_FLOW.plans, actions)
    with serve(answer_all()) as server:
        rows = run_sync(wire_client(server.settings), flow, drain_s=0.1)
    assert errors(rows) == ["NONE", "ABORTED"]
    assert rows["step"].tolist() == [0, -1]
    assert rows["status"].tolist() == [200, 0]


def test_users_are_stopped_and_aborted() -> None:
    with serve(_never) as server:
        rows = run_sync(
            wire_client(server.settings),
            flow_of(plan(timeout_s=100)),
            roster=((0, 0, 1), (0, 1, 1)),
            habits=resting(),
            steer=_stop_then_abort,
            holds_open=True,
        )
    assert errors(rows) == ["NONE", "NONE", "ABORTED", "ABORTED"]


def test_a_user_whose_flow_asks_for_nothing_does_not_stop_the_others() -> None:
    flow = flow_from((), lambda: [End(success=True, skipped=0)])
    with serve(answer_all()) as server:
        rows = run_sync(
            wire_client(server.settings),
            flow,
            roster=((0, 0, 1),),
            habits=resting(),
            steer=_stop_at_once,
            holds_open=True,
        )
    assert len(rows) == 0


async def test_cancelling_leaves_nothing_open() -> None:
    with serve(_never) as server:
        with trio.move_on_after(0.1) as scope:
            await run(
                wire_client(server.settings), flow_of(plan(timeout_s=100)), (0, 0), holds_open=True
            )
        assert scope.cancelled_caught


async def test_other_tasks_live_while_requests_are_made() -> None:
    turns = 0

    async def live(_: Control) -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    with serve(answer_all()) as server:
        await run(
            wire_client(server.settings),
            flow_of(plan()),
            roster=((0, 0, 1),),
            habits=resting(count=500),
            steer=live,
            holds_open=True,
        )
    assert turns > 5


async def test_the_clock_of_the_loop_is_the_clock_of_the_run() -> None:
    clock = LiveClock()
    now_ns = time.perf_counter_ns() - origin_of(clock)
    assert abs(clock.now_ns() - now_ns) < 5_000_000


@pytest.fixture
def _without_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flux.clients.wire.loop.open_poller", poller.SelectPoller)


@pytest.mark.usefixtures("_without_epoll")
def test_everything_works_without_epoll() -> None:
    by_wire, by_httpx = _both(
        answer_all(), flow_from(_FLOW.plans, _pausing), dues_ms=(0, 1, 2, 30, 31)
    )
    _check_same(by_wire, by_httpx)
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
    _check_same(*_both(answer_all(large), _FLOW, dues_ms=(0, 1)))
