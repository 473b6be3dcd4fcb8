"""`flux schema`: the JSON Schema of a file that flux writes."""

import json

import click

from flux.result_schema import result_schema


@click.command()
@click.argument("name", type=click.Choice(["result"]))
def schema(name: str) -> None:
    """Print the JSON Schema of NAME: result is result.json."""
    click.echo(json.dumps(result_schema(), indent=2, ensure_ascii=False))
