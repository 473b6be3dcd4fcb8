"""`null` answers from its model, the same for the same seed, however the work is shared."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from flux.schemas import ROSTER, ErrorCode, Flag, Rows
from flux.stage import Shard
from tests.stages.driving import (
    arrivals_at,
    context_of,
    drive,
    rows_of,
    users_for,
)
from tests.stages.loading import load, load_sample, problems

MS = 10**6
DUE_S = [k / 100 for k in range(200)]


def outcomes(text: str, arrivals: Rows, **context: Any) -> Rows:
    """What becomes of these arrivals, under virtual time."""

    async def main() -> Rows:
        told = context_of(load("constant", 'rate = "1/s"'), **context)
        return rows_of(await drive(load("null", text), told, [arrivals]))

    return trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("use", ["null", "http"])
def test_a_lag_of_nothing_would_drop_every_arrival_and_is_refused(use: str) -> None:
    text = 'target = "http://127.0.0.1"\nstep = [{ get = "/" }]\n' if use == "http" else ""
    assert problems(use, f'{text}max_lag = "0ms"') == ["max_lag must be greater than 0"]


def test_the_sample_takes_five_milliseconds() -> None:
    assert load_sample("null").ends_at(100 * MS) == 105 * MS


@pytest.mark.parametrize(
    ("start_ms", "end_ms"),
    [
        (0, 30),  # over before the freeze
        (70, 100),  # over as it begins
        (80, 310),  # 20 ms done, 10 ms left after the thaw
        (100, 330),  # begun as it freezes
        (200, 330),  # begun while frozen
        (300, 330),  # begun as it thaws
        (400, 430),
    ],
)
def test_a_frozen_target_answers_after_the_thaw_with_the_rest_to_go(
    start_ms: int, end_ms: int
) -> None:
    stage = load("null", 'service = "30ms"\nstall = { at = "100ms", for = "200ms" }')
    assert stage.ends_at(start_ms * MS) == end_ms * MS


def test_requests_do_not_wait_for_each_other() -> None:
    rows = outcomes('service = "1s"', arrivals_at(0.1, 0.1, 0.2))
    assert sorted(rows["end_ns"].tolist()) == [1100 * MS, 1100 * MS, 1200 * MS]
    assert set(rows["status"]) == {200}


def test_as_many_fail_as_asked_for_with_503() -> None:
    rows = outcomes("failures = 0.25", arrivals_at(*DUE_S))
    failed = rows[rows["status"] == 503]
    # 200 draws: mean 50, standard deviation 6.1; the seed is fixed, so this holds always or never.
    assert 30 < len(failed) < 70
    assert set(failed["error"]) == {ErrorCode.STATUS}
    assert not (failed["flags"] & (Flag.SUCCESS | Flag.SESSION_SUCCESS)).any()
    assert set(rows["status"]) == {200, 503}


def test_which_requests_fail_depends_on_seed_and_number_only() -> None:
    def failed(arrivals: Rows, **context: Any) -> set[int]:
        rows = outcomes("failures = 0.25", arrivals, **context)
        return set(rows["seq"][rows["status"] == 503].tolist())

    arrivals = arrivals_at(*DUE_S)
    whole = failed(arrivals)
    parts = [failed(arrivals[index::2], shard=Shard(index, 2)) for index in range(2)]
    assert parts[0] | parts[1] == whole
    assert failed(arrivals, seed=8) != whole


@pytest.mark.parametrize(("share", "status"), [("0", 200), ("1", 503)])
def test_none_and_all_are_exact(share: str, status: int) -> None:
    assert set(outcomes(f"failures = {share}", arrivals_at(*DUE_S))["status"]) == {status}


def test_users_are_answered_too() -> None:
    async def main() -> Rows:
        source = load("users", "users = 3\ncount = 6")
        told = context_of(source, given=ROSTER)
        stage = load("null", 'service = "10ms"')
        return rows_of(await drive(stage, told, [users_for(1, 3)]))

    rows = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert sorted(rows["seq"].tolist()) == list(range(6))
    assert set(rows["session"].tolist()) == {0, 1, 2}
    assert (rows["due_ns"] == rows["start_ns"]).all()
    assert rows["end_ns"].max() == 20 * MS


def test_wrong_tables_are_told_why() -> None:
    assert problems("null", "failures = 1.5") == ["failures must be at least 0 and at most 1"]
    assert problems("null", "max_in_flight = 0") == ["max_in_flight must be at least 1"]
    assert problems("null", 'on_late = "wait"') == ['on_late must be one of "queue", "drop"']
    assert problems("null", 'stall = { at = "1s" }') == ["stall.for is required"]
    assert problems("null", "service = 5") == ['service must be a duration, as in "30s"']
