"""Users of the wire client, kept and arriving: as by the reference driver, over real sockets."""

from typing import Any

import numpy as np
import pytest
import trio

from flux.clients.work import Limits
from flux.control import Control
from flux.flows.compile import compile_flow
from flux.flows.options import FlowOptions
from flux.habits import Habits
from flux.schemas import NOBODY, Flag, Rows
from tests.clients.wire.rig import (
    Peer,
    Script,
    answer_all,
    errors,
    flow_of,
    httpx_client_for,
    plan,
    resting,
    run_sync,
    serve,
    wire_client,
)
from tests.flows.building import steps_of

MS = 10**6
_FLOW = flow_of(plan(), plan(index=1))


def both(script: Script, **options: Any) -> tuple[Rows, Rows]:
    """The rows of the wire client, and the reference's."""
    flow = options.pop("flow", _FLOW)
    with serve(script) as server:
        by_wire = run_sync(wire_client(server.settings), flow, **options)
        by_httpx = run_sync(httpx_client_for(f"http://127.0.0.1:{server.port}"), flow, **options)
    return by_wire, by_httpx


def lives(rows: Rows) -> list[list[tuple[int, int, int]]]:
    """Of each user, its rows in order: step, error and flags, but not who opened connections."""
    opened = int(Flag.NEW_CONNECTION)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for row in rows[np.argsort(rows["end_ns"], kind="stable")]:
        life = found.setdefault(int(row["session"]), [])
        life.append((int(row["step"]), int(row["error"]), int(row["flags"]) & ~opened))
    return [found[user] for user in sorted(found)]


def begun_by(rows: Rows) -> list[int]:
    counts: list[int] = np.bincount(rows["session"][rows["flags"] & Flag.FIRST != 0]).tolist()
    return counts


def test_bounded_users_are_over_when_all_are_through_though_the_inbox_is_open() -> None:
    by_wire, by_httpx = both(
        answer_all(),
        roster=((0, 0, 1), (1, 1, 1), (2, NOBODY, 0)),
        habits=resting(5 * MS, iterations=3),
        holds_open=True,
    )
    assert lives(by_wire) == lives(by_httpx)
    assert begun_by(by_wire) == [3, 3]
    assert sorted(by_wire["seq"].tolist()) == sorted([*range(6), *range(6)])


def test_bounded_users_who_never_rest_end_too() -> None:
    by_wire, by_httpx = both(
        answer_all(),
        roster=((0, 0, 1), (0, NOBODY, 0)),
        habits=Habits(iterations=20),
        holds_open=True,
    )
    assert lives(by_wire) == lives(by_httpx)
    assert begun_by(by_wire) == [20]


def test_a_user_who_comes_back_goes_on_with_what_it_has_left() -> None:
    by_wire, by_httpx = both(
        answer_all(),
        roster=((0, 0, 1), (100, 0, -1), (150, 0, 1), (151, NOBODY, 0)),
        habits=resting(10**12, iterations=2),
        holds_open=True,
    )
    assert lives(by_wire) == lives(by_httpx)
    assert begun_by(by_wire) == [2]
    assert [bool(flags & Flag.AGAIN) for flags in by_wire["flags"].tolist()] == [
        *(False, False),
        *(True, False),
    ]


def test_who_is_told_to_leave_after_it_is_through_does_no_harm() -> None:
    by_wire, by_httpx = both(
        answer_all(), roster=((0, 0, 1), (200, 0, -1)), habits=resting(iterations=1)
    )
    assert lives(by_wire) == lives(by_httpx)
    assert begun_by(by_wire) == [1]


def test_an_iteration_is_due_when_the_rest_before_it_is_over() -> None:
    for rows in both(
        answer_all(),
        roster=((7, 0, 1),),
        habits=resting(20 * MS, iterations=3),
        flow=flow_of(plan()),
    ):
        assert rows["due_ns"].tolist() == [7 * MS, *(rows["end_ns"][:-1] + 20 * MS).tolist()]
        assert (rows["start_ns"] >= rows["due_ns"]).all()


VISITS = resting(5 * MS, iterations=3, are_arrivals=True)


def test_visitors_make_their_iterations_and_leave_by_themselves() -> None:
    roster = tuple((ms, user, 1) for user, ms in enumerate((0, 0, 3, 20, 60)))
    by_wire, by_httpx = both(answer_all(), roster=roster, habits=VISITS)
    assert lives(by_wire) == lives(by_httpx)
    assert begun_by(by_wire) == [3] * 5
    for rows in (by_wire, by_httpx):
        first = rows[(rows["flags"] & (Flag.FIRST | Flag.AGAIN)) == Flag.FIRST]
        assert sorted(first["due_ns"].tolist()) == [0, 0, 3 * MS, 20 * MS, 60 * MS]


def test_visits_without_rest_end_too() -> None:
    habits = Habits(iterations=5, are_arrivals=True)
    by_wire, by_httpx = both(answer_all(), roster=((0, 0, 1), (1, 1, 1)), habits=habits)
    assert lives(by_wire) == lives(by_httpx)
    assert begun_by(by_wire) == [5, 5]


def test_a_stay_ends_a_visit_in_its_rest() -> None:
    by_wire, by_httpx = both(
        answer_all(),
        roster=((0, 0, 1), (30, 1, 1)),
        habits=resting(10**12, stay_ns=50 * MS, are_arrivals=True),
    )
    assert lives(by_wire) == lives(by_httpx)
    assert begun_by(by_wire) == [1, 1]


def test_a_stay_bounds_visits_that_never_rest() -> None:
    habits = Habits(stay_ns=200 * MS, are_arrivals=True)
    for rows in both(answer_all(), roster=((0, 0, 1), (30, 1, 1)), habits=habits):
        again = rows[rows["flags"] & Flag.AGAIN != 0]
        joined_ns = np.where(again["session"] == 0, 0, 30 * MS)
        assert (again["due_ns"] < joined_ns + 200 * MS).all()
        assert set(rows["session"].tolist()) == {0, 1}


def test_visitors_who_find_no_place_wait_or_are_dropped() -> None:
    roster = ((0, 0, 1), (1, 1, 1))
    slow = resting(100 * MS, iterations=2, are_arrivals=True)
    by_wire, by_httpx = both(
        answer_all(), roster=roster, habits=slow, limits=Limits(max_in_flight=1)
    )
    assert lives(by_wire) == lives(by_httpx)
    held = by_wire[by_wire["flags"] & Flag.HELD != 0]
    assert held["session"].tolist() == [1]
    assert (held["start_ns"] - held["due_ns"] > 90 * MS).all()
    limits = Limits(max_in_flight=1, on_late="drop")
    by_wire, by_httpx = both(answer_all(), roster=roster, habits=slow, limits=limits)
    assert lives(by_wire) == lives(by_httpx)
    assert sorted(errors(by_wire)) == ["DROPPED", *["NONE"] * 4]
    assert len({*by_wire["seq"].tolist()}) == 3


async def _stop_soon(control: Control) -> None:
    await trio.sleep(0.1)
    control.stop()


def test_a_stop_sends_visitors_home_and_cancels_who_is_not_due() -> None:
    by_wire, by_httpx = both(
        answer_all(),
        roster=((0, 0, 1), (60_000, 1, 1), (60_001, 2, 1)),
        habits=resting(10**12, iterations=5, are_arrivals=True),
        steer=_stop_soon,
        holds_open=True,
    )
    assert lives(by_wire) == lives(by_httpx)
    assert errors(by_wire) == ["NONE", "NONE", "CANCELLED", "CANCELLED"]
    assert by_wire["session"].tolist() == [0, 0, 1, 2]


def _hanging(peer: Peer, _: int) -> None:
    peer.read_request()
    peer.wait_for_close()


def test_visitors_who_do_not_end_in_time_are_aborted() -> None:
    by_wire, by_httpx = both(
        _hanging,
        flow=flow_of(plan(timeout_s=100)),
        roster=((0, 0, 1), (0, 1, 1)),
        habits=VISITS,
        steer=_stop_soon,
        drain_s=0.05,
    )
    assert lives(by_wire) == lives(by_httpx)
    assert errors(by_wire) == ["ABORTED", "ABORTED"]


@pytest.mark.parametrize("identity", ["user", "iteration"])
def test_what_a_target_sees_of_who_comes_back(identity: Any) -> None:
    """Real flows: the name of a user, and the cookie that it was given."""
    seen: list[tuple[bytes, bytes]] = []

    def script(peer: Peer, _: int) -> None:
        while request := peer.read_request():
            lines = request.split(b"\r\n")
            cookies = [line.split(b" ")[1] for line in lines if line.lower().startswith(b"cookie")]
            name = lines[0].split(b" ")[1]
            seen.append((name, b"".join(cookies)))
            peer.send(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: is=%b\r\nContent-Length: 0\r\n\r\n" % name[1:]
            )

    options = FlowOptions(let={"name": "{{random.text(8)}}"}, identity=identity)
    flow = compile_flow(steps_of('get = "/{{name}}"'), seed=1, defaults=options)
    roster = ((0, 0, 1), (0, 1, 1))
    habits = resting(5 * MS, iterations=3, are_arrivals=True)
    for rows in both(script, flow=flow, roster=roster, habits=habits):
        assert errors(rows) == ["NONE"] * 6
    names = [name for name, _ in seen]
    if identity == "user":  # two users, each three times, and the same for the second client
        assert sorted(names) == sorted([*set(names)] * 6)
        assert len(set(names)) == 2
        assert [bool(cookie) for _, cookie in seen].count(False) == 4
        assert all(cookie in (b"", b"is=" + name[1:]) for name, cookie in seen)
    else:
        assert len(set(names)) == 6
        assert {cookie for _, cookie in seen} == {b""}
