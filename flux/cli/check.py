"""`flux check`: everything that is wrong with pipeline files, without running anything."""

import pathlib

import click

from flux.cli.options import FILE
from flux.cli.places import check_places
from flux.config.problems import InvalidPipeline
from flux.errors import ExitCode
from flux.pipeline import describe, load


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key.")
@click.option("--graph", is_flag=True, help="Also print the wiring, one edge a line.")
def check(files: tuple[pathlib.Path, ...], overrides: tuple[str, ...], graph: bool) -> int:
    """Check pipeline FILES. Needs no network and starts nothing."""
    code = ExitCode.OK
    for file in files:
        try:
            pipeline = load(file, overrides=overrides)
            check_places(pipeline)
        except InvalidPipeline as error:
            click.echo(f"error: {error}", err=True)
            code = ExitCode.INVALID_PIPELINE
            continue
        for warning in pipeline.document.warnings:
            click.echo(f"warning: {warning}", err=True)
        click.echo(f"{file}: ok, {len(pipeline.nodes)} stages", err=True)
        if graph:
            for line in describe(pipeline):
                click.echo(f"  {line}")
    return code
