"""`pacer` releases each arrival just before it is due, and nothing after the end."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from flux.control import Control
from flux.release import TICKS_AHEAD
from flux.schemas import Rows
from flux.stage import Shard
from flux.testing import plan_arrivals
from tests.stages.driving import SECOND, TICK_NS, context_of, demand_of, drive, rows_of
from tests.stages.loading import load, load_sample

RATE_PER_S = 40.0


def released(text: str, use: str = "exponential", **context: Any) -> list[tuple[int, Rows]]:
    """When which arrivals of a generator are let through, under virtual time."""

    async def main() -> list[tuple[int, Rows]]:
        source = load(use, f'rate = "{RATE_PER_S:g}/s"\n{text}')
        told = context_of(source, **context)
        return await drive(load_sample("pacer"), told, list(demand_of(source, told, RATE_PER_S)))

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def test_releases_what_is_planned() -> None:
    source = load("exponential", f'rate = "{RATE_PER_S:g}/s"')
    planned = plan_arrivals([source], 2 * SECOND)
    assert rows_of(released("")).tolist() == planned.tolist()


def test_releases_arrivals_two_ticks_before_their_tick_begins() -> None:
    for sent_ns, rows in released("", "constant"):
        tick_ns = (int(rows["due_ns"][0]) - 1) // TICK_NS * TICK_NS
        assert sent_ns == pytest.approx(max(0, tick_ns - TICKS_AHEAD * TICK_NS), abs=1)
        assert int(rows["due_ns"][-1]) <= tick_ns + TICK_NS


def test_ends_with_the_count_and_does_not_wait_for_the_rest() -> None:
    found = released("count = 10")
    rows = rows_of(found)
    assert rows["seq"].tolist() == list(range(10))
    assert found[-1][0] < rows["due_ns"][-1] < SECOND


def test_releases_nothing_once_the_run_is_stopped() -> None:
    control = Control()
    control.stop()
    assert released("", control=control) == []


def test_a_shard_has_its_own_arrivals_only() -> None:
    whole = rows_of(released(""))
    parts = [rows_of(released("", shard=Shard(index, 3))) for index in range(3)]
    assert [set(part["seq"] % 3) for part in parts] == [{0}, {1}, {2}]
    assert sum(map(len, parts)) == len(whole)


def test_sends_no_empty_batches() -> None:
    assert all(len(rows) for _, rows in released("", shard=Shard(0, 30)))
