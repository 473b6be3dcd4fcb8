"""Runs cases, several at once, each against a target of its own, and says which laws they broke."""

import csv
import datetime
import json
import logging
import pathlib
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import attrs
import jsonschema
import trio

from flux.clock import LiveClock
from flux.engine import prepare_stages, run_pipeline
from flux.pipeline import Pipeline, load
from flux.plan import make_plan
from flux.result_schema import result_schema
from flux.schemas import Rows
from flux.stage import Run
from flux.workers.opening import open_workers
from flux.workers.pool import WorkerPool
from tests.faults.case import Case, Fault, make_case
from tests.faults.laws import Expected, Row, broken_laws
from tests.faults.target import Target, open_target

PATIENCE_S = 2.0
"""From the end of the drain time to the end of the run."""

HANGING_S = 20.0

LATE = "it ended late"

_SCHEMA = jsonschema.Draft202012Validator(result_schema())


@attrs.frozen
class Report:
    """What came of a case."""

    case: Case
    problems: tuple[str, ...]
    """Laws that it broke."""
    sessions: dict[str, int | None]
    """The counts of its sessions; empty if it left none."""

    @property
    def is_late(self) -> bool:
        """Whether it took longer than it may."""
        return any(problem.startswith(LATE) for problem in self.problems)


async def run_cases(seeds: Iterable[int], *, at_once: int) -> list[Report]:
    """Run the cases of these seeds, so many of them at the same time."""
    reports: list[Report] = []
    waiting = iter(seeds)

    late: list[int] = []

    async def work_off() -> None:
        async with open_target() as target:
            for seed in waiting:
                report = await run_case(make_case(seed), target)
                # Several clients that wait for events in one loop wait for each other: only what
                # is late when it is alone is late.
                if at_once > 1 and report.is_late:
                    late.append(seed)
                else:
                    reports.append(report)

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(work_off)
    if late:
        reports += await run_cases(late, at_once=1)
    return sorted(reports, key=lambda report: report.case.seed)


async def run_case(case: Case, target: Target) -> Report:
    """Run one case to its end, and look at what it left."""
    target.thaw()
    await target.start()
    with tempfile.TemporaryDirectory(prefix="flux-case-") as name:
        folder = pathlib.Path(name)
        file = folder / "case.toml"
        file.write_text(case.text.replace("{url}", target.url))
        # In another thread, as it takes a tenth of a second, which others would wait for.
        pipeline = await trio.to_thread.run_sync(partial(load, file, environment={}))
        problems = await _run(case, pipeline, folder, target)
        if not (folder / "result.json").exists():
            return Report(case, tuple(problems), {})
        result, rows = read_folder(folder)
        # Planning runs a loop of its own, so it has to be in another thread.
        expected = await trio.to_thread.run_sync(expected_of, case, pipeline)
        problems += broken_laws(result, rows, expected)
        problems += [f"result.json: {error.message}" for error in _SCHEMA.iter_errors(result)]
    return Report(case, tuple(problems), result["sessions"])


async def _run(case: Case, pipeline: Pipeline, folder: pathlib.Path, target: Target) -> list[str]:
    async with open_workers(pipeline) as opened, trio.open_nursery() as nursery:
        prepared = await prepare_stages(opened)
        clock = LiveClock(trio.current_time() + 0.05)
        run = Run(
            name=pipeline.name,
            seed=pipeline.settings.seed or 0,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=pipeline.settings.drain,
            started_at=datetime.datetime.now().astimezone(),
            clock=clock,
            folder=folder,
            log=_silent(),
        )
        for fault in case.faults:
            nursery.start_soon(_inflict, fault, run, target, _workers(opened))
        with trio.move_on_after(HANGING_S) as patience:
            result = await run_pipeline(opened, run, prepared=prepared)
        ended_s = clock.now_ns() / 1e9
        nursery.cancel_scope.cancel()
    if patience.cancelled_caught:
        return [f"it still ran after {HANGING_S:g} s"]
    problems = [f"a stage failed: {failure}" for failure in result.failures]
    if not (folder / "result.json").exists():
        return [*problems, "there is no result.json"]
    return [*problems, *late_end(case, run, ended_s)]


async def _inflict(fault: Fault, run: Run, target: Target, workers: list[trio.Process]) -> None:
    await run.clock.wait_until(round(fault.at_s * 1e9))
    match fault.kind:
        case "stop":
            run.control.stop()
        case "abort":
            run.control.abort()
        case "kill worker":
            workers[run.seed % len(workers)].kill()
        case "freeze target":
            target.freeze()
            try:
                await trio.sleep(fault.for_s)
            finally:
                target.thaw()
        case "kill target":
            await target.kill()
            await trio.sleep(fault.for_s)
            with trio.CancelScope(shield=True):
                await target.start()


def _workers(pipeline: Pipeline) -> list[trio.Process]:
    pools = [node.stage for node in pipeline.nodes if isinstance(node.stage, WorkerPool)]
    return [worker.process for pool in pools for worker in pool.workers]


def late_end(case: Case, run: Run, ended_s: float) -> Iterator[str]:
    """Whether it ended later than drain time and patience allow."""
    over_s, drain_s = (run.duration_ns or 0) / 1e9, run.drain_ns / 1e9
    for fault in case.faults:
        if fault.kind in ("stop", "abort") and fault.at_s < over_s:
            over_s = fault.at_s
        if fault.kind == "abort" and fault.at_s < over_s + drain_s:
            over_s, drain_s = fault.at_s, 0.0
    if ended_s > over_s + drain_s + PATIENCE_S:
        yield f"{LATE}, at {ended_s:.2f} s: arrivals over at {over_s:.2f} s, drain {drain_s} s"


def expected_of(case: Case, pipeline: Pipeline) -> Expected:
    """What is known of a run before it is made."""
    (executor,) = pipeline.executors
    shards = executor.stage.processes.count
    is_closed = pipeline.nodes[0].use == "users"
    is_bounded = "max_in_flight" in case.text and not is_closed
    return Expected(
        plan=None if is_closed else planned(pipeline),
        was_stopped=any(fault.kind in ("stop", "abort") for fault in case.faults),
        drained_ns=(pipeline.settings.duration or 0) + pipeline.settings.drain,
        # Each process has a part of it, and none less than 1.
        max_in_flight=max(shards, executor.stage.max_in_flight) if is_bounded else None,
        may_drop=executor.stage.on_late == "drop" or executor.stage.max_lag is not None,
        shards=shards,
    )


def planned(pipeline: Pipeline) -> dict[int, int]:
    """seq → due_ns of every arrival, by `flux plan`."""
    found: dict[int, int] = {}

    def take(rows: Rows) -> None:
        found.update(zip(rows["seq"].tolist(), rows["due_ns"].tolist()))

    make_plan(pipeline, seed=pipeline.settings.seed or 0, take=take)
    return found


def read_folder(folder: pathlib.Path) -> tuple[dict[str, Any], list[Row]]:
    """result.json, and the rows of requests.csv."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    with (folder / "requests.csv").open() as stream:
        return result, list(csv.DictReader(stream))


async def wait_for_rows(*folders: pathlib.Path) -> None:
    """Return when these runs have begun: their sinks have opened their files."""
    while not all((one / "requests.csv").exists() for one in folders):  # noqa: ASYNC110  # no event
        await trio.sleep(0.02)


def _silent() -> logging.Logger:
    log = logging.getLogger("flux.tests.faults")
    log.setLevel(logging.CRITICAL + 1)
    return log
