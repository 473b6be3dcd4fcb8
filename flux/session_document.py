"""`session.toml`: the pipeline as it ran, so that running that file repeats the run.

It is the document after overrides and interpolation, with the seed filled in, file names made
absolute and a userflux script's steps written out, as what they name may change.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import attrs

from flux.config.structure import key_of
from flux.pipeline import Node, Pipeline


def session_document(pipeline: Pipeline, seed: int) -> dict[str, Any]:
    """The document that repeats the run."""
    document = dict(pipeline.document.values)
    stages = [dict(table) for table in document.pop("stage", ())]
    for node in pipeline.nodes:
        if node.path:
            index = int(node.path[1])
            stages[index] = _repeatable(node, stages[index])
    return {**document, "name": pipeline.name, "seed": seed, "stage": stages}


def _repeatable(node: Node, table: dict[str, Any]) -> dict[str, Any]:
    absolute: dict[str, Any] = _with_absolute_files(_with_steps(table, node.stage), node.stage)
    return absolute


def _with_steps(table: dict[str, Any], made: Any) -> dict[str, Any]:
    """The table with the steps of the scripts that it, or a flow of it, names."""
    tables = getattr(getattr(made, "script", None), "tables", None)
    if tables is not None:
        table = {key: value for key, value in table.items() if key != "script"}
        table["step"] = [dict(step) for step in tables]
    flows = getattr(made, "flow", ())
    if flows:
        table["flow"] = [_with_steps(one, flow) for one, flow in zip(table["flow"], flows)]
    return table


def _with_absolute_files(value: Any, made: Any) -> Any:
    """The plain value, with each file name as absolute as in what was made of it."""
    if isinstance(made, pathlib.Path):
        return str(made.absolute())
    if isinstance(value, dict) and attrs.has(type(made)):
        fields = {key_of(field): field.name for field in attrs.fields(type(made))}
        return {
            key: _with_absolute_files(one, getattr(made, fields[key])) if key in fields else one
            for key, one in value.items()
        }
    if isinstance(value, dict) and isinstance(made, Mapping):
        return {key: _with_absolute_files(one, made.get(key)) for key, one in value.items()}
    if isinstance(value, list) and isinstance(made, tuple) and len(value) == len(made):
        return [_with_absolute_files(one, other) for one, other in zip(value, made)]
    return value
