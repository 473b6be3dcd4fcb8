"""A frame of the live view as a picture for a terminal. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flux.console import format_count, format_ns
from flux.screen.frames import Frame
from flux.units import Duration

SPARKS = "▁▂▃▄▅▆▇█"

WIDTH = 100
"""As wide as it gets, on a wider terminal, too."""

_MOST_ERRORS = 4


def draw(frame: Frame, rates_per_s: Sequence[float]) -> RenderableType:
    """The whole view.

    Args:
        frame: as `flux.screen.frames` makes it.
        rates_per_s: requests per second, one for each interval up to now.
    """
    parts = (
        _title(frame),
        *_progress(frame),
        Text(),
        *_facts(frame, rates_per_s),
        Text(),
        _steps(frame),
        *_lists(frame),
    )
    return Constrain(Group(*parts), WIDTH)


def sparkline(values: Sequence[float], width: int) -> str:
    """The last values as bars: an eighth of the largest each step, nothing for 0."""
    shown = values[-width:]
    highest = max(shown, default=0.0)
    if highest <= 0:
        return " " * len(shown)
    return "".join(
        SPARKS[max(0, math.ceil(value / highest * 8) - 1)] if value > 0 else " " for value in shown
    )


def _title(frame: Frame) -> Table:
    style = "bold green" if frame["state"] == "running" else "bold yellow"
    return _ends(
        Text.assemble((frame["name"], "bold"), f"  seed {frame['seed']}"),
        Text(frame["state"], style),
    )


def _progress(frame: Frame) -> Iterator[RenderableType]:
    elapsed_ns, duration_ns = frame["elapsed_ns"], frame["duration_ns"]
    if duration_ns is None:
        yield Text(f"{_seconds(elapsed_ns)} so far; it runs until it is stopped", "dim")
        return
    left_ns = max(0, duration_ns - elapsed_ns)
    done = min(1.0, elapsed_ns / duration_ns)
    grid = _grid()
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    text = f"  {done:.0%}  {_seconds(elapsed_ns)} of {_seconds(duration_ns)}"
    text += f", {_seconds(left_ns)} left" if left_ns else ""
    grid.add_row(ProgressBar(total=1.0, completed=done), Text(text))
    yield grid


def _facts(frame: Frame, rates_per_s: Sequence[float]) -> Iterator[RenderableType]:
    sessions = frame["sessions"]
    rate = f"{_rate(frame['target_per_s'])} sessions due, {_rate(frame['started_per_s'])} started"
    yield _field("target", Text(rate))
    requests = Text(f"{_rate(frame['requests_per_s'])} requests  ")
    requests.append(sparkline(rates_per_s, 40), "cyan")
    yield _field("achieved", requests)
    under_way = "-" if frame["open_sessions"] is None else f"{frame['open_sessions']:,} sessions"
    lag = frame["total"]["lag_ns"]
    told = f"{under_way} under way, lag p99 {_time(lag['p99'])}, max {_time(lag['max'])}"
    yield _field("load", Text(told))
    counts = ", ".join(f"{count:,} {name}" for name, count in sessions.items() if count)
    yield _field("sessions", Text(counts or "none yet"))


def _steps(frame: Frame) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True, header_style="dim")
    table.add_column("so far", ratio=1, no_wrap=True, overflow="ellipsis")
    for name in ("requests", "failed", "p50", "p95", "p99", "max", "service p99"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = [*frame["steps"]]
    if len(rows) != 1 or frame["hidden_steps"]:
        rows.append(frame["total"])
    for row in rows:
        response, service = row["response_ns"], row["service_ns"]
        failures = Text(f"{row['failures']:,}", "red" if row["failures"] else "")
        table.add_row(
            Text(row["name"], "bold" if row is frame["total"] else ""),
            f"{row['requests']:,}",
            failures,
            *(_time(response[name]) for name in ("p50", "p95", "p99", "max")),
            _time(service["p99"]),
        )
    return table


def _lists(frame: Frame) -> Iterator[RenderableType]:
    if frame["hidden_steps"]:
        yield Text(f"and {frame['hidden_steps']} more steps, which the total has", "dim")
    if errors := _most(frame["errors"]):
        yield _field("errors", Text(errors, "red"))
    if frame["notes"]:
        yield _field("notes", Text(", ".join(frame["notes"]), "yellow"))
    for mark in frame["marks"]:
        when = Text.assemble((f"{_seconds(mark['time_ns'])}  ", "dim"), mark["text"])
        yield _field("", when)


def _most(errors: Mapping[str, int]) -> str:
    by_count = sorted(errors.items(), key=lambda item: -item[1])
    texts = [f"{name}: {count:,}" for name, count in by_count[:_MOST_ERRORS]]
    rest = sum(count for _, count in by_count[_MOST_ERRORS:])
    return ", ".join([*texts, *([f"others: {rest:,}"] if rest else [])])


def _field(name: str, value: RenderableType) -> Table:
    grid = _grid()
    grid.add_column(width=10, style="dim")
    grid.add_column(ratio=1)
    grid.add_row(name, value)
    return grid


def _ends(left: RenderableType, right: RenderableType) -> Table:
    grid = _grid()
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    grid.add_row(left, right)
    return grid


def _grid() -> Table:
    return Table.grid(expand=True, padding=0, pad_edge=False)


def _rate(per_s: float) -> str:
    return f"{format_count(per_s)}/s"


def _time(time_ns: Any) -> str:
    return "-" if time_ns is None else format_ns(time_ns)


def _seconds(time_ns: int) -> str:
    return str(Duration(round(time_ns / 1e9) * 10**9))
