"""A frame of the live view as a picture for a terminal. Pure.

Strategy. Everything is rows of one line each, and each has a rank. What is too wide is cut with an
ellipsis. What does not fit the height is left out, the highest rank first, so the picture is never
larger than the terminal; where lines of one kind are left out, the last one that stays says how
many. Colours are few, and only those that can be read on dark and on light; none of them says
anything that the text does not.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flux.console import format_count, format_ns
from flux.screen.frames import Frame
from flux.screen.telling import Told, Tone, short, tell

SPARKS = "▁▂▃▄▅▆▇█"

WIDTH = 120
"""As wide as it gets, on a wider terminal, too."""

NAME_WIDTH = 11
"""Of the names before lines."""

_STYLES: Mapping[Tone, str] = {"bad": "bold red", "warn": "bold", "good": "", "quiet": ""}
_RANKS: Mapping[Tone, int] = {"bad": 2, "warn": 1, "good": 6, "quiet": 5}
_MOST_ERRORS = 4
_COLUMNS = ("requests", "failed", "p50", "p95", "p99", "max", "service p99")
_FIRST_TO_GO = ("max", "p50", "service p99", "p95")
"""Columns that are left out, one after another, until the names of steps have room."""
_FEWEST_FOR_NAMES = 12


@attrs.frozen
class Row:
    """One line of the picture."""

    rank: float
    """What has the lowest stays longest."""
    line: RenderableType
    kind: str = ""
    """Rows of one kind follow each other, and the last of them can say how many are left out."""
    name: str = ""
    """What is written before it, if the row above is not of the same kind."""


def draw(
    frame: Frame, rates_per_s: Sequence[float], width: int = WIDTH, height: int = 40
) -> RenderableType:
    """The whole view.

    Args:
        frame: as `flux.screen.frames` makes it.
        rates_per_s: requests per second, one for each interval up to now.
        width: of the terminal.
        height: lines that it may have, at the most.
    """
    width = max(1, min(width, WIDTH))
    rows = fitted(list(_rows(frame, rates_per_s, width)), height)
    above = [Row(0, ""), *rows]
    return Group(*(_written(row, before, width) for before, row in itertools.pairwise(above)))


def fitted(rows: Sequence[Row], height: int) -> list[Row]:
    """The rows that fit, in their order; the last of a kind that is cut says how many it lacks."""
    by_rank = sorted(range(len(rows)), key=lambda index: (rows[index].rank, index))
    chosen = sorted(by_rank[: max(1, height)])
    kept = [rows[index] for index in chosen]
    for kind in {row.kind for row in rows if row.kind}:
        places = [place for place, row in enumerate(kept) if row.kind == kind]
        missing = sum(row.kind == kind for row in rows) - len(places)
        if missing and len(places) > 1:
            last = places[-1]
            kept[last] = attrs.evolve(kept[last], line=Text(f"and {missing + 1} more", "dim"))
    return kept


def _written(row: Row, before: Row, width: int) -> RenderableType:
    line = row.line
    if not isinstance(line, Text):
        return line
    if row.name:
        label = "" if before.name == row.name else row.name
        line = Text.assemble((f"{label:<{NAME_WIDTH}}"[:NAME_WIDTH], "dim"), line)
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def sparkline(values: Sequence[float], width: int) -> str:
    """The last values as bars: an eighth of the largest each step, nothing for 0."""
    shown = values[-width:] if width > 0 else ()
    highest = max(shown, default=0.0)
    if highest <= 0:
        return " " * len(shown)
    return "".join(
        SPARKS[max(0, math.ceil(value / highest * 8) - 1)] if value > 0 else " " for value in shown
    )


def _rows(frame: Frame, rates_per_s: Sequence[float], width: int) -> Iterator[Row]:
    yield Row(0, _title(frame, width))
    yield Row(0.1, _progress(frame, width))
    yield Row(9, Text())
    told = [_row_of(one) for one in tell(frame, frame["phases"])]
    yield from (row for row in told if row.kind not in ("targets", "thresholds"))
    yield from _facts(frame, rates_per_s, width)
    yield Row(9, Text())
    yield from _steps(frame, width)
    yield Row(9, Text())
    yield from (row for row in told if row.kind in ("targets", "thresholds"))
    if errors := _most(frame["errors"]):
        yield Row(2.5, Text(errors, "red"), name="errors")
    newest = reversed(range(len(frame["marks"])))
    for age, mark in zip(newest, frame["marks"]):
        line = Text.assemble((f"{short(mark['time_ns'])}  ", "dim"), mark["text"])
        yield Row(7 + age / 10, line, name="last")


def _row_of(told: Told) -> Row:
    line = Text(told.text, _STYLES[told.tone])
    if told.text.startswith("✓"):
        line.stylize("green", 0, 1)
    rank = 3 if told.name == "plan" else _RANKS[told.tone]
    return Row(rank, line, kind=told.name, name=told.name)


def _title(frame: Frame, width: int) -> Text:
    state = f" {frame['state']} "
    seed = f"  seed {frame['seed']}"
    room = max(1, width - len(state) - len(seed) - 1)
    name = Text(frame["name"], "bold")
    name.truncate(room, overflow="ellipsis")
    gap = " " * max(1, width - name.cell_len - len(seed) - len(state))
    return Text.assemble(name, (seed, "dim"), gap, (state, "bold reverse"))


def _progress(frame: Frame, width: int) -> RenderableType:
    elapsed_ns, duration_ns = frame["elapsed_ns"], frame["duration_ns"]
    if duration_ns is None:
        return Text(f"{short(elapsed_ns)} so far; it runs until it is stopped", "dim")
    left_ns = max(0, duration_ns - elapsed_ns)
    done = min(1.0, elapsed_ns / duration_ns)
    text = f"  {done:.0%}  {short(elapsed_ns)} of {short(duration_ns)}"
    text += f", {short(left_ns)} left" if left_ns else ""
    room = width - len(text)
    if room < 10:
        return Text(text.strip())
    grid = Table.grid(padding=0, pad_edge=False)
    bar = ProgressBar(
        total=1.0, completed=done, width=room, complete_style="green", finished_style="green"
    )
    grid.add_row(bar, Text(text, no_wrap=True))
    return grid


def _facts(frame: Frame, rates_per_s: Sequence[float], width: int) -> Iterator[Row]:
    due, started = _rate(frame["due_per_s"]), _rate(frame["started_per_s"])
    yield Row(1.1, Text(f"{due} sessions due, {started} started"), name="rate")
    requests = f"{_rate(frame['requests_per_s'])} requests  "
    bars = sparkline(rates_per_s, min(60, width - NAME_WIDTH - len(requests)))
    yield Row(1.2, Text(requests + bars), name="achieved")
    under_way = "-" if frame["open_sessions"] is None else f"{frame['open_sessions']:,}"
    lag = frame["total"]["lag_ns"]
    told = f"{under_way} sessions under way, lag p99 {_time(lag['p99'])}, max {_time(lag['max'])}"
    yield Row(3.5, Text(told), name="load")
    counts = ", ".join(f"{count:,} {name}" for name, count in frame["sessions"].items() if count)
    yield Row(4, Text(counts or "none yet"), name="sessions")


def _steps(frame: Frame, width: int) -> Iterator[Row]:
    columns = _columns(width)
    heads = "".join(f"{name:>{_width(name)}}" for name in columns)
    room = width - len(heads)
    yield Row(2.1, Text(f"{_cut('so far', room)}{heads}", "dim"))
    hidden = frame["hidden_steps"]
    for place, step in enumerate(frame["steps"]):
        yield Row(4 + place / 100, _step(step, columns, room), kind="steps")
    if hidden:
        yield Row(4.9, Text(f"and {hidden} more steps, which the total has", "dim"))
    if len(frame["steps"]) != 1 or hidden:
        yield Row(1.3, _step(frame["total"], columns, room, style="bold"))


def _step(row: Mapping[str, Any], columns: Iterable[str], room: int, style: str = "") -> Text:
    response = row["response_ns"]
    cells = {
        "requests": f"{row['requests']:,}",
        "failed": f"{row['failures']:,}",
        **{name: _time(response[name]) for name in ("p50", "p95", "p99", "max")},
        "service p99": _time(row["service_ns"]["p99"]),
    }
    line = Text(_cut(row["name"], room), style)
    for name in columns:
        has_failed = name == "failed" and row["failures"]
        line.append(f"{cells[name]:>{_width(name)}}", "red" if has_failed else "")
    return line


def _columns(width: int) -> list[str]:
    """Those for which there is room."""
    shown = list(_COLUMNS)
    for name in _FIRST_TO_GO:
        if width - sum(map(_width, shown)) < _FEWEST_FOR_NAMES:
            shown.remove(name)
    return shown


def _width(column: str) -> int:
    return max(10 if column == "requests" else 9, len(column) + 2)


def _cut(text: str, width: int) -> str:
    """A text that is exactly so wide."""
    made = Text(text)
    made.truncate(max(0, width), overflow="ellipsis", pad=True)
    return made.plain


def _most(errors: Mapping[str, int]) -> str:
    by_count = sorted(errors.items(), key=lambda item: -item[1])
    texts = [f"{name}: {count:,}" for name, count in by_count[:_MOST_ERRORS]]
    rest = sum(count for _, count in by_count[_MOST_ERRORS:])
    return ", ".join([*texts, *([f"others: {rest:,}"] if rest else [])])


def _rate(per_s: float) -> str:
    return f"{format_count(per_s)}/s"


def _time(time_ns: Any) -> str:
    return "-" if time_ns is None else format_ns(time_ns)
