"""Connections are bounded, reused last in first out, and replaced when closed meanwhile."""

import attrs
import pytest

from flux.schemas import Flag
from tests.clients.wire.rig import (
    OK,
    Peer,
    answer_all,
    errors,
    flow_of,
    plan,
    resting,
    run_sync,
    serve,
    wire_client,
)


def _closing_after_one(peer: Peer, number: int) -> None:
    """Answers once; takes the next request only to close."""
    if peer.read_request():
        peer.send(OK)
        peer.read_request()


@pytest.mark.parametrize(
    ("method", "wanted"), [("GET", ["NONE", "NONE"]), ("POST", ["NONE", "CLOSED"])]
)
def test_a_stale_connection_is_replaced_once_if_the_method_is_idempotent(
    method: str, wanted: list[str]
) -> None:
    with serve(_closing_after_one) as server:
        one = flow_of(plan(method=method), plan(method=method, index=1))
        rows = run_sync(wire_client(server.settings), one)
    assert errors(rows) == wanted
    assert rows["retries"].tolist() == [0, 1 if method == "GET" else 0]
    assert server.accepted == (2 if method == "GET" else 1)


def test_a_new_connection_that_is_closed_is_no_reason_to_try_again() -> None:
    with serve(lambda peer, _: None) as server:
        rows = run_sync(wire_client(server.settings), flow_of(plan()))
    assert len(rows) == 1
    assert rows["retries"].tolist() == [0]
    assert server.accepted == 1


def test_idle_connections_that_were_closed_are_not_used() -> None:
    def script(peer: Peer, _: int) -> None:
        peer.read_request()
        peer.send(OK)

    with serve(script) as server:
        rows = run_sync(
            wire_client(server.settings), flow_of(plan(method="POST")), dues_ms=(0, 0, 60, 60)
        )
    assert errors(rows) == ["NONE"] * 4
    assert server.accepted == 4


def test_requests_beyond_the_most_connections_wait_for_one() -> None:
    with serve(answer_all()) as server:
        settings = attrs.evolve(server.settings, max_connections=2)
        rows = run_sync(wire_client(settings), flow_of(plan()), dues_ms=(0,) * 50)
    assert errors(rows) == ["NONE"] * 50
    assert server.accepted == 2
    assert sum((rows["flags"] & Flag.NEW_CONNECTION) != 0) == 2


def test_waiting_for_a_connection_ends_with_the_time_limit() -> None:
    def script(peer: Peer, _: int) -> None:
        peer.read_request()
        peer.wait_for_close()

    with serve(script) as server:
        settings = attrs.evolve(server.settings, max_connections=1)
        rows = run_sync(
            wire_client(settings), flow_of(plan(timeout_s=0.1)), dues_ms=(0, 1, 2), drain_s=2
        )
    assert errors(rows) == ["TIMEOUT"] * 3


def test_a_slow_target_meets_no_stampede() -> None:
    def script(peer: Peer, _: int) -> None:
        peer.read_request()
        peer.wait_for_close()

    with serve(script) as server:
        settings = attrs.evolve(server.settings, max_connections=10, max_connecting=2)
        rows = run_sync(wire_client(settings), flow_of(plan(timeout_s=0.1)), dues_ms=(0,) * 30)
    # A request whose connection is being opened when its time is over says so.
    assert set(errors(rows)) <= {"TIMEOUT", "CONNECT_TIMEOUT"}
    assert len(rows) == 30
    assert server.accepted <= 20


def test_a_full_queue_of_a_unix_socket_is_waited_for() -> None:
    with serve(answer_all(), unix=True, queue=1) as server:
        rows = run_sync(wire_client(server.settings), flow_of(plan()), dues_ms=(0,) * 100)
    assert errors(rows) == ["NONE"] * 100


def test_spare_connections_are_opened_ahead_of_need() -> None:
    with serve(answer_all()) as server:
        settings = attrs.evolve(server.settings, spare_connections=3)
        rows = run_sync(wire_client(settings), flow_of(plan()), dues_ms=(0, 20, 40, 60))
    assert errors(rows) == ["NONE"] * 4
    assert 3 <= server.accepted <= 4


def test_one_user_uses_one_connection() -> None:
    with serve(answer_all()) as server:
        rows = run_sync(
            wire_client(server.settings),
            flow_of(plan(), plan(index=1)),
            roster=((0, 7, 1),),
            habits=resting(count=20),
            holds_open=True,
        )
    assert server.accepted == 1
    assert len(rows) == 40
    assert rows["connect_ns"][0] > 0
    assert (rows["connect_ns"][1:] == 0).all()
    assert (rows["session"] == 7).all()
    assert (rows["start_ns"] <= rows["first_byte_ns"]).all()
    assert (rows["first_byte_ns"] <= rows["end_ns"]).all()
    assert (rows["due_ns"] <= rows["start_ns"]).all()


def test_the_last_connection_in_is_the_first_one_out() -> None:
    served: list[int] = []

    def script(peer: Peer, number: int) -> None:
        while peer.read_request():
            served.append(number)
            peer.send(OK)

    with serve(script) as server:
        run_sync(wire_client(server.settings), flow_of(plan()), dues_ms=(0, 0, 50, 70, 90))
    assert len(set(served[2:])) == 1
