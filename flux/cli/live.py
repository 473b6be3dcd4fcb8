"""`flux live`: look at a run that is going on, and steer it."""

import json
import pathlib
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from flux.console import format_count, format_ns
from flux.errors import UsageError
from flux.live.client import ask, find_running
from flux.live.protocol import COMMANDS, Request
from flux.runs.folders import find_path
from flux.screen.telling import tell
from flux.units import Duration, Rate, UnitError

TOLD = ("targets", "breaker", "budget", "next_spike_ns", "spike_factor")
"""What stages tell that has a line of its own already."""

_FACTOR = re.compile(r"[×x*]\s*(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*[×x]")


@click.command()
@click.argument("words", nargs=-1, metavar="[N] COMMAND [VALUE]")
@click.option("--factor", type=float, default=3.0, show_default=True, help="Of a spike.")
@click.option("--for", "seconds", default="20s", show_default=True, help="How long a spike lasts.")
@click.option("--json", "as_json", is_flag=True, help="The status as JSON.")
@click.option("--watch", is_flag=True, help="The status again each second, until Ctrl-C.")
@click.option(
    "--results",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("results"),
    help="Folder for the run folders; ./results if absent.",
)
def live(
    words: tuple[str, ...],
    factor: float,
    seconds: str,
    as_json: bool,
    watch: bool,
    results: pathlib.Path,
) -> None:
    """Look at run N, or the newest that is running, and steer it.

    \b
    status            how it is right now
    pause, resume     hold the level at 0, let the plan's through again
    rate ×1.5         multiply the plan's level (also 1.5x, or 200/s)
    spike             a rise for a while: --factor 3 --for 20s
    stop              no more arrivals, drain, report: as one Ctrl-C
    abort             give up what is in flight as well: as two

    Every change is logged and marked in the run's result.
    """
    number, rest = _number(words)
    request = _request(rest, factor, seconds)
    folder = find_running(results) if number is None else find_path(number, results)
    while True:
        status = ask(folder, request)
        _show(status, folder, as_json=as_json)
        if not (watch and request.command == "status"):
            return
        time.sleep(1)


def _number(words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    if words and words[0].isdecimal():
        return words[0], words[1:]
    return None, words


def _request(words: tuple[str, ...], factor: float, seconds: str) -> Request:
    if not words:
        return Request("status")
    command, *values = words
    if command not in COMMANDS:
        raise UsageError(f"no such command {command!r}", hint=f"there are {', '.join(COMMANDS)}")
    if values and command != "rate":
        raise UsageError(f"{command} takes no value, got {values[0]}")
    if command == "rate":
        return Request("rate", _rate(values))
    if command == "spike":
        return Request("spike", {"factor": factor, "seconds": _seconds(seconds)})
    return Request(command)


def _rate(values: list[str]) -> dict[str, float]:
    text = "".join(values)
    if match := _FACTOR.fullmatch(text):
        return {"factor": float(match[1] or match[2])}
    try:
        return {"per_s": float(Rate.parse(text))}
    except UnitError:
        raise UsageError(
            f"rate needs a factor or a rate, got {text!r}", hint="write ×1.5, x1.5 or 200/s"
        ) from None


def _seconds(text: str) -> float:
    try:
        return Duration.parse(text).seconds
    except UnitError as error:
        raise UsageError(f"--for: {error}", hint=error.hint) from None


def _show(status: dict[str, Any], folder: pathlib.Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(status))
        sys.stdout.flush()
        return
    click.echo("\n".join(status_lines(status, folder)))


def status_lines(status: dict[str, Any], folder: pathlib.Path) -> Iterator[str]:
    """The status for people; what is not known is a dash."""
    left = "" if status["left_ns"] is None else f", {_time(status['left_ns'])} left"
    yield f"{status['name']}  {status['state']}  {_time(status['elapsed_ns'])}{left}  {folder}"
    yield f"  due        {_rate_text(status['due_per_s'])} sessions"
    started, requests = _rate_text(status["started_per_s"]), _rate_text(status["requests_per_s"])
    yield f"  achieved   {started} sessions, {requests} requests"
    yield f"  open       {_count(status['open_sessions'])} sessions"
    total = status["total"] or {}
    response, lag = total.get("response_ns", {}), total.get("lag_ns", {})
    yield f"  requests   {_count(total.get('requests'))}, {_count(total.get('failures'))} failed"
    yield f"  response   p50 {_ns(response.get('p50'))}, p99 {_ns(response.get('p99'))}"
    yield f"  lag        p99 {_ns(lag.get('p99'))}, max {_ns(lag.get('max'))}"
    errors = ", ".join(f"{name}: {count:,}" for name, count in (status["errors"] or {}).items())
    if errors:
        yield f"  errors     {errors}"
    yield f"  control    level ×{status['control']['factor']:.4g}"
    for told in tell(status, status["phases"] or ()):
        yield f"  {told.name:<10} {told.text}"
    for stage, named in status["stages"].items():
        for what, value in named.items():
            if what not in TOLD:
                yield f"  {stage}.{what}  {json.dumps(value)}"
    for edge in status["edges"]:
        waiting = f"{edge['waiting_batches']} waiting, {edge['peak_batches']} at the most"
        yield f"  {edge['from']} → {edge['to']}  {edge['rows']:,} rows, batches: {waiting}"
    for mark in status["marks"]:
        yield f"  {_time(mark['time_ns'])}  {mark['text']}"


def _time(time_ns: int) -> str:
    return str(Duration(max(0, round(time_ns / 1e8)) * 10**8))


def _rate_text(per_s: float | None) -> str:
    return "-" if per_s is None else f"{format_count(per_s)}/s"


def _count(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _ns(time_ns: int | None) -> str:
    return "-" if time_ns is None else format_ns(time_ns)
