"""`flux search`: the highest load at which the thresholds still hold."""

import gc
import json
import pathlib
import secrets
import time

import click

from flux.cli.options import FILE, all_overrides, check_duration
from flux.cli.run import MAX_SEED, run_loaded
from flux.errors import ExitCode, UsageError
from flux.pipeline import Pipeline, load
from flux.run_folder import create_run_folder
from flux.screen import Silence
from flux.search.bracket import Answer, Scope, Search
from flux.search.bracket import search as begin
from flux.search.knob import Knob, find_knob
from flux.search.tries import Try, answer_lines, document, heading, verdict_of
from flux.storage import write_whole
from flux.units import Duration, Rate, UnitError

_LOWEST, _HIGHEST = "10/s", "10000/s"
_BY_SIGNAL = (ExitCode.OK, ExitCode.INTERRUPTED)
"""What a signal makes of an exit code, if nothing worse is found."""

_FEWEST_USERS, _MOST_USERS = "1", "10000"


@click.command()
@click.argument("file", type=FILE)
@click.option("--min", "lowest", metavar="LOAD", help="The first load to try: 10/s, or 1 user.")
@click.option("--max", "highest", metavar="LOAD", help="The last one: 10000/s, or 10000 users.")
@click.option(
    "--step", default="10s", callback=check_duration, metavar="D", help="How long each is tried."
)
@click.option(
    "--cool-down", default="1s", callback=check_duration, metavar="D", help="Between two tries."
)
@click.option(
    "--precision",
    type=click.FloatRange(0.001, 1),
    default=0.05,
    show_default=True,
    help="Share of the answer that it may be too low by.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the first try.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key.")
@click.option(
    "--results",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("results"),
    help="Folder for the search's folder; ./results if absent.",
)
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON on stdout.")
def search(
    file: pathlib.Path,
    lowest: str | None,
    highest: str | None,
    step: str,
    cool_down: str,
    precision: float,
    seed: int | None,
    overrides: tuple[str, ...],
    results: pathlib.Path,
    as_json: bool,
) -> int:
    """Search the highest load at which FILE's thresholds hold.

    Runs the pipeline again and again, with other rates (or users) and a short duration: doubling
    from --min until a threshold fails, then halving the gap. A load that fails is tried again, two
    of three decide, and the answer is tried twice. Every try has a run folder in
    results/result_N/; search.json there has the table. Ctrl-C ends the search with what is known.

    Exit codes: 0 a load was found, 99 not even --min holds, 96 the generator was the limit before
    any load was found, 130 interrupted.
    """
    pipeline = load(file, overrides=[*overrides, f'duration="{step}"'])
    knob = find_knob(pipeline)
    scope = _scope(knob, lowest, highest, precision)
    first_seed = secrets.randbelow(MAX_SEED) if seed is None else seed
    folder = create_run_folder(results)
    click.echo(heading(), err=as_json)
    tries: list[Try] = []
    going = begin(scope)
    answer, was_interrupted = None, False
    value = next(going)
    while answer is None:
        chosen = knob.overrides(value, Duration.parse(step), first_seed + len(tries))
        one = _try(file, [*overrides, *chosen], value, folder)
        if one is None:
            was_interrupted, answer = True, _give_up(going)
            break
        tries.append(one)
        click.echo(one.line(knob), err=as_json)
        try:
            value = going.send(one.verdict)
        except StopIteration as ended:
            answer = ended.value
        else:
            if not _waited(Duration.parse(cool_down).seconds):
                was_interrupted, answer = True, _give_up(going)
    return _report(tries, answer, knob, folder, as_json=as_json, was_interrupted=was_interrupted)


def _scope(knob: Knob, lowest: str | None, highest: str | None, precision: float) -> Scope:
    low = _load("--min", lowest or (_FEWEST_USERS if knob.is_users else _LOWEST), knob)
    high = _load("--max", highest or (_MOST_USERS if knob.is_users else _HIGHEST), knob)
    if low <= 0:
        raise UsageError(f"--min must be greater than 0, got {lowest}")
    if high < low:
        raise UsageError(f"--max must not be less than --min, got {highest} and {lowest}")
    return Scope(low, high, precision, is_whole=knob.is_users)


def _load(option: str, text: str, knob: Knob) -> float:
    if knob.is_users:
        if not text.isdecimal():
            raise UsageError(f"{option} must be a number of users, got {text}")
        return float(text)
    try:
        return float(Rate.parse(text))
    except UnitError as error:
        raise UsageError(f"{option}: {error}", hint=error.hint) from None


def _try(
    file: pathlib.Path, overrides: list[str], value: float, folder: pathlib.Path
) -> Try | None:
    """Run one load; None if somebody interrupted it."""
    pipeline: Pipeline = load(file, overrides=all_overrides(tuple(overrides), None, None, None))
    number = len(list(folder.glob("result_*"))) + 1
    try:
        code, result = run_loaded(pipeline, results=folder, quiet=True, screen=Silence())
    except KeyboardInterrupt:
        return None
    if code is ExitCode.FAILURE and result.failures:
        raise result.failures[0]
    if result.was_stopped and (result.ending is None or result.ending.code in _BY_SIGNAL):
        return None
    if result.summary is None:
        raise UsageError("a try came to no result")
    verdict, reason = verdict_of(code, result, int(pipeline.settings.validity.max_lag_p99))
    return Try(value, verdict, reason, f"result_{number}", result.summary)


def _waited(seconds: float) -> bool:
    """Wait that long; False if somebody interrupted it."""
    try:
        gc.collect()  # a run leaves its garbage to whoever has time
        time.sleep(seconds)
    except KeyboardInterrupt:
        return False
    return True


def _give_up(going: Search) -> Answer:
    """What is known when somebody has had enough."""
    try:
        going.throw(KeyboardInterrupt)
    except StopIteration as ended:
        answer: Answer = ended.value
        return answer
    raise AssertionError("unreachable: a search that is interrupted ends")


def _report(
    tries: list[Try],
    answer: Answer,
    knob: Knob,
    folder: pathlib.Path,
    *,
    as_json: bool,
    was_interrupted: bool,
) -> ExitCode:
    known = document(tries, answer, knob)
    write_whole(folder / "search.json", (json.dumps(known, indent=1) + "\n").encode())
    if as_json:
        click.echo(json.dumps(known))
    click.echo("\n" + "\n".join(answer_lines(answer, knob)), err=as_json)
    click.echo(f"files        {folder}", err=as_json)
    if was_interrupted:
        return ExitCode.INTERRUPTED
    if answer.sustained is not None:
        return ExitCode.OK
    is_invalid = answer.limit.name == "GENERATOR"
    return ExitCode.INVALID_RUN if is_invalid else ExitCode.THRESHOLDS_FAILED
