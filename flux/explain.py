"""What a stage's class says about itself: its keys with type, range, default and meaning.

Types come from the annotations, ranges from the rules beside them, meanings from the string literal
below each field. `flux explain`, and the tests of the docs, read nothing else.
"""

import ast
import inspect
import itertools
import pathlib
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import attrs

from flux.config.structure import TYPE_TEXTS, field_types, key_of, strip_annotations
from flux.units import Duration, Rate, Size


@attrs.frozen
class Key:
    """A key of a stage's table, or of a table within it."""

    name: str
    type_text: str
    """What its value has to be, for people."""
    range_text: str
    """Which values of that type are allowed; empty: all."""
    default: str | None
    """As TOML; None: it is required; empty: it is absent."""
    meaning: str
    keys: tuple["Key", ...] = ()
    """Of the table, or the tables, that it holds."""


def keys_of(cls: type) -> tuple[Key, ...]:
    """The keys of a stage's class, in order."""
    return tuple(_keys(cls, ()))


def _keys(cls: type, within: tuple[type, ...]) -> Iterator[Key]:
    meanings, kinds = field_meanings(cls), field_types(cls)
    for field in attrs.fields(cls):
        if not field.init:
            continue
        bare, rules = strip_annotations(_without_none(kinds[field.name]))
        bare, inner_rules = strip_annotations(_without_none(bare))
        texts = [rule.text for rule in (*rules, *inner_rules) if hasattr(rule, "text")]
        table = _table_class(bare)
        nested = table is not None and table not in within
        yield Key(
            name=key_of(field),
            type_text=type_text(bare),
            range_text=", ".join(text for text in texts if text),
            default=_default(field),
            meaning=meanings.get(field.name, ""),
            keys=tuple(_keys(table, (*within, cls))) if table is not None and nested else (),
        )


def type_text(kind: Any) -> str:
    """What a value of this type has to be, for people."""
    kind, _ = strip_annotations(_without_none(kind))
    if kind in TYPE_TEXTS:
        return TYPE_TEXTS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(_toml(one) for one in arguments)
    if origin is tuple:
        inner = type_text(arguments[0])
        return "array of tables" if inner == "a table" else f"array, each {inner}"
    if origin is not None and len(arguments) == 2:
        return f"table of names to {type_text(arguments[1])}"
    if hasattr(kind, "type_text"):
        return str(kind.type_text)
    if isinstance(kind, type) and attrs.has(kind):
        return "a table"
    return "any value" if kind in (Any, object) else getattr(kind, "__name__", str(kind))


def field_meanings(cls: type) -> dict[str, str]:
    """The string literal below each field of a class and of the classes it inherits from."""
    meanings: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if not attrs.has(one):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(one))
        except (OSError, TypeError):
            continue  # a class made at run time has no source to read
        meanings.update(_literals(ast.parse(source).body[0]))
    return meanings


def _literals(definition: ast.stmt) -> Iterator[tuple[str, str]]:
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value).replace("\n", " ")


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (typing.Union, types.UnionType):
        rest = [one for one in get_args(kind) if one is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def _table_class(kind: Any) -> type | None:
    if get_origin(kind) is tuple:
        kind = strip_annotations(get_args(kind)[0])[0]
    written: type | None = getattr(kind, "written_as", None)
    if written is not None:
        return written
    if hasattr(kind, "from_toml") or hasattr(kind, "from_file") or not isinstance(kind, type):
        return None
    return kind if attrs.has(kind) else None


def _default(field: "attrs.Attribute[Any]") -> str | None:
    if field.default is attrs.NOTHING:
        return None
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]  # Factory is a class at run time
        return ""
    # A table that is made when absent: its own keys say what is in it.
    return "" if attrs.has(type(field.default)) else _toml(field.default)


def _toml(value: Any) -> str:
    if value is None or value == () or value == {} or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, Duration, Rate, Size, pathlib.Path)):
        return f'"{value}"'
    return str(value)
