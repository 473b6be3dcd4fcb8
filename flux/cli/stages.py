"""`flux stages`: what can stand behind `use`."""

import json
from collections.abc import Iterator
from typing import Any

import click

from flux.blame import blaming
from flux.errors import ExitCode, FluxError
from flux.registry import StageEntry, find_stages
from flux.sample import sample_stage
from flux.stage import kind_of

_KINDS = ("generator", "shaper", "pacer", "executor", "collector", "transform", "sink")


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def stages(form: str) -> int:
    """List the installed stages: name, kind, what each accepts and emits, its package.

    What cannot be loaded is said on stderr, and the exit code is then 1.
    """
    rows, code = [], ExitCode.OK
    for entry in find_stages().values():
        try:
            rows.append(_row(entry))
        except FluxError as error:
            click.echo(f"error: {error}", err=True)
            code = error.exit_code
    rows.sort(key=lambda row: (_KINDS.index(row["kind"]), row["name"]))
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
        return code
    for line in _table([("name", "kind", "accepts", "emits", "package"), *map(_texts, rows)]):
        click.echo(line)
    return code


def _row(entry: StageEntry) -> dict[str, str]:
    stage = entry.load()
    accepts, emits = (_by_default(entry, stage, name) for name in ("accepts", "emits"))
    return {
        "name": entry.name,
        "kind": kind_of(stage),
        "accepts": " or ".join(schema.name for schema in accepts or ()) or "-",
        "emits": "-" if emits is None else "the same" if emits.name == "SAME" else emits.name,
        "package": f"{entry.package} {entry.version}".strip(),
    }


def _by_default(entry: StageEntry, stage: type[Any], name: str) -> Any:
    """What the class says; where that depends on keys, what it says with those of its sample."""
    said = getattr(stage, name, None)
    if not isinstance(said, property):
        return said
    with blaming(entry):
        return getattr(sample_stage(entry.name, stage), name)


def _texts(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row.values())


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
