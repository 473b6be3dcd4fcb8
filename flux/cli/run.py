"""`flux run`: run a pipeline and say how it went."""

import datetime
import logging
import pathlib
import resource
import secrets
import sys
import traceback
from functools import partial

import attrs
import click
import trio

from flux.attention import look_at
from flux.cli.options import FILE, all_overrides, pipeline_options
from flux.cli.places import check_places
from flux.clock import LiveClock
from flux.console import format_summary
from flux.control import Ending
from flux.demo import open_demo_targets
from flux.engine import Observer, RunResult, prepare_stages, run_pipeline
from flux.errors import ExitCode, FluxError, StorageFailed, is_interruption
from flux.garbage import seldom_collected
from flux.guards.contacts import resolve_contacts
from flux.guards.drops import DropWatch
from flux.junit import write_junit
from flux.live.desk import Desk
from flux.live.server import open_server
from flux.log import open_log
from flux.masking import find_secrets
from flux.pipeline import Pipeline, load
from flux.result_file import RESULT_FILE, result_document, write_result
from flux.run_folder import create_run_folder, hold_run_folder, write_session
from flux.screen import Screen, open_screen
from flux.screen.frames import FrameMaker
from flux.session_document import session_document
from flux.stage import Run, Shard
from flux.stopping import BEFORE_THE_FIRST, Stopper, hold_signals
from flux.storage import check_folder
from flux.summary import Finding, Summary
from flux.workers.opening import open_workers

MAX_SEED = 2**32

PIPED = ("ndjson", "csv", "interval")
"""What `--stdout` can write."""

LEAD_S = 0.1
"""Time from the start of the stages to the start of the clock."""


@click.command()
@click.argument("file", type=FILE)
@pipeline_options
@click.option(
    "--results",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("results"),
    help="Folder for the run folders; ./results if absent.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Also write the verdicts as JUnit XML, for CI.",
)
@click.option(
    "--stdout",
    "piped",
    type=click.Choice(PIPED),
    help="Write this to standard output, as a `stdout` stage does: rows, or intervals.",
)
@click.option("--quiet", "-q", is_flag=True, help="Only warnings and errors on stderr.")
@click.option("--lines", is_flag=True, help="A line each interval, on a terminal too.")
@click.option("--no-color", "plain", is_flag=True, help="No colours; as with NO_COLOR set.")
def run(
    file: pathlib.Path,
    overrides: tuple[str, ...],
    duration: str | None,
    seed: int | None,
    shard: str | None,
    results: pathlib.Path,
    junit: pathlib.Path | None,
    piped: str | None,
    quiet: bool,
    lines: bool,
    plain: bool,
) -> int:
    """Run the pipeline FILE (TOML), or a userflux script (YAML).

    Results go to a new folder results/result_N. Ctrl-C stops arrivals and lets what is in flight
    finish; a second one gives it up. Exit codes: 0 ok, 1 failure, 2 usage, 78 invalid pipeline,
    96 the run is invalid (the generator could not keep its plan), 99 a threshold failed, 108 a
    guard ended it, 130 interrupted twice, or once before the first arrival. SIGTERM and SIGHUP are
    as good as Ctrl-C.
    """
    given = all_overrides(overrides, duration, seed, shard)
    if piped is not None:
        given = [*given, f"stdout.format={piped}"]
    pipeline = load(file, overrides=given, added=["stdout"] if piped else [])
    check_places(pipeline)
    if junit is not None:
        check_folder(junit)
    with open_screen(wants_live=not (quiet or lines), wants_colour=not plain) as screen:
        code, _ = run_loaded(pipeline, results=results, quiet=quiet, screen=screen, junit=junit)
    return code


def run_loaded(
    pipeline: Pipeline,
    *,
    results: pathlib.Path,
    quiet: bool,
    screen: Screen,
    junit: pathlib.Path | None = None,
) -> tuple[ExitCode, RunResult]:
    """Run a pipeline in a new run folder; write the verdicts to `junit`, if given, as well."""
    seed = pipeline.settings.seed
    seed = secrets.randbelow(MAX_SEED) if seed is None else seed
    document = session_document(pipeline, seed)
    origins = pipeline.document.origins
    hidden = find_secrets(document, origins)
    with (
        hold_signals() as noted,
        hold_run_folder(folder := create_run_folder(results)),
        open_log(folder, quiet=quiet, secrets=hidden, stderr=screen) as log,
    ):
        started_at = datetime.datetime.now().astimezone()
        write_session(
            folder,
            document,
            command=["flux", *sys.argv[1:]],
            started_at=started_at,
            origins=origins,
        )
        log.info("run %s begins in %s with seed %d", pipeline.name, folder, seed)
        for warning in pipeline.document.warnings:
            log.warning("%s", warning)
        planned = Run(
            name=pipeline.name,
            seed=seed,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=pipeline.settings.drain,
            started_at=started_at,
            clock=LiveClock(0.0),
            shard=pipeline.settings.shard.shard if pipeline.settings.shard else Shard(),
            manners=pipeline.manners,
            folder=folder,
            log=log,
        )
        _raise_descriptor_limit()
        try:
            result = trio.run(_run, pipeline, planned, None if quiet else screen, noted)
        except BaseException as error:
            _note_broken(planned, error)
            raise
        screen.settle()
        if result.summary is None:
            _leave_result(planned, result.failures[0].message if result.failures else "")
        code = exit_code(result)
        if junit is not None:
            code = _write_junit(junit, result, planned, code)
        _log_verdicts(result, log)
        log.info("run %s ended with exit code %d (%s)", pipeline.name, code, code.name.lower())
        if result.summary is not None and not (quiet and code is ExitCode.OK):
            page = format_summary(
                result.summary,
                planned,
                has_failed=bool(result.failures),
                advice=look_at(result.summary),
            )
            screen.write(page)
        for failure in result.failures:
            screen.write(f"error: {failure}\n")
    return code, result


async def _run(pipeline: Pipeline, run: Run, screen: Screen | None, noted: list[int]) -> RunResult:
    """Prepare the run, and run it.

    Raises:
        KeyboardInterrupt: a signal came before it began.
    """
    stopper, results = Stopper(noted), list[RunResult]()
    failure: Exception | None = None
    async with trio.open_nursery() as listening:
        await listening.start(stopper.listen)
        with stopper.scope:
            try:
                await _prepare_and_run(pipeline, run, screen, stopper, results)
            except Exception as error:  # noqa: BLE001  # raised again outside of the nursery, ungrouped
                failure = error
        listening.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not results:
        raise KeyboardInterrupt
    return results[0]


async def _prepare_and_run(
    pipeline: Pipeline,
    run: Run,
    screen: Screen | None,
    stopper: Stopper,
    results: list[RunResult],
) -> None:
    """What came of it is in the results, even if it is left in haste."""
    await resolve_contacts(pipeline)
    async with (
        open_demo_targets(pipeline, run.seed) as pipeline,
        open_workers(pipeline) as pipeline,
    ):
        prepared = await prepare_stages(pipeline)
        with seldom_collected():
            # The stages get ready for the first arrivals while the clock is still below zero.
            lead = datetime.timedelta(seconds=LEAD_S)
            run = attrs.evolve(
                run,
                clock=LiveClock(trio.current_time() + LEAD_S),
                started_at=datetime.datetime.now().astimezone() + lead,
            )
            desk = Desk(pipeline)
            watchers = (partial(_watch, screen, desk), lambda run: DropWatch(run).look)
            async with open_server(desk, run):
                stopper.begin(run)
                result = await run_pipeline(pipeline, run, watchers=watchers, prepared=prepared)
                results.append(result)
                stopper.end()


def _watch(screen: Screen | None, desk: Desk, run: Run) -> Observer:
    """Add intervals up, for those who look and for those who ask."""
    frames = FrameMaker(run)
    show = None if screen is None else screen.observer(frames)
    desk.open(run, frames)

    def observe(summary: Summary) -> None:
        if not summary.is_final:
            frames.add(summary)
        if show is not None:
            show(summary)

    return observe


def _note_broken(run: Run, error: BaseException) -> None:
    """Write down what kept a run from its first arrival, or broke it off."""
    if isinstance(error, FluxError):
        text, code, details = error.message, error.exit_code, error.details
    elif is_interruption(error):
        text, code, details = f"a signal {BEFORE_THE_FIRST}", ExitCode.INTERRUPTED, ""
    else:
        text, code = f"{type(error).__name__}: {error}", ExitCode.FAILURE
        details = "".join(traceback.format_exception(error))
    run.control.stop(Ending(text, code))
    _leave_result(run, text)
    extra = {"traceback": details}
    run.log.warning("run %s ended before its first arrival: %s", run.name, text, extra=extra)


def _leave_result(run: Run, reason: str) -> None:
    """Write the result of a run that has none: nothing is known, and this is why."""
    if run.folder is None or (run.folder / RESULT_FILE).exists():
        return
    findings = (Finding(f"nothing was measured: {reason}", is_fatal=True),)
    empty = Summary(0, 0, is_final=True, steps=(), findings=findings, marks=tuple(run.marks))
    try:
        write_result(run.folder / RESULT_FILE, result_document(empty, run))
    except StorageFailed as failure:
        run.log.warning("%s", failure.message)


def _write_junit(path: pathlib.Path, result: RunResult, run: Run, code: ExitCode) -> ExitCode:
    """Write the report; if it cannot be, that is one more failure of the run."""
    try:
        write_junit(path, result.summary, run, code, [one.message for one in result.failures])
    except StorageFailed as failure:
        result.failures.append(failure)
        return ExitCode.FAILURE
    return code


def _log_verdicts(result: RunResult, log: logging.Logger) -> None:
    for verdict in result.summary.verdicts if result.summary else ():
        level = logging.INFO if verdict.judgement == "passed" else logging.WARNING
        reason = f" ({verdict.reason})" if verdict.reason else ""
        log.log(
            level,
            "threshold %s: %s: %s%s",
            verdict.judgement,
            verdict.title,
            verdict.observed_text,
            reason,
        )


def exit_code(result: RunResult) -> ExitCode:
    """The verdict, the gravest first.

    What failed or was given up comes before what a guard ended, and that before whether the numbers
    can be trusted; only numbers that can be are held against thresholds.
    """
    ending = result.ending.code if result.ending else ExitCode.OK
    if result.failures:
        return ExitCode.FAILURE
    if result.was_aborted:
        return ExitCode.INTERRUPTED
    if ending is ExitCode.GUARD:
        return ending
    if result.summary is None or not result.summary.is_valid:
        return ExitCode.INVALID_RUN
    if any(verdict.judgement == "failed" for verdict in result.summary.verdicts):
        return ExitCode.THRESHOLDS_FAILED
    return ending


def _raise_descriptor_limit() -> None:
    """Every connection is a descriptor: take as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
