"""`flux stages`: what can stand behind `use`."""

import json
from collections.abc import Iterator

import click

from flux.registry import StageEntry, find_stages
from flux.stage import kind_of

_KINDS = ("generator", "shaper", "pacer", "executor", "collector", "transform", "sink")


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def stages(form: str) -> None:
    """List the installed stages: name, kind, what each accepts and emits, its package."""
    rows = sorted(
        (_row(entry) for entry in find_stages().values()),
        key=lambda row: (_KINDS.index(row["kind"]), row["name"]),
    )
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for line in _table([("name", "kind", "accepts", "emits", "package"), *map(_texts, rows)]):
        click.echo(line)


def _row(entry: StageEntry) -> dict[str, str]:
    stage = entry.load()
    accepts = getattr(stage, "accepts", ())
    if isinstance(accepts, property):
        accepts = stage().accepts  # what it takes depends on its keys: say so for the defaults
    emits = getattr(stage, "emits", None)
    return {
        "name": entry.name,
        "kind": kind_of(stage),
        "accepts": " or ".join(schema.name for schema in accepts) or "-",
        "emits": "-" if emits is None else "the same" if emits.name == "SAME" else emits.name,
        "package": f"{entry.package} {entry.version}".strip(),
    }


def _texts(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row.values())


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
