"""Runs a case through `flux run` itself, in a process of its own, stopped by real signals."""

import pathlib
import signal
import sys
import tempfile

import trio

from flux.pipeline import load
from tests.faults.case import Case, Fault
from tests.faults.laws import broken_laws
from tests.faults.running import PATIENCE_S, Report, expected_of, read_folder, wait_for_rows
from tests.faults.target import Target

START_S = 20.0
"""For a process to start on a busy machine."""


async def run_command(case: Case, target: Target) -> Report:
    """Run one case to the end of its process, and look at what it left."""
    target.thaw()
    await target.start()
    with tempfile.TemporaryDirectory(prefix="flux-case-") as name:
        folder = pathlib.Path(name)
        file = folder / "case.toml"
        file.write_text(case.text.replace("{url}", target.url))
        problems = await _run(case, folder, target)
        result, rows = read_folder(folder / "results" / "result_1")
        expected = await trio.to_thread.run_sync(
            lambda: expected_of(case, load(file, environment={}))
        )
        problems += broken_laws(result, rows, expected)
    return Report(case, tuple(problems), result["sessions"])


async def _run(case: Case, folder: pathlib.Path, target: Target) -> list[str]:
    command = [sys.executable, "-m", "flux", "run", "case.toml", "--quiet"]
    pipeline = load(folder / "case.toml", environment={})
    seconds = ((pipeline.settings.duration or 0) + pipeline.settings.drain) / 1e9
    with (folder / "stderr").open("wb") as stderr:
        process = await trio.lowlevel.open_process(command, cwd=folder, stderr=stderr)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_inflict_all, case, process, folder, target)
            with trio.move_on_after(START_S + seconds + PATIENCE_S):
                await process.wait()
            nursery.cancel_scope.cancel()
    if process.returncode is None:
        process.kill()
        await process.wait()
        return ["it still ran"]
    said = (folder / "stderr").read_text()
    problems = [f"it said: {said}"] if "Traceback" in said else []
    if process.returncode not in (0, 96, 130):
        problems.append(f"it ended with exit code {process.returncode}: {said}")
    return problems


async def _inflict_all(
    case: Case, process: trio.Process, folder: pathlib.Path, target: Target
) -> None:
    """The faults at their times, counted from when the sinks open their files.

    A signal before that would end the run before its first arrival.
    """
    await wait_for_rows(folder / "results" / "result_1")
    async with trio.open_nursery() as nursery:
        for fault in case.faults:
            nursery.start_soon(_inflict, fault, process, target)


async def _inflict(fault: Fault, process: trio.Process, target: Target) -> None:
    await trio.sleep(fault.at_s)
    match fault.kind:
        case "stop":
            process.send_signal(signal.SIGINT)
        case "abort":
            process.send_signal(signal.SIGINT)
            await trio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
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
        case _:
            raise ValueError(f"{fault.kind} needs the run's own process")
