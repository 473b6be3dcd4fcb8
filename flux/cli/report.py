"""`flux report`: a run as a page to read, to print or to send."""

import pathlib
from collections.abc import Callable, Mapping

import click

from flux.cli.options import BASIS
from flux.formats.input import open_input
from flux.formats.output import STANDARD_OUTPUT, open_output
from flux.report.csv_table import csv_report
from flux.report.junit import junit_report
from flux.report.load import Material, load_material
from flux.report.page import html_report
from flux.report.plotly_script import load_plotly
from flux.report.texts import json_report, markdown_report
from flux.rows import Basis

_TEXTS: Mapping[str, Callable[[Material], str]] = {
    "md": markdown_report,
    "json": json_report,
    "csv": csv_report,
    "junit": junit_report,
}


@click.command()
@click.argument("run")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", *_TEXTS]),
    default="html",
    show_default=True,
    help="A page with charts, Markdown, JSON, CSV, or JUnit XML.",
)
@click.option(
    "--out",
    metavar="FILE|-",
    help="Where to; report.html (or .md, .json, .csv; junit.xml) beside the result if absent.",
)
@BASIS
@click.option(
    "--results",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("results"),
    help="Folder of the run folders; ./results if absent.",
)
def report(
    run: str, form: str, out: str | None, basis: Basis | None, results: pathlib.Path
) -> None:
    """Write a report of RUN: the number of a run, its folder, its result.json, or another's file.

    That is what vegeta, k6, JMeter, wrk, Locust or HdrHistogram have written; - is standard input.

    It opens with the verdict and has what result.json tells, with charts. The page needs no network
    and no other file. A run whose pipeline has `csv` or `ndjson` gets a heat map too. The path of
    what was written goes to standard output.
    """
    plotly = load_plotly() if form == "html" else ""
    with open_input(run, results) as source:
        material = load_material(source, basis)
    text = html_report(material, plotly) if form == "html" else _TEXTS[form](material)
    target = out or str(material.beside("junit.xml" if form == "junit" else f"report.{form}"))
    with open_output(target) as stream:
        stream.write(text.encode(errors="replace"))
    for note in material.notes:
        click.echo(f"note: {note}", err=True)
    if target != STANDARD_OUTPUT:
        click.echo(target)
