"""`flux convert`: a run in the format of another tool."""

import pathlib
from typing import Any

import click

from flux.formats.convert import FORMATS, Wishes
from flux.formats.convert import convert as convert_file
from flux.formats.input import open_input
from flux.formats.output import STANDARD_OUTPUT
from flux.summary import LATENCIES

_HELP = "\n".join(f"  {name:<19}{text}" for name, text in FORMATS.items())


@click.command(epilog=f"\b\nFormats:\n{_HELP}")
@click.argument("run")
@click.option(
    "--to",
    "form",
    type=click.Choice(list(FORMATS)),
    required=True,
    metavar="FORMAT",
    help="What to write; see below.",
)
@click.option(
    "--out",
    default=STANDARD_OUTPUT,
    metavar="FILE|-",
    help="Where to; standard output if absent. For locust, what the paths begin with.",
)
@click.option(
    "--basis",
    type=click.Choice(["due", "start"]),
    help="What latencies of vegeta-json, vegeta-csv and jtl are counted from; due if absent.",
)
@click.option(
    "--latency",
    type=click.Choice(LATENCIES),
    help="Which latency hlog, hgrm, wrk and locust have; response if absent and known.",
)
@click.option("--step", metavar="NAME", help="Only this step, for hgrm.")
@click.option(
    "--results",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("results"),
    help="Folder of the run folders; ./results if absent.",
)
def convert(
    run: str,
    form: str,
    out: str,
    basis: Any,
    latency: str | None,
    step: str | None,
    results: pathlib.Path,
) -> None:
    """Write RUN in another format: the number of a run, its folder, or a file; - is standard input.

    The file may be another tool's: vegeta's JSON or CSV, k6's JSON or CSV, a JTL as CSV, an .hlog.
    Formats with a row per request need rows: the run has them if its pipeline has `csv` or
    `ndjson`. What is left out is said on stderr.
    """
    wishes = Wishes(basis=basis, latency=latency, step=step)
    with open_input(run, results) as found:
        for note in convert_file(found.path, form, out, wishes):
            click.echo(f"note: {found.told(note)}", err=True)
