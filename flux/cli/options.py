"""Options that several subcommands share, and how their values are read."""

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from flux.config.problems import Violation
from flux.graph import ShardText
from flux.rows import Basis
from flux.units import Duration, UnitError

F = TypeVar("F", bound=Callable[..., Any])


def check_shard(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The text, if it is a shard."""
    try:
        if value is not None:
            ShardText.from_toml(value)
    except Violation as error:
        raise click.BadParameter(f"{value!r} {error.rule}") from None
    return value


def check_duration(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The text, if it is a duration."""
    try:
        if value is not None:
            Duration.parse(value)
    except UnitError as error:
        raise click.BadParameter(f"{error}" + (f"; {error.hint}" if error.hint else "")) from None
    return value


FILE = click.Path(dir_okay=False, path_type=pathlib.Path)

BASIS = click.option(
    "--basis",
    type=click.Choice(get_args(Basis)),
    help="What latencies are counted from in another tool's file that does not say so; start, as "
    "these tools do, if absent.",
)


def pipeline_options(command: F) -> F:
    """--set, --duration, --seed and --shard."""
    for option in (
        click.option(
            "--shard",
            metavar="I/N",
            callback=check_shard,
            help="Drive part I of N of the run, counted from 0.",
        ),
        click.option("--seed", type=click.IntRange(min=0), help="Seed, in place of the file's."),
        click.option(
            "--duration",
            metavar="D",
            callback=check_duration,
            help='Duration, as in "30s", for the file\'s.',
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set a key: --set http.target=http://127.0.0.1:8080 (may be repeated).",
        ),
    ):
        command = option(command)
    return command


def all_overrides(
    overrides: tuple[str, ...], duration: str | None, seed: int | None, shard: str | None
) -> list[str]:
    """The options as `KEY=VALUE`, the later winning."""
    found = list(overrides)
    if duration is not None:
        found.append(f'duration="{duration}"')
    if seed is not None:
        found.append(f"seed={seed}")
    if shard is not None:
        found.append(f'shard="{shard}"')
    return found
