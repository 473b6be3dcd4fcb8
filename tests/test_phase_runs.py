"""Whole runs with phases and warm-up: under virtual time, on workers, and by the command."""

import datetime
import json
import logging
import pathlib
import subprocess
import sys
import textwrap
from typing import Any

import attrs
import numpy as np
import pytest
import tomli
import trio
from trio.testing import MockClock

from flux.clock import LiveClock
from flux.engine import run_pipeline
from flux.graph import Node
from flux.pipeline import Pipeline, load
from flux.plan import make_plan
from flux.schemas import ARRIVAL, OUTCOME, Rows
from flux.stage import Run, Shard
from flux.summary import Summary
from tests.workers.running import run_live
from tests.workers.stages import Rowkeeper

SECOND = 10**9

PHASED = """
    seed = 7
    drain = "5s"
    [[phase]]
    name = "warm"
    duration = "1500ms"
    warmup = true
    [[phase]]
    name = "base"
    duration = "2s"
    [[phase]]
    name = "peak"
    duration = "1s"
    stage.exponential = { rate = "300/s" }
    stage.noise.amplitude = 0.5
    [[stage]]
    use = "exponential"
    rate = "80/s"
    [[stage]]
    use = "noise"
    [[stage]]
    use = "null"
    service = "5ms"
    """


def pipeline_of(text: str, tmp_path: pathlib.Path) -> Pipeline:
    file = tmp_path / "test.toml"
    file.write_text(textwrap.dedent(text))
    return load(file, environment={})


def run_virtually(
    pipeline: Pipeline, *, shard: Shard | None = None, stop_s: float | None = None
) -> tuple[Summary, Rows]:
    keeper = Rowkeeper()
    inputs = tuple(node.name for node in pipeline.executors)
    node = Node("keeper", "keeper", "tests", keeper, inputs, OUTCOME, None)
    pipeline = attrs.evolve(pipeline, nodes=(*pipeline.nodes, node))

    async def main() -> Summary:
        run = Run(
            name=pipeline.name,
            seed=pipeline.settings.seed or 0,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=pipeline.settings.drain,
            started_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            clock=LiveClock(),
            shard=shard or Shard(),
            log=logging.getLogger("flux.tests.phases"),
        )

        async def stop() -> None:
            if stop_s is not None:
                await trio.sleep(stop_s)
                run.control.stop()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            result = await run_pipeline(pipeline, run)
            nursery.cancel_scope.cancel()
        assert not result.failures
        assert result.summary is not None
        return result.summary

    return trio.run(main, clock=MockClock(autojump_threshold=0)), keeper.rows


def planned(pipeline: Pipeline) -> Rows:
    batches: list[Rows] = []
    make_plan(pipeline, seed=pipeline.settings.seed or 0, take=batches.append)
    return np.concatenate([ARRIVAL.empty(0), *batches])


def counts(summary: Summary) -> dict[str, int]:
    return {phase.name: phase.total.requests for phase in summary.phases}


def test_no_arrival_is_lost_or_doubled_where_phases_meet(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(PHASED, tmp_path)
    summary, rows = run_virtually(pipeline)
    assert rows["seq"].tolist() == list(range(len(rows)))
    assert rows["due_ns"].tolist() == planned(pipeline)["due_ns"].tolist()
    assert rows["start_ns"].tolist() == rows["due_ns"].tolist()
    assert summary.sessions.check() == []
    assert summary.is_valid


def test_phases_have_the_requests_that_the_plan_has(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(PHASED, tmp_path)
    summary, rows = run_virtually(pipeline)
    made = make_plan(pipeline, seed=7)
    assert counts(summary) == {phase.name: phase.arrivals for phase in made.phases}
    assert [phase.sessions.planned for phase in summary.phases] == [
        phase.arrivals for phase in made.phases
    ]
    assert summary.total.requests == len(rows) - counts(summary)["warm"] > 400
    assert summary.load.requests == summary.sessions.planned == len(rows)


@pytest.mark.parametrize("count", [2, 3])
def test_shards_of_a_run_with_phases_make_up_the_whole(count: int, tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(PHASED, tmp_path)
    whole, rows = run_virtually(pipeline)
    parts = [run_virtually(pipeline, shard=Shard(index, count)) for index in range(count)]
    union = np.concatenate([part for _, part in parts])
    assert np.sort(union, order="seq").tolist() == rows.tolist()
    (first, *rest) = [summary for summary, _ in parts]
    added = first.merge(rest)
    assert counts(added) == counts(whole)
    for one, other in zip(added.phases, whole.phases):
        assert one.steps == other.steps
        assert one.sessions == other.sessions


def test_phases_are_marked_as_they_begin(tmp_path: pathlib.Path) -> None:
    summary, _ = run_virtually(pipeline_of(PHASED, tmp_path))
    assert [(mark.time_ns, mark.kind, mark.text) for mark in summary.marks] == [
        (0, "phase", "phase warm (warm-up) begins, for 1.5s"),
        (1_500_000_000, "phase", "phase base begins, for 2s"),
        (3_500_000_000, "phase", "phase peak begins, for 1s"),
    ]


def test_a_run_that_is_stopped_marks_no_phase_that_it_does_not_reach(
    tmp_path: pathlib.Path,
) -> None:
    summary, rows = run_virtually(pipeline_of(PHASED, tmp_path), stop_s=2)
    assert [mark.time_ns for mark in summary.marks] == [0, 1_500_000_000]
    assert counts(summary)["peak"] == 0
    base, peak = summary.phases[1:]
    assert base.end_ns == summary.end_ns < 3_500_000_000
    assert peak.duration_s == 0
    assert summary.sessions.check() == []
    assert len(rows) > 0


def test_warmup_is_left_out_of_a_run_without_phases(tmp_path: pathlib.Path) -> None:
    text = """
        duration = "10s"
        {}
        [[stage]]
        use = "constant"
        rate = "10/s"
        [[stage]]
        use = "null"
        service = "5ms"
        stall = {{ at = "0s", for = "2s" }}
        """
    summary, _ = run_virtually(pipeline_of(text.format('warmup = "2s"'), tmp_path))
    plain, _ = run_virtually(pipeline_of(text.format(""), tmp_path))
    assert counts(summary) == {"warm-up": 20, "measured": 80}
    assert (plain.total.response.max_ns, summary.total.response.max_ns) == (
        1_905_000_000,
        5_000_000,
    )
    assert (plain.total.requests, summary.total.requests) == (100, 80)
    assert (plain.rate_per_s, summary.rate_per_s) == pytest.approx((10, 10), rel=1e-3)
    assert summary.sessions == plain.sessions
    assert [mark.text for mark in summary.marks] == [
        "phase warm-up begins, for 2s",
        "phase measured begins, for 8s",
    ]


def test_phases_change_the_number_of_users_in_the_closed_model(tmp_path: pathlib.Path) -> None:
    # Each user takes 300 ms for an iteration and begins again, so at 1.1 s the three that join do
    # so at once, and at 2.1 s they leave once they are done.
    summary, rows = run_virtually(
        pipeline_of(
            """
            [[phase]]
            name = "few"
            duration = "1100ms"
            [[phase]]
            name = "many"
            duration = "1s"
            stage.users.users = 5
            [[phase]]
            name = "few again"
            duration = "900ms"
            [[stage]]
            use = "users"
            users = 2
            [[stage]]
            use = "null"
            service = "300ms"
            """,
            tmp_path,
        )
    )
    first_ns = {user: int(rows["start_ns"][rows["session"] == user].min()) for user in range(5)}
    last_ns = {user: int(rows["end_ns"][rows["session"] == user].max()) for user in range(5)}
    assert first_ns == {0: 0, 1: 0, 2: 1_100_000_000, 3: 1_100_000_000, 4: 1_100_000_000}
    assert all(2_100_000_000 <= last_ns[user] <= 2_400_000_000 for user in (2, 3, 4))
    assert summary.sessions.planned is None
    assert summary.sessions.check() == []
    assert sum(counts(summary).values()) == len(rows)


def test_each_chain_of_a_run_has_its_own_level_in_a_phase(tmp_path: pathlib.Path) -> None:
    _, rows = run_virtually(
        pipeline_of(
            """
            [[phase]]
            name = "quiet"
            duration = "1s"
            [[phase]]
            name = "busy"
            duration = "1s"
            stage.probe = { rate = "30/s" }
            [[stage]]
            use = "constant"
            name = "probe"
            rate = "10/s"
            [[stage]]
            use = "null"
            name = "one"
            [[stage]]
            use = "constant"
            name = "site"
            rate = "20/s"
            [[stage]]
            use = "null"
            name = "two"
            [[stage]]
            use = "collect"
            inputs = ["one", "two"]
            """,
            tmp_path,
        )
    )
    is_busy = rows["due_ns"] > SECOND
    found = [int(np.count_nonzero((rows["step"] == step) & is_busy)) for step in (0, 1)]
    assert found == [30, 20]
    assert np.count_nonzero(~is_busy) == 30


async def test_workers_keep_to_the_phases_and_mark_them_once(tmp_path: pathlib.Path) -> None:
    text = (
        PHASED.replace("1500ms", "200ms").replace('"2s"', '"300ms"').replace('"1s"', '"200ms"')
        + "\n    processes = 2\n    [validity]\n    max_lag_p99 = '1h'\n    max_stall = '1h'\n"
    )
    pipeline = pipeline_of(text, tmp_path)
    result, rows = await run_live(pipeline)
    made = await trio.to_thread.run_sync(lambda: make_plan(pipeline, seed=7))
    assert result.summary is not None
    assert counts(result.summary) == {phase.name: phase.arrivals for phase in made.phases}
    assert len(rows) == made.arrivals
    texts = [mark.text.split(",")[0] for mark in result.summary.marks]
    assert texts == [
        "phase warm (warm-up) begins",
        "phase base begins",
        "phase peak begins",
    ]


# The command.

COMMAND = """
seed = 7
[[phase]]
name = "first"
duration = "300ms"
warmup = true
[[phase]]
name = "peak"
duration = "200ms"
stage.constant = { rate = "100/s" }
[[stage]]
use = "constant"
rate = "50/s"
[[stage]]
use = "null"
service = "1ms"
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
[[stage]]
use = "csv"
[[stage]]
use = "json"
"""


def flux(folder: pathlib.Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "flux", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def result_of(folder: pathlib.Path) -> Any:
    return json.loads((folder / "result.json").read_text())


def test_a_run_by_the_command_shows_and_writes_its_phases(tmp_path: pathlib.Path) -> None:
    (tmp_path / "two.toml").write_text(COMMAND)
    said = flux(tmp_path, "run", "two.toml")
    assert said.returncode == 0, said.stderr
    folder = tmp_path / "results" / "result_1"
    result = result_of(folder)
    assert (result["Total"], result["sessions"]["planned"]) == (20, 35)
    assert [(one["name"], one["warmup"], one["requests"]) for one in result["phases"]] == [
        ("first", True, 15),
        ("peak", False, 20),
    ]
    assert [mark["text"] for mark in result["marks"]] == [
        "phase first (warm-up) begins, for 300ms",
        "phase peak begins, for 200ms",
    ]
    assert "first (warm-up)            15" in said.stderr
    assert "phase peak begins, for 200ms" in (folder / "flux.log").read_text()
    assert len((folder / "requests.csv").read_text().splitlines()) == 1 + 35


def test_the_session_of_a_run_with_phases_repeats_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "two.toml").write_text(COMMAND)
    assert flux(tmp_path, "run", "two.toml", "--set", "phase.peak.duration=100ms").returncode == 0
    folder = tmp_path / "results" / "result_1"
    session = tomli.loads((folder / "session.toml").read_text())
    assert session["phase"][1] == {
        "name": "peak",
        "duration": "100ms",
        "stage": {"constant": {"rate": "100/s"}},
    }
    assert flux(tmp_path, "run", str(folder / "session.toml")).returncode == 0
    again = result_of(tmp_path / "results" / "result_2")
    assert [phase["requests"] for phase in again["phases"]] == [15, 10]


def test_the_plan_has_a_line_for_each_phase(tmp_path: pathlib.Path) -> None:
    (tmp_path / "two.toml").write_text(COMMAND)
    lines = [line.split() for line in flux(tmp_path, "plan", "two.toml").stdout.splitlines()]
    assert ["first", "(warm-up)", "0.000s", "0.300s", "50", "50", "50", "15"] in lines
    assert ["peak", "0.300s", "0.500s", "100", "100", "100", "20"] in lines
    found = json.loads(flux(tmp_path, "plan", "two.toml", "--format", "json").stdout)
    assert found["phases"][0] == {
        "name": "first",
        "start_ns": 0,
        "end_ns": 300_000_000,
        "warmup": True,
        "arrivals": 15,
        "wanted": 15.0,
        "min_level": 50.0,
        "mean_level": 50.0,
        "max_level": 50.0,
    }


def test_a_plan_of_a_shorter_duration_ends_in_the_phase_it_cuts(tmp_path: pathlib.Path) -> None:
    (tmp_path / "two.toml").write_text(COMMAND)
    said = flux(tmp_path, "plan", "two.toml", "--duration", "400ms", "--format", "json")
    assert [phase["end_ns"] for phase in json.loads(said.stdout)["phases"]] == [
        300_000_000,
        400_000_000,
    ]
