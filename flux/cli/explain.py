"""`flux explain`: a stage's keys and a sample, from the class itself."""

import inspect
import textwrap
from collections.abc import Iterable, Iterator

import click

from flux.explain import Key, keys_of
from flux.registry import find_stages, load_stage
from flux.sample import runnable_sample
from flux.stage import kind_of


@click.command()
@click.argument("name")
def explain(name: str) -> None:
    """Explain the stage NAME: what it does, its keys, and a sample that runs as it is."""
    stage = load_stage(name)
    entry = find_stages()[name]
    click.echo(f"{name} - {kind_of(stage)}, from {entry.package} {entry.version}\n")
    click.echo(inspect.cleandoc(stage.__doc__ or ""))
    click.echo("\nKeys\n")
    for line in _key_lines(keys_of(stage), "  "):
        click.echo(line)
    click.echo("\nSample (save it, then: flux run sample.toml)\n")
    click.echo(textwrap.indent(runnable_sample(name, stage), "  ").rstrip())


def _key_lines(keys: Iterable[Key], indent: str) -> Iterator[str]:
    if not keys:
        yield f"{indent}none"
    for key in keys:
        yield f"{indent}{key.name} = {key.type_text}{_facts(key)}"
        yield from textwrap.wrap(
            key.meaning, 96, initial_indent=indent + "    ", subsequent_indent=indent + "    "
        )
        if key.keys:
            yield from _key_lines(key.keys, indent + "    ")


def _facts(key: Key) -> str:
    facts = [key.range_text] if key.range_text else []
    if key.default is None:
        facts.append("required")
    elif key.default:
        facts.append(f"default {key.default}")
    return f"  ({'; '.join(facts)})" if facts else ""
