"""A JSON body taken apart: its syntax, and the strings in it that may have placeholders."""

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from typing import Literal

import attrs

from flux.config.locate import Path


@attrs.frozen
class JsonPart:
    """A piece of a JSON text."""

    path: Path
    """Of the value that it belongs to."""
    text: str
    """Of syntax, numbers, true and false as JSON has them; of strings the text itself."""
    kind: Literal["syntax", "string", "key"] = "syntax"
    problem: str | None = None
    """Why JSON cannot have the value, if it cannot."""


def json_parts(value: object, path: Path = ()) -> Iterator[JsonPart]:
    """The pieces of a value that a TOML parser made, in order and without needless spaces."""
    if isinstance(value, str):
        yield JsonPart(path, value, "string")
    elif isinstance(value, Mapping):
        yield from _table(value, path)
    elif isinstance(value, (list, tuple)):
        yield JsonPart(path, "[")
        for index, one in enumerate(value):
            if index:
                yield JsonPart(path, ",")
            yield from json_parts(one, (*path, index))
        yield JsonPart(path, "]")
    elif isinstance(value, (datetime.date, datetime.time)):
        yield JsonPart(path, value.isoformat(), "string")
    elif isinstance(value, float) and not math.isfinite(value):
        yield JsonPart(path, "null", problem="must be finite: JSON has no inf and no nan")
    elif value is None or isinstance(value, (bool, int, float)):
        yield JsonPart(path, json.dumps(value))
    else:
        yield JsonPart(path, "null", problem="must be something that JSON can have")


def _table(value: Mapping[str, object], path: Path) -> Iterator[JsonPart]:
    yield JsonPart(path, "{")
    for index, (key, one) in enumerate(value.items()):
        if index:
            yield JsonPart(path, ",")
        yield JsonPart((*path, key), key, "key")
        yield JsonPart(path, ":")
        yield from json_parts(one, (*path, key))
    yield JsonPart(path, "}")
