"""Pools of worker processes: the same run on more cores, and every way in which it can end."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from functools import partial

import numpy as np
import pytest
import trio

from flux.engine import run_pipeline
from flux.errors import FluxError, UsageError
from flux.pipeline import Pipeline
from flux.plan import make_plan
from flux.schemas import ErrorCode, Flag, Rows
from flux.stage import Run, Shard
from flux.workers.keys import ONE, Processes
from flux.workers.opening import open_workers
from tests.workers.running import is_alive, pids, pipeline_of, planned_columns, run_live
from tests.workers.stages import Broken, Executor, Unreadable

OPEN = """
    duration = "700ms"
    seed = 3
    [[stage]]
    use = "exponential"
    rate = "400/s"
    [[stage]]
    use = "ramp"
    up = "300ms"
    [[stage]]
    use = "null"
    service = "2ms"
    processes = {processes}
    {keys}
"""

CLOSED = """
    duration = "800ms"
    seed = 3
    [[stage]]
    use = "users"
    users = 5
    think = "40ms"
    [[stage]]
    use = "null"
    service = "10ms"
    processes = 2
"""


def open_of(tmp_path: pathlib.Path, processes: object, keys: str = "") -> Pipeline:
    return pipeline_of(OPEN.format(processes=processes, keys=keys), tmp_path)


async def plan_of(pipeline: Pipeline) -> list[tuple[int, int]]:
    """seq and due time of every arrival of the whole run."""
    batches: list[Rows] = []
    plan = partial(make_plan, pipeline, seed=3, take=batches.append)
    await trio.to_thread.run_sync(plan)  # it has a loop of its own
    return [one for batch in batches for one in batch.tolist()]


def planned_in(rows: Rows) -> list[tuple[int, int]]:
    """The same of rows."""
    return list(zip(rows["seq"].tolist(), rows["due_ns"].tolist()))


@pytest.mark.parametrize("processes", [2, 3])
async def test_workers_make_up_the_run_of_one_process(
    processes: int, tmp_path: pathlib.Path
) -> None:
    _, whole = await run_live(open_of(tmp_path, 1))
    result, rows = await run_live(open_of(tmp_path, processes))
    assert planned_columns(rows) == planned_columns(whole)
    assert not result.failures
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert ledger.planned == ledger.started == ledger.succeeded == len(whole)
    assert result.summary.total.response.count == len(whole)


async def test_workers_share_what_is_a_shard_itself(tmp_path: pathlib.Path) -> None:
    pipeline = open_of(tmp_path, 2)
    _, rows = await run_live(pipeline, shard=Shard(1, 3))
    assert planned_in(rows) == [one for one in await plan_of(pipeline) if one[0] % 3 == 1]


async def test_users_are_shared(tmp_path: pathlib.Path) -> None:
    result, rows = await run_live(pipeline_of(CLOSED, tmp_path))
    assert np.unique(rows["session"]).tolist() == [0, 1, 2, 3, 4]
    assert (rows["session"] % 2 == rows["seq"] % 2).all()
    assert result.summary is not None
    assert result.summary.sessions.planned is None
    assert result.summary.sessions.check() == []


VISITS = """
    duration = "700ms"
    seed = 3
    [[stage]]
    use = "exponential"
    rate = "100/s"
    [[stage]]
    use = "visitors"
    iterations = 3
    think = {{ use = "exponential", every = "40ms" }}
    [[stage]]
    use = "null"
    service = "5ms"
    processes = {processes}
"""


def joins_of(rows: Rows) -> list[tuple[int, int]]:
    """Number and due time of every user."""
    first = rows[rows["flags"] & Flag.AGAIN == 0]
    return sorted(zip(first["session"].tolist(), first["due_ns"].tolist()))


@pytest.mark.parametrize("processes", [1, 2])
async def test_visitors_are_shared_and_planned_as_in_one_process(
    processes: int, tmp_path: pathlib.Path
) -> None:
    pipeline = pipeline_of(VISITS.format(processes=processes), tmp_path)
    result, rows = await run_live(pipeline)
    arrivals = await plan_of(pipeline)
    assert len(arrivals) > 40
    assert joins_of(rows) == arrivals
    assert np.bincount(rows["session"]).tolist() == [3] * len(arrivals)
    assert len(np.unique(rows["seq"])) == len(rows)
    assert (rows["seq"] % processes == rows["session"] % processes).all()
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert (ledger.planned, ledger.arrived) == (len(arrivals), len(arrivals))
    assert result.summary.hidden.startswith("users arrive")


async def test_visitors_of_a_killed_worker_are_counted_as_lost(tmp_path: pathlib.Path) -> None:
    async def kill(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(350_000_000)
        os.kill(pids(pipeline)[1], signal.SIGKILL)

    pipeline = pipeline_of(VISITS.format(processes=2), tmp_path)
    result, rows = await run_live(pipeline, kill)
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert ledger.lost > 0
    assert joins_of(rows[rows["flags"] & Flag.ABORTED == 0]) == await plan_of(pipeline)
    assert ledger.planned == len(await plan_of(pipeline))
    lost = rows[rows["flags"] & Flag.LOST != 0]
    assert (lost["session"] % 2 == 1).all()
    started = rows[rows["flags"] & (Flag.FIRST | Flag.LOST) != 0]
    assert len(np.unique(started["seq"])) == len(started)
    assert f"{ledger.lost} arrivals of its share were lost" in result.summary.findings[0].text


async def test_bounded_users_of_all_workers_end_the_run(tmp_path: pathlib.Path) -> None:
    text = CLOSED.replace("users = 5", "users = 3\n    iterations = 2").replace("800ms", "1h")
    result, rows = await run_live(pipeline_of(text, tmp_path))
    assert np.bincount(rows["session"]).tolist() == [2, 2, 2]
    assert not result.was_stopped
    assert result.summary is not None
    assert result.summary.sessions.check() == []


async def test_a_pool_leaves_other_executors_as_they_are(tmp_path: pathlib.Path) -> None:
    text = """
        duration = "500ms"
        seed = 3
        [[stage]]
        use = "constant"
        rate = "100/s"
        [[stage]]
        use = "null"
        name = "alone"
        [[stage]]
        use = "null"
        name = "shared"
        inputs = ["constant"]
        processes = {processes}
        """
    one, whole = await run_live(pipeline_of(text.format(processes=1), tmp_path))
    two, rows = await run_live(pipeline_of(text.format(processes=2), tmp_path))
    assert planned_columns(rows) == planned_columns(whole)
    assert one.summary is not None
    assert two.summary is not None
    assert two.summary.sessions.planned == one.summary.sessions.planned == len(rows)
    assert [step.name for step in two.summary.steps] == [step.name for step in one.summary.steps]


async def test_stopping_reaches_the_workers(tmp_path: pathlib.Path) -> None:
    async def stop(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(350_000_000)
        run.control.stop()

    pipeline = open_of(tmp_path, 2)
    result, rows = await run_live(pipeline, stop)
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert result.was_stopped
    assert 0 < ledger.started < len(rows) < len(await plan_of(pipeline))
    assert ledger.cancelled == len(rows) - ledger.started


async def test_aborting_reaches_the_workers(tmp_path: pathlib.Path) -> None:
    async def abort(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(300_000_000)
        run.control.stop()
        await run.clock.wait_until(400_000_000)
        run.control.abort()

    pipeline = pipeline_of(OPEN.format(processes=2, keys="").replace('"2ms"', '"1h"'), tmp_path)
    result, rows = await run_live(pipeline, abort)
    assert result.summary is not None
    assert result.was_aborted
    assert result.summary.sessions.check() == []
    assert result.summary.sessions.aborted == result.summary.sessions.started > 0
    assert {Flag(flag) & (Flag.ABORTED | Flag.CANCELLED) for flag in rows["flags"].tolist()} == {
        Flag.ABORTED,
        Flag.CANCELLED,
    }


async def test_a_change_of_the_level_is_the_same_in_all_workers(tmp_path: pathlib.Path) -> None:
    async def steer(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(200_000_000)
        run.control.pause()
        await run.clock.wait_until(700_000_000)
        run.control.resume()
        run.control.scale = 3.0

    text = """
        duration = "1500ms"
        tick = "50ms"
        [[stage]]
        use = "constant"
        rate = "200/s"
        [[stage]]
        use = "null"
        processes = 2
        """
    result, rows = await run_live(pipeline_of(text, tmp_path), steer)
    assert result.summary is not None
    assert result.summary.sessions.check() == []
    # Had one worker planned another curve, numbers would be missing or out of order.
    assert rows["seq"].tolist() == list(range(len(rows)))
    assert (np.diff(rows["due_ns"]) > 0).all()
    due_ms = rows["due_ns"] / 1e6
    assert not ((due_ms > 550) & (due_ms < 800)).any()
    assert (due_ms > 1300).sum() == pytest.approx(3 * 200 * 0.2, abs=2)


async def test_what_a_killed_worker_had_to_do_is_known_under_live_control(
    tmp_path: pathlib.Path,
) -> None:
    async def steer(run: Run, pipeline: Pipeline) -> None:
        run.control.scale = 2.0
        await run.clock.wait_until(100_000_000)
        os.kill(pids(pipeline)[0], signal.SIGKILL)
        await run.clock.wait_until(200_000_000)
        run.control.start_spike(run.clock.now_ns(), 3.0, 600_000_000)

    result, rows = await run_live(open_of(tmp_path, 2), steer)
    assert result.summary is not None
    assert result.summary.sessions.check() == []
    assert rows["seq"].tolist() == list(range(len(rows)))
    assert (np.diff(rows["due_ns"]) >= 0).all()


async def test_the_share_of_a_killed_worker_is_counted_as_lost(tmp_path: pathlib.Path) -> None:
    async def kill(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(350_000_000)
        os.kill(pids(pipeline)[1], signal.SIGKILL)

    pipeline = open_of(tmp_path, 2)
    result, rows = await run_live(pipeline, kill)
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert ledger.lost > 0
    lost = rows[rows["flags"] & Flag.LOST != 0]
    assert len(lost) == ledger.lost
    assert (lost["seq"] % 2 == 1).all()
    assert (lost["error"] == ErrorCode.LOST).all()
    assert planned_in(rows) == await plan_of(pipeline)
    finding = result.summary.findings[0]
    assert finding.is_fatal
    assert finding.text.startswith("worker 1 (pid ")
    assert "was killed by SIGKILL at 0." in finding.text
    assert f"{ledger.lost} arrivals of its share were lost" in finding.text
    assert not result.was_stopped
    assert (rows["due_ns"][rows["seq"] % 2 == 0] > 600_000_000).any()


async def test_a_lost_worker_stops_the_run_if_that_is_wanted(tmp_path: pathlib.Path) -> None:
    async def kill(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(300_000_000)
        os.kill(pids(pipeline)[0], signal.SIGTERM)

    pipeline = open_of(tmp_path, 2, 'on_worker_loss = "stop"')
    result, rows = await run_live(pipeline, kill)
    assert result.summary is not None
    assert result.was_stopped
    assert result.summary.sessions.check() == []
    assert result.summary.sessions.lost > 0
    assert len(rows) < len(await plan_of(pipeline))
    assert "was killed by SIGTERM" in result.summary.findings[0].text


async def test_users_of_a_killed_worker_are_gone(tmp_path: pathlib.Path) -> None:
    async def kill(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(400_000_000)
        os.kill(pids(pipeline)[0], signal.SIGKILL)

    result, rows = await run_live(pipeline_of(CLOSED, tmp_path), kill)
    assert result.summary is not None
    assert result.summary.sessions.check() == []
    assert "its 3 users were gone from then on" in result.summary.findings[0].text
    assert (
        rows["start_ns"][rows["session"] % 2 == 0].max() + 100_000_000
        < rows["start_ns"][rows["session"] % 2 == 1].max()
    )


async def test_a_stage_that_fails_in_a_worker_is_named_with_it(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(OPEN.format(processes=1, keys=""), tmp_path, Broken())
    result, _ = await run_live(pipeline)
    assert result.was_stopped
    (failure,) = result.failures
    assert failure.message.startswith("worker 1 (pid ")
    assert "stage 'null' (null, from userflux) failed: ValueError: the spring" in failure.message


async def test_a_worker_that_cannot_read_its_job_is_named(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(OPEN.format(processes=1, keys=""), tmp_path, Unreadable())
    with pytest.raises(
        FluxError, match=r"worker \d \(pid \d+\) cannot do its part: ModuleNotFound"
    ):
        async with open_workers(pipeline):
            raise AssertionError("not reached")


async def test_a_stage_that_cannot_be_sent_is_named(tmp_path: pathlib.Path) -> None:
    executor = Executor(field=lambda: None)
    pipeline = pipeline_of(OPEN.format(processes=1, keys=""), tmp_path, executor)
    with pytest.raises(FluxError, match="stage 'null' cannot be sent to worker processes"):
        async with open_workers(pipeline):
            raise AssertionError("not reached")


async def test_no_worker_outlives_the_block(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012  # it has to fail inside the block
        async with trio.open_nursery(), open_workers(open_of(tmp_path, 2)) as pipeline:
            started = pids(pipeline)
            assert [is_alive(pid) for pid in started] == [True, True]
            raise OSError("disk full")
    assert raised.group_contains(OSError, match="disk full")
    assert not any(is_alive(pid) for pid in started)


async def test_auto_is_as_many_as_there_are_cpus(tmp_path: pathlib.Path) -> None:
    cpus = len(os.sched_getaffinity(0))
    async with open_workers(open_of(tmp_path, '"auto"')) as pipeline:
        assert len(pids(pipeline)) == (cpus if cpus > 1 else 0)


async def test_one_process_starts_none(tmp_path: pathlib.Path) -> None:
    pipeline = open_of(tmp_path, 1)
    async with open_workers(pipeline) as opened:
        assert opened == pipeline


async def test_workers_that_nobody_opened_are_an_error(tmp_path: pathlib.Path) -> None:
    pipeline = open_of(tmp_path, 2)
    with pytest.raises(UsageError, match="stage 'null' has processes = 2, which flux run starts"):
        await run_pipeline(pipeline, None)  # type: ignore[arg-type]  # it is not looked at


PARENT = """
    import pathlib, sys, trio
    from flux.stage import Run
    from flux.pipeline import Pipeline
    from tests.workers.running import pids, pipeline_of, run_live

    async def tell(run: Run, pipeline: Pipeline) -> None:
        await run.clock.wait_until(100_000_000)
        print(*pids(pipeline), flush=True)

    text = pathlib.Path(sys.argv[1]).read_text()
    trio.run(run_live, pipeline_of(text, pathlib.Path(sys.argv[1]).parent), tell)
"""


async def test_workers_end_with_a_parent_that_is_killed(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "long.toml"
    file.write_text(textwrap.dedent(OPEN.format(processes=2, keys="")).replace('"700ms"', '"60s"'))
    script = [sys.executable, "-c", textwrap.dedent(PARENT), str(file)]
    parent = await trio.lowlevel.open_process(script, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    async with parent.stdout:
        try:
            line = b""
            while not line.endswith(b"\n"):
                received = await parent.stdout.receive_some()
                assert received
                line += received
            watched = [os.pidfd_open(int(word)) for word in line.split()]
        finally:
            parent.kill()
            await parent.wait()
    assert len(watched) == 2
    with trio.fail_after(5):
        for descriptor in watched:
            await trio.lowlevel.wait_readable(descriptor)
            os.close(descriptor)


def test_processes_are_a_number_or_auto() -> None:
    assert Processes.from_toml(1) == ONE
    assert Processes.from_toml("auto").count >= 1
    assert str(Processes.from_toml("auto")) == '"auto"'
    with pytest.raises(Exception, match="from 1 to"):
        Processes.from_toml(0)
    with pytest.raises(Exception, match='a whole number, or "auto"'):
        Processes.from_toml("two")
