"""Stages from TOML, as a pipeline file makes them."""

import importlib
from typing import Any

import tomli

from flux.config.structure import structure


def stage_class(use: str) -> Any:
    """The class of a built-in generator or shaper."""
    return getattr(importlib.import_module(f"flux.stages.{use}"), use.capitalize())


def load(use: str, text: str = "") -> Any:
    """A stage from the lines of its table, without `use`."""
    made, problems = structure(stage_class(use), tomli.loads(text))
    assert made is not None, problems
    return made


def load_sample(use: str) -> Any:
    """The stage that its own sample shows."""
    table = tomli.loads(stage_class(use).sample)["stage"][0]
    assert table.pop("use") == use
    made, problems = structure(stage_class(use), table)
    assert made is not None, problems
    return made


def problems(use: str, text: str = "") -> list[str]:
    """What is wrong with a table, each as `key rule`."""
    made, found = structure(stage_class(use), tomli.loads(text))
    assert (made is None) == bool(found)
    return [f"{'.'.join(map(str, one.path))} {one.rule}".strip() for one in found]
