"""The engine under virtual time: exact starts, conserved counts, and every way a run can end."""

import datetime
import pathlib
import textwrap
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from flux.clock import LiveClock
from flux.control import Control
from flux.engine import RunResult, run_pipeline
from flux.pipeline import Node, Pipeline, load
from flux.plan import make_plan
from flux.schemas import ARRIVAL, OUTCOME, Flag, Rows, Schema
from flux.stage import Context, Inbox, Run, Shard


@attrs.frozen
class Rowkeeper:
    """A sink that keeps every row."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    batches: list[Rows] = attrs.field(factory=list, eq=False)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        async for batch in inbox:
            self.batches.append(batch)

    @property
    def rows(self) -> Rows:
        return np.concatenate([np.zeros(0, OUTCOME.dtype), *self.batches])


@attrs.frozen
class Failing:
    """A sink that raises at its first row."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        async for _ in inbox:
            raise OSError(28, "No space left on device")


def pipeline_of(text: str, tmp_path: pathlib.Path) -> Pipeline:
    file = tmp_path / "test.toml"
    file.write_text(textwrap.dedent(text))
    return load(file, environment={})


def with_sink(pipeline: Pipeline, name: str, sink: Any) -> Pipeline:
    executor = pipeline.executors[0].name
    node = Node(name, name, "tests", sink, (executor,), OUTCOME, None)
    return attrs.evolve(pipeline, nodes=(*pipeline.nodes, node))


async def run_here(
    pipeline: Pipeline, *, shard: Shard | None = None, control: Control | None = None
) -> RunResult:
    run = Run(
        name=pipeline.name,
        seed=pipeline.settings.seed or 0,
        duration_ns=pipeline.settings.duration,
        tick_ns=pipeline.settings.tick,
        drain_ns=pipeline.settings.drain,
        started_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        clock=LiveClock(),
        shard=shard or Shard(),
        control=control or Control(),
    )
    return await run_pipeline(pipeline, run)


def run_virtually(
    pipeline: Pipeline, *, shard: Shard | None = None, control: Control | None = None
) -> tuple[RunResult, Rows]:
    keeper = Rowkeeper()

    async def main() -> RunResult:
        return await run_here(with_sink(pipeline, "keeper", keeper), shard=shard, control=control)

    result = trio.run(main, clock=MockClock(autojump_threshold=0))
    return result, keeper.rows


def planned(pipeline: Pipeline, shard: Shard | None = None) -> Rows:
    batches: list[Rows] = []
    make_plan(pipeline, seed=pipeline.settings.seed or 0, shard=shard, take=batches.append)
    return np.concatenate([np.zeros(0, ARRIVAL.dtype), *batches])


SHAPED = """
    duration = "20s"
    seed = 7
    [[stage]]
    use = "exponential"
    rate = "50/s"
    [[stage]]
    use = "ramp"
    up = "5s"
    down = "5s"
    [[stage]]
    use = "noise"
    amplitude = 0.3
    [[stage]]
    use = "null"
    service = "5ms"
"""

STALL = """
    duration = "60s"
    [[stage]]
    use = "constant"
    rate = "100/s"
    [[stage]]
    use = "null"
    service = "5ms"
    stall = { at = "20s", for = "10s" }
"""


def test_every_arrival_starts_at_its_due_time_exactly(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(SHAPED, tmp_path)
    result, rows = run_virtually(pipeline)
    rows = rows[np.argsort(rows["seq"])]
    arrivals = planned(pipeline)
    assert len(arrivals) > 600
    assert rows["seq"].tolist() == arrivals["seq"].tolist()
    assert rows["due_ns"].tolist() == arrivals["due_ns"].tolist()
    assert rows["start_ns"].tolist() == arrivals["due_ns"].tolist()
    assert (rows["end_ns"] - rows["start_ns"]).tolist() == [5_000_000] * len(rows)
    assert result.summary is not None
    assert result.summary.is_valid


def test_a_stalled_target_has_the_analytic_percentiles(tmp_path: pathlib.Path) -> None:
    # 100/s for 60 s; what is due in the 10 frozen seconds is answered 5 ms after the thaw, so of
    # 6000 responses 1000 are uniform on (0.005 s, 10.005 s] and 5000 take 5 ms.
    result, rows = run_virtually(pipeline_of(STALL, tmp_path))
    assert result.summary is not None
    response = result.summary.total.response
    assert len(rows) == 6000
    got = response.percentiles([50, 90, 95, 99, 100]) / 1e9
    assert got == pytest.approx([0.005, 4.005, 7.005, 9.405, 10.005], rel=2e-3)
    assert response.mean_ns / 1e9 == pytest.approx(0.839, abs=0.001)
    assert (rows["start_ns"] == rows["due_ns"]).all()


def test_conserves_every_arrival(tmp_path: pathlib.Path) -> None:
    result, rows = run_virtually(pipeline_of(SHAPED, tmp_path))
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert ledger.planned == ledger.started == ledger.succeeded == len(rows)
    assert not result.failures


@pytest.mark.parametrize("count", [2, 3])
def test_shards_make_up_the_whole(count: int, tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(SHAPED, tmp_path)
    _, whole = run_virtually(pipeline)
    parts = [run_virtually(pipeline, shard=Shard(index, count)) for index in range(count)]
    union = np.concatenate([rows for _, rows in parts])
    assert (np.sort(union, order="seq") == np.sort(whole, order="seq")).all()
    merged = [result.summary for result, _ in parts if result.summary is not None]
    whole_result, _ = run_virtually(pipeline)
    assert whole_result.summary is not None
    added = merged[0].merge(merged[1:])
    assert (added.total.response.counts == whole_result.summary.total.response.counts).all()


def test_drops_what_finds_no_place_and_says_so(tmp_path: pathlib.Path) -> None:
    # Two places, each taken for 1 s, at 10/s: two of ten start each second.
    pipeline = pipeline_of(
        """
        duration = "10s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "1s"
        max_in_flight = 2
        on_late = "drop"
        """,
        tmp_path,
    )
    result, rows = run_virtually(pipeline)
    assert result.summary is not None
    ledger = result.summary.sessions
    assert (ledger.planned, ledger.started, ledger.dropped) == (100, 20, 80)
    assert (rows["flags"] & Flag.DROPPED != 0).sum() == 80
    assert ledger.check() == []


def test_queued_sessions_are_marked_as_held(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        """
        duration = "1s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "200ms"
        max_in_flight = 1
        """,
        tmp_path,
    )
    _, rows = run_virtually(pipeline)
    rows = np.sort(rows, order="seq")
    assert rows["start_ns"].tolist() == [100_000_000 + 200_000_000 * k for k in range(10)]
    assert (rows["flags"] & Flag.HELD != 0).tolist() == [False] + [True] * 9
    assert (rows["end_ns"] - rows["due_ns"]).max() == 1_100_000_000


def test_who_waited_only_behind_others_is_marked_as_held_too(tmp_path: pathlib.Path) -> None:
    # Both places are taken at 0.15 s and come free together at 1.159 s. Whoever was due meanwhile
    # has waited for a place: not the generator made it late.
    pipeline = pipeline_of(
        """
        duration = "2s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "9ms"
        max_in_flight = 2
        stall = { at = "150ms", for = "1s" }
        """,
        tmp_path,
    )
    result, rows = run_virtually(pipeline)
    late = rows["start_ns"] > rows["due_ns"]
    assert late.sum() == 8
    assert ((rows["flags"] & Flag.HELD != 0) == late).all()
    assert result.summary is not None
    assert result.summary.is_valid


def test_gives_up_waiting_after_max_lag(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        """
        duration = "1s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "10s"
        max_in_flight = 1
        max_lag = "250ms"
        """,
        tmp_path,
    )
    result, rows = run_virtually(pipeline)
    assert result.summary is not None
    assert result.summary.sessions.dropped == 9
    dropped = rows[rows["flags"] & Flag.DROPPED != 0]
    assert (dropped["end_ns"] - dropped["due_ns"]).min() >= 250_000_000


def test_stopping_cancels_what_is_not_due_and_drains_the_rest(tmp_path: pathlib.Path) -> None:
    pipeline = with_sink(
        pipeline_of(
            """
            duration = "60s"
            [[stage]]
            use = "constant"
            rate = "10/s"
            [[stage]]
            use = "null"
            service = "3s"
            """,
            tmp_path,
        ),
        "keeper",
        keeper := Rowkeeper(),
    )
    control = Control()

    async def main() -> tuple[RunResult, float]:
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                await trio.sleep(10.05)
                control.stop()

            nursery.start_soon(stop)
            result = await run_here(pipeline, control=control)
            return result, trio.current_time()

    result, ended_s = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert ledger.started == ledger.succeeded == 100
    assert ledger.cancelled > 0
    assert ended_s == pytest.approx(13.0, abs=0.2)
    assert not (keeper.rows["flags"] & Flag.ABORTED).any()


def test_aborting_records_what_was_in_flight(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        """
        duration = "60s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "30s"
        """,
        tmp_path,
    )
    control = Control()
    keeper = Rowkeeper()

    async def main() -> RunResult:
        async with trio.open_nursery() as nursery:

            async def abort() -> None:
                await trio.sleep(5.05)
                control.stop()
                await trio.sleep(1)
                control.abort()

            nursery.start_soon(abort)
            return await run_here(with_sink(pipeline, "keeper", keeper), control=control)

    result = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert result.was_aborted
    assert result.summary is not None
    ledger = result.summary.sessions
    assert (ledger.started, ledger.aborted) == (50, 50)
    assert ledger.check() == []
    aborted = keeper.rows[keeper.rows["flags"] & Flag.ABORTED != 0]
    assert (aborted["end_ns"] == 6_050_000_000).all()


def test_aborting_at_once_loses_no_arrival(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        """
        duration = "60s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "30s"
        """,
        tmp_path,
    )
    control = Control()
    keeper = Rowkeeper()

    async def main() -> RunResult:
        async with trio.open_nursery() as nursery:

            async def abort() -> None:
                await trio.sleep(5.05)
                control.abort()

            nursery.start_soon(abort)
            return await run_here(with_sink(pipeline, "keeper", keeper), control=control)

    result = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert (ledger.started, ledger.aborted) == (50, 50)
    assert ledger.cancelled > 0
    assert len(keeper.rows) == ledger.planned


def test_the_drain_has_an_end(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        """
        duration = "1s"
        drain = "2s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "1h"
        """,
        tmp_path,
    )
    result, rows = run_virtually(pipeline)
    assert result.summary is not None
    assert result.summary.sessions.aborted == 10
    assert rows["end_ns"].max() <= 3_200_000_000


def test_a_failed_sink_is_named_and_costs_the_others_nothing(tmp_path: pathlib.Path) -> None:
    keeper = Rowkeeper()
    pipeline = with_sink(
        with_sink(pipeline_of(SHAPED, tmp_path), "full", Failing()), "keeper", keeper
    )

    async def main() -> RunResult:
        return await run_here(pipeline)

    result = trio.run(main, clock=MockClock(autojump_threshold=0))
    (failure,) = result.failures
    assert "stage 'full' (full, from tests) failed: OSError" in str(failure)
    assert result.was_stopped
    assert result.summary is not None
    assert result.summary.sessions.check() == []
    assert len(keeper.rows) == result.summary.sessions.planned


USERS = """
    duration = "10s"
    seed = 3
    [[stage]]
    use = "users"
    users = 10
    {keys}
    {shaper}
    [[stage]]
    use = "null"
    service = "110ms"
"""


def users_of(tmp_path: pathlib.Path, keys: str = "", shaper: str = "") -> Pipeline:
    return pipeline_of(USERS.format(keys=keys, shaper=shaper), tmp_path)


def test_users_begin_again_when_they_are_done(tmp_path: pathlib.Path) -> None:
    result, rows = run_virtually(users_of(tmp_path))
    assert result.summary is not None
    assert len(rows) == 10 * 91  # the 91st begins at 9.9 s
    assert (rows["start_ns"] == rows["due_ns"]).all()
    assert sorted(rows["seq"].tolist()) == list(range(910))
    assert np.bincount(rows["session"]).tolist() == [91] * 10
    assert result.summary.sessions.planned is None
    assert result.summary.sessions.check() == []


@pytest.mark.parametrize(
    ("keys", "iterations"),
    [('think = "400ms"', 20), ('pace = "900ms"', 12), ('pace = "50ms"', 91), ("count = 37", 3.7)],
)
def test_think_time_and_pace_space_iterations(
    keys: str, iterations: float, tmp_path: pathlib.Path
) -> None:
    _, rows = run_virtually(users_of(tmp_path, keys))
    assert len(rows) == 10 * iterations


def test_a_count_ends_a_run_that_has_no_duration(tmp_path: pathlib.Path) -> None:
    text = USERS.replace('duration = "10s"', "").format(keys="count = 37", shaper="")
    result, rows = run_virtually(pipeline_of(text, tmp_path))
    assert sorted(rows["seq"].tolist()) == list(range(37))
    assert not result.failures
    arrivals = """
        seed = 3
        [[stage]]
        use = "exponential"
        rate = "50/s"
        count = 37
        [[stage]]
        use = "null"
    """
    result, rows = run_virtually(pipeline_of(arrivals, tmp_path))
    assert len(rows) == 37
    assert not result.failures


def test_users_join_evenly_and_leave_after_their_flow(tmp_path: pathlib.Path) -> None:
    shaper = '[[stage]]\nuse = "ramp"\nup = "5s"\ndown = "5s"\n'
    text = USERS.replace("    ", "").format(keys="", shaper=shaper)
    file = tmp_path / "ramp.toml"
    file.write_text(text)
    _, rows = run_virtually(load(file, environment={}))
    first = [int(rows["start_ns"][rows["session"] == user].min()) for user in range(10)]
    assert first == [250_000_000 + 500_000_000 * user for user in range(10)]
    last = [int(rows["end_ns"][rows["session"] == user].max()) for user in range(10)]
    for user, end_ns in enumerate(last):
        leaves_ns = 10_000_000_000 - first[user]
        assert leaves_ns <= end_ns <= leaves_ns + 110_000_000


def test_pausing_plans_nothing_and_resuming_goes_on(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        """
        duration = "10s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        """,
        tmp_path,
    )
    control, keeper = Control(), Rowkeeper()

    async def main() -> RunResult:
        async with trio.open_nursery() as nursery:

            async def steer() -> None:
                await trio.sleep(2.95)
                control.pause()
                await trio.sleep(4)
                control.resume()

            nursery.start_soon(steer)
            return await run_here(with_sink(pipeline, "keeper", keeper), control=control)

    result = trio.run(main, clock=MockClock(autojump_threshold=0))
    due_s = np.sort(keeper.rows["due_ns"]) / 1e9
    assert result.summary is not None
    assert result.summary.sessions.planned == len(due_s) == 60
    assert not ((due_s > 3.3) & (due_s < 6.9)).any()


def test_scaling_multiplies_what_is_planned(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        """
        duration = "10s"
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        """,
        tmp_path,
    )
    control = Control()
    control.scale = 3.0
    result, _ = run_virtually(pipeline, control=control)
    assert result.summary is not None
    assert result.summary.sessions.planned == 300


QUEUE = """
    duration = "1s"
    drain = "{drain}"
    [[stage]]
    use = "constant"
    rate = "10/s"
    [[stage]]
    use = "null"
    service = "1s"
    max_in_flight = 1
"""


def test_a_queue_is_worked_off_until_the_drain_time_is_over(tmp_path: pathlib.Path) -> None:
    # Due at 0.1 s, 0.2 s …; the place is free at 0.1 s, 1.1 s, 2.1 s; the end is at 1 s + 2.5 s.
    text = QUEUE.format(drain="2500ms")
    result, rows = run_virtually(pipeline_of(text, tmp_path))
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert (ledger.started, ledger.succeeded, ledger.aborted) == (4, 3, 1)
    assert (ledger.dropped, ledger.cancelled) == (6, 0)
    assert rows["end_ns"].max() == 3_500_000_000
    assert not result.summary.is_valid


def test_a_queue_is_worked_off_to_its_end_if_there_is_time(tmp_path: pathlib.Path) -> None:
    text = QUEUE.format(drain="30s")
    result, rows = run_virtually(pipeline_of(text, tmp_path))
    assert result.summary is not None
    assert result.summary.sessions.succeeded == 10
    assert rows["end_ns"].max() == 10_100_000_000
