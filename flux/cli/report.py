"""`flux report`: a run as a page to read, to print or to send."""

import pathlib
from collections.abc import Callable, Mapping

import click

from flux.formats.output import STANDARD_OUTPUT, open_output
from flux.formats.run_files import find_run
from flux.report.csv_table import csv_report
from flux.report.junit import junit_report
from flux.report.load import Material, load_material
from flux.report.page import html_report
from flux.report.plotly_script import load_plotly
from flux.report.texts import json_report, markdown_report

_TEXTS: Mapping[str, Callable[[Material], str]] = {
    "md": markdown_report,
    "json": json_report,
    "csv": csv_report,
    "junit": junit_report,
}
_NAMES = {"html": "report.html", **{form: f"report.{form}" for form in _TEXTS}} | {
    "junit": "junit.xml"
}


@click.command()
@click.argument("run")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_NAMES)),
    default="html",
    show_default=True,
    help="A page with charts, Markdown, JSON, CSV, or JUnit XML.",
)
@click.option(
    "--out",
    metavar="FILE|-",
    help="Where to; report.html (or .md, .json, .csv; junit.xml) beside the result if absent.",
)
@click.option(
    "--results",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("results"),
    help="Folder of the run folders; ./results if absent.",
)
def report(run: str, form: str, out: str | None, results: pathlib.Path) -> None:
    """Write a report of RUN: the number of a run, its folder, or its result.json.

    It opens with the verdict and has what result.json tells, with charts. The page needs no network
    and no other file. A run whose pipeline has `csv` or `ndjson` gets a heat map too. The path of
    what was written goes to standard output.
    """
    path = find_run(run, results)
    plotly = load_plotly() if form == "html" else ""
    material = load_material(path)
    text = html_report(material, plotly) if form == "html" else _TEXTS[form](material)
    target = out or str(material.file.with_name(_NAMES[form]))
    with open_output(target) as stream:
        stream.write(text.encode(errors="replace"))
    for note in material.notes:
        click.echo(f"note: {note}", err=True)
    if target != STANDARD_OUTPUT:
        click.echo(target)
