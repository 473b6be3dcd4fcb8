"""The words that a JSON Schema is written in: objects have every key of theirs, and no other."""

from collections.abc import Mapping
from typing import Any

Node = dict[str, Any]
"""A schema, or a part of one, as the json module has it."""


def record(description: str, properties: Mapping[str, Node]) -> Node:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def array(description: str, items: Node) -> Node:
    """An array of such items."""
    return {"type": "array", "description": description, "items": items}


def count(description: str) -> Node:
    """A whole number, at least 0."""
    return {"type": "integer", "minimum": 0, "description": description}


def whole(description: str) -> Node:
    """A whole number, below 0 too."""
    return {"type": "integer", "description": description}


def or_null(node: Node) -> Node:
    """The same, or null."""
    return {**node, "type": [node["type"], "null"]}


def reference(name: str) -> Node:
    """What `$defs` has under this name."""
    return {"$ref": f"#/$defs/{name}"}
