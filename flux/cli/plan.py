"""`flux plan`: what a run would do, with no clock and no traffic."""

import datetime
import json
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from flux.cli.options import FILE, all_overrides, pipeline_options
from flux.demand_picture import demand_html, demand_svg
from flux.pipeline import load
from flux.plan import Plan, PlannedPhase, Stretch, make_plan
from flux.schemas import ARRIVAL, DEMAND, Rows
from flux.stage import Shard
from flux.storage import write_whole
from flux.units import Duration

_BARS = " ▁▂▃▄▅▆▇█"
_CELLS = 60


@click.command()
@click.argument("file", type=FILE)
@pipeline_options
@click.option("--arrivals", is_flag=True, help="Every due time instead of the demand's rows.")
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text")
@click.option(
    "--start", metavar="TIME", help="Wall-clock start, as 2026-11-21T08:00, for schedules."
)
@click.option(
    "--plot",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    metavar="FILE",
    help="Draw the demand instead: a picture FILE.svg, or a page FILE.html.",
)
def plan(
    file: pathlib.Path,
    overrides: tuple[str, ...],
    duration: str | None,
    seed: int | None,
    shard: str | None,
    arrivals: bool,
    form: str,
    start: str | None,
    plot: pathlib.Path | None,
) -> None:
    """Show the demand and the arrivals of the pipeline FILE.

    Text is a picture and totals; csv and json have the demand row by row, or with --arrivals every
    due time. Times are nanoseconds since the run begins.
    """
    draw = _picture(plot)
    pipeline = load(file, overrides=all_overrides(overrides, duration, seed, shard))
    used_seed = pipeline.settings.seed if pipeline.settings.seed is not None else 0
    part = pipeline.settings.shard.shard if pipeline.settings.shard else Shard()
    wants_arrivals = arrivals and plot is None
    writer = _ArrivalWriter(form if form != "text" else "csv") if wants_arrivals else None
    made = make_plan(
        pipeline,
        seed=used_seed,
        shard=part,
        started_at=_start_time(start),
        take=writer.write if writer else lambda _: None,
    )
    if plot is not None:
        write_whole(plot, draw(made).encode())
    elif writer:
        writer.finish()
    elif form == "text":
        for line in text_lines(made, part):
            click.echo(line)
    elif form == "csv":
        _write(",".join((*DEMAND.columns, "arrivals")) + "\n")
        rows = zip(made.demand.tolist(), made.per_row.tolist())
        _write("".join(f"{a},{b},{c!r},{d!r},{n}\n" for (a, b, c, d), n in rows))
    else:
        click.echo(json.dumps(_as_json(made), indent=1))


def _picture(plot: pathlib.Path | None) -> Callable[[Plan], str]:
    """What draws a file of this name."""
    ending = plot.suffix.lower() if plot is not None else ".svg"
    if ending not in (".svg", ".html"):
        raise click.BadParameter(f"must end in .svg or .html, got {plot}", param_hint="--plot")
    return demand_svg if ending == ".svg" else demand_html


def text_lines(made: Plan, shard: Shard) -> Iterator[str]:
    """The plan for people: a picture, totals, the phases, and the stretches of one shape."""
    unit = "users" if made.is_closed else "/s"
    levels = made.levels(_CELLS)
    top = max(float(levels.max()), 1e-12)
    yield f"{made.name}  {Duration(made.duration_ns)}" + (
        f"  shard {shard}" if shard.count > 1 else ""
    )
    yield ""
    yield "  " + "".join(_BARS[round(float(level) / top * 8)] for level in levels)
    yield f"  0{str(Duration(made.duration_ns)).rjust(_CELLS - 1)}"
    yield ""
    what = "users join" if made.is_closed else "arrivals"
    mean = made.wanted / made.duration_ns * 1e9 if made.duration_ns else 0.0
    yield f"  {what:<12}{made.arrivals}"
    yield f"  {'peak':<12}{made.peak_level:.6g} {unit}"
    yield f"  {'mean':<12}{mean:.6g} {unit}"
    if made.first_due_ns is not None and made.last_due_ns is not None:
        yield f"  {'first, last':<12}{_seconds(made.first_due_ns)}, {_seconds(made.last_due_ns)}"
    if made.phases:
        yield ""
        heads = f"{'min':>8} {'mean':>8} {'max':>8}"
        yield f"  {'phase':<19} {'from':>10} {'to':>10} {heads} {what:>10}"
        for phase in made.phases:
            yield f"  {_phase_text(phase)}"
    yield ""
    yield f"  {'from':>12} {'to':>12} {'level':>22} {'wanted':>12} {what:>12}"
    for stretch in made.stretches():
        yield f"  {_stretch_text(stretch)}"


def _phase_text(phase: PlannedPhase) -> str:
    title = phase.title if len(phase.title) <= 19 else f"{phase.title[:18]}…"
    levels = (phase.min_level, phase.mean_level, phase.max_level)
    return (
        f"{title:<19} {_seconds(phase.start_ns):>10} {_seconds(phase.end_ns):>10} "
        + "".join(f"{level:>8.4g} " for level in levels)
        + f"{phase.arrivals:>10}"
    )


def _stretch_text(stretch: Stretch) -> str:
    level = f"{stretch.level:.6g}"
    if abs(stretch.end_level - stretch.level) > 1e-9 * max(1.0, abs(stretch.level)):
        level += f" → {stretch.end_level:.6g}"
    return (
        f"{_seconds(stretch.start_ns):>12} {_seconds(stretch.end_ns):>12} {level:>22} "
        f"{stretch.wanted:>12.1f} {stretch.arrivals:>12}"
    )


def _seconds(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3f}s"


def _as_json(made: Plan) -> dict[str, Any]:
    return {
        "schema": "flux.plan/1",
        "name": made.name,
        "unit": "users" if made.is_closed else "arrivals/s",
        "duration_ns": made.duration_ns,
        "arrivals": made.arrivals,
        "wanted": made.wanted,
        "peak_level": made.peak_level,
        "first_due_ns": made.first_due_ns,
        "last_due_ns": made.last_due_ns,
        "phases": [_phase_json(phase) for phase in made.phases],
        "demand": [
            {**dict(zip(DEMAND.columns, row)), "arrivals": count}
            for row, count in zip(made.demand.tolist(), made.per_row.tolist())
        ],
    }


def _phase_json(phase: PlannedPhase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "start_ns": phase.start_ns,
        "end_ns": phase.end_ns,
        "warmup": phase.is_warmup,
        "arrivals": phase.arrivals,
        "wanted": phase.wanted,
        "min_level": phase.min_level,
        "mean_level": phase.mean_level,
        "max_level": phase.max_level,
    }


class _ArrivalWriter:
    """Writes arrivals while they are planned, so that a plan of any length fits in memory."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._columns: tuple[str, ...] | None = None

    def write(self, rows: Rows) -> None:
        """Write a batch."""
        if self._columns is None:
            self._begin(rows.dtype.names or ())
        if self._form == "csv":
            _write("".join([f"{','.join(map(str, row))}\n" for row in rows.tolist()]))
        else:
            _write(
                "".join(
                    [
                        json.dumps(dict(zip(self._columns or (), row))) + "\n"
                        for row in rows.tolist()
                    ]
                )
            )

    def _begin(self, columns: tuple[str, ...]) -> None:
        self._columns = columns
        if self._form == "csv":
            _write(",".join(columns) + "\n")

    def finish(self) -> None:
        """Write the header even if there was nothing below it."""
        if self._columns is None:
            self._begin(ARRIVAL.columns)


def _start_time(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        return datetime.datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a time, write 2026-11-21T08:00 or with a zone 2026-11-21T08:00+01:00",
            param_hint="--start",
        ) from None


def _write(text: str) -> None:
    sys.stdout.write(text)
