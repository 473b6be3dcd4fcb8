"""Options that several subcommands share, and how their values are read."""

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from flux.stage import Shard

F = TypeVar("F", bound=Callable[..., Any])


def read_shard(ctx: click.Context, option: click.Parameter, value: str) -> Shard:
    """Read `i/n`: part i of n, counted from 0."""
    index, slash, count = value.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()):
        raise click.BadParameter(f"{value!r} is not a shard, write 0/2 for the first of two")
    if not int(index) < int(count):
        raise click.BadParameter(f"{value!r}: the parts of {count} are 0 to {int(count) - 1}")
    return Shard(int(index), int(count))


FILE = click.Path(dir_okay=False, path_type=pathlib.Path)


def pipeline_options(command: F) -> F:
    """--set, --duration, --seed and --shard."""
    for option in (
        click.option(
            "--shard",
            metavar="I/N",
            default="0/1",
            callback=read_shard,
            help="Drive part I of N of the run, counted from 0.",
        ),
        click.option("--seed", type=int, help="Seed, in place of the file's."),
        click.option("--duration", metavar="D", help='Duration, as in "30s", for the file\'s.'),
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


def all_overrides(overrides: tuple[str, ...], duration: str | None, seed: int | None) -> list[str]:
    """The options as `KEY=VALUE`, the later winning."""
    found = list(overrides)
    if duration is not None:
        found.append(f'duration="{duration}"')
    if seed is not None:
        found.append(f"seed={seed}")
    return found
