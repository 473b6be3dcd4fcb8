"""`flux results`: what there is of runs that were made."""

import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
import click

from flux.attention import look_at
from flux.console import format_summary
from flux.errors import ExitCode, FluxError, UsageError
from flux.formats.run_files import find_rows
from flux.result_reading import read_back
from flux.runs.folders import RunFolder, State, find_run, find_runs
from flux.runs.following import follow
from flux.runs.listing import run_line, table
from flux.runs.repair import repair as repair_run
from flux.storage import storing

F = TypeVar("F", bound=Callable[..., Any])

RESULTS = click.option(
    "--results",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("results"),
    help="Folder of the run folders; ./results if absent.",
)
"""Where runs are."""


def _options(command: F) -> F:
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    return RESULTS(as_json(command))


@click.group(invoke_without_command=True)
@click.pass_context
def results(context: click.Context) -> None:
    """List, show, follow, remove and repair runs; list them if nothing else is asked for.

    A run N is its number, `last`, or the path of its folder.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_runs, results=pathlib.Path("results"), as_json=False)


@results.command("list")
@_options
def list_runs(results: pathlib.Path, as_json: bool) -> None:
    """List all runs: what each was, how it went, and whether its numbers can be trusted."""
    lines = [run_line(run) for run in find_runs(results)]
    if as_json:
        _print_json([attrs.asdict(line) for line in lines])
    elif not lines:
        click.echo(f"there are no runs in {results}", err=True)
    else:
        click.echo("\n".join(table(lines)))


@results.command()
@click.argument("run", metavar="N")
@_options
def show(run: str, results: pathlib.Path, as_json: bool) -> None:
    """Show the page of run N, as it was printed when the run ended."""
    found = find_run(run, results)
    document = found.result
    if document is None:
        hint = f"flux results repair {run}" if find_rows(found.path) else None
        raise FluxError(f"{found.title} ({found.state}) has no result", hint=hint)
    if as_json:
        _print_json(document)
        return
    state = found.state
    verdict = str(state) if state in (State.RUNNING, State.KILLED, State.REPAIRED) else ""
    summary, read_run = read_back(document, found.path)
    page = format_summary(
        summary,
        read_run,
        has_failed=state is State.FAILED,
        verdict=verdict,
        advice=look_at(summary),
    )
    click.echo(page, nl=False)


@results.command()
@click.argument("run", metavar="N")
@_options
def tail(run: str, results: pathlib.Path, as_json: bool) -> None:
    """Follow run N until it ends: its log, and how far it has come."""
    found = find_run(run, results)
    for kind, line in follow(found):
        if as_json:
            click.echo(json.dumps({kind: line}, ensure_ascii=False))
        else:
            click.echo(line if kind == "log" else f"  … {line}")
    if not as_json:
        click.echo(f"{found.title} is over: {RunFolder(found.path).state}", err=True)


@results.command()
@click.argument("runs", metavar="N...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_options
def rm(runs: Sequence[str], yes: bool, results: pathlib.Path, as_json: bool) -> None:
    """Remove runs with all their files; never one that goes on."""
    found: dict[pathlib.Path, RunFolder] = {}
    for one in runs:
        if pathlib.Path(one).is_file():
            raise UsageError(f"{one} is a file, and only whole runs are removed")
        folder = find_run(one, results)
        found[folder.path.resolve()] = folder
    for run in found.values():
        _check_removable(run)
    if not yes:
        names = ", ".join(str(run.path) for run in found.values())
        click.confirm(f"remove {names}?", abort=True, err=True)
    for run in found.values():
        _check_removable(RunFolder(run.path))
        with storing(run.path, "remove"):
            shutil.rmtree(run.path)
    if as_json:
        _print_json({"removed": [str(run.path) for run in found.values()]})
    else:
        click.echo(f"removed {', '.join(str(run.path) for run in found.values())}")


def _check_removable(run: RunFolder) -> None:
    if run.is_running:
        raise UsageError(f"{run.title} goes on, and is not removed", hint="stop it first")


@results.command()
@click.argument("run", metavar="N")
@_options
def repair(run: str, results: pathlib.Path, as_json: bool) -> ExitCode:
    """Make the result of run N, which was killed, from its rows.

    They are in requests.csv or requests.ndjson, if the pipeline had such a stage. What they do not
    tell is null in the result, which is marked as repaired.
    """
    document = repair_run(find_run(run, results))
    if as_json:
        _print_json({key: document[key] for key in ("Total", "Success", "Failure", "repaired")})
    else:
        made = document["repaired"]
        click.echo(
            f"made result.json from {made['rows']:,} rows of {made['source']}: "
            f"{document['Total']:,} requests, {document['Failure']:,} failed"
        )
    return ExitCode.OK


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
