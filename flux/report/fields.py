"""Reading a result defensively: a key that is missing or odd is as if there were none.

A result may be of a newer or older flux, or of a run that was killed; what can be shown of it is.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

Fields: TypeAlias = Mapping[str, Any]
"""An object of result.json."""


def table(fields: Fields, *names: str) -> Fields:
    """The object at the end of these keys; an empty one if there is none."""
    for name in names:
        value = fields.get(name)
        if not isinstance(value, dict):
            return {}
        fields = value
    return fields


def tables(fields: Fields, name: str) -> list[Fields]:
    """The objects in an array."""
    value = fields.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(fields: Fields, name: str) -> str:
    """A text; empty if there is none."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def number(fields: Fields, name: str) -> float | None:
    """A finite number."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def main_latency(document: Fields) -> str:
    """Which latency comes first: the response time, unless only the service time is known."""
    response, service = (
        count(table(document, "latency", name), "count") for name in ("response", "service")
    )
    return "service" if service and not response else "response"


def count(fields: Fields, name: str) -> int:
    """A whole number; 0 if there is none."""
    return int(number(fields, name) or 0)
