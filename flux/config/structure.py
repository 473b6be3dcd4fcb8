"""From a plain document to frozen attrs classes: strict at every depth, nothing coerced.

cattrs does the walking and carries the path of each error; the hooks here are exact where its
own would convert (`"5"` to 5, `True` to 1.0). A class may say more than types and rules can: its
`check(self)` yields `Violation`s about fields taken together. A value type of its own brings a
class method `from_toml(value)`, or `from_file(path)` for what a file holds; they raise `Violation`.
"""

import math
import pathlib
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import attrs
import cattrs
import cattrs.gen

from flux.config.locate import Path
from flux.config.problems import Problem, Violation, did_you_mean
from flux.units import Duration, Rate, Size, UnitError

T = TypeVar("T")

TYPE_TEXTS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Duration: 'a duration, as in "30s"',
    Rate: 'a rate, as in "20/s"',
    Size: 'a size, as in "64KiB"',
    pathlib.Path: "a file name",
}
"""What a value has to be, for people."""

_SUFFIXES: Mapping[type, str] = {Duration: "s", Rate: "/s", Size: "KiB"}


class _Violations(ExceptionGroup[Exception]):
    """What a class's `check` found."""


def structure(
    cls: type[T], value: object, path: Path = (), *, base: pathlib.Path | None = None
) -> tuple[T | None, list[Problem]]:
    """Make a `cls` of a document.

    Args:
        cls: an attrs class.
        value: what the parser made of the file, or a part of it.
        path: where that part stands in the document.
        base: folder that file names are relative to; the working directory if None.

    Returns:
        The instance and no problems, or None and at least one.
    """
    try:
        return strict_converter(base).structure(value, cls), []
    except (Violation, cattrs.BaseValidationError, _Violations) as error:
        return None, list(_problems(error, path))


def strict_converter(base: pathlib.Path | None = None) -> cattrs.Converter:
    """A converter whose hooks take exactly the type that is asked for."""
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    for kind in (bool, int, str):
        converter.register_structure_hook(kind, _exact(kind))
    converter.register_structure_hook(float, _number)
    for unit in (Duration, Rate, Size):
        converter.register_structure_hook(unit, _with_unit(unit))
    converter.register_structure_hook(pathlib.Path, _file_name(base))
    converter.register_structure_hook_func(lambda kind: kind is Any or kind is object, _anything)
    converter.register_structure_hook_func(_is_literal, _one_of)
    converter.register_structure_hook_factory(_is_mapping, lambda kind: _mapping(kind, converter))
    converter.register_structure_hook_factory(_is_tuple, lambda kind: _array(kind, converter))
    converter.register_structure_hook_factory(
        lambda kind: isinstance(kind, type) and attrs.has(kind),
        lambda kind: _table(kind, converter),
    )
    converter.register_structure_hook_func(
        lambda kind: hasattr(kind, "from_toml"), lambda value, kind: kind.from_toml(value)
    )
    converter.register_structure_hook_func(
        lambda kind: hasattr(kind, "from_file"),
        lambda value, kind: kind.from_file(_file_name(base)(value, kind)),
    )
    converter.register_structure_hook_factory(_is_annotated, lambda kind: _ruled(kind, converter))
    return converter


def strip_annotations(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """The bare type of an `Annotated`, and what stands beside it."""
    if _is_annotated(kind):
        inner, *extra = get_args(kind)
        return inner, tuple(extra)
    return kind, ()


def field_types(cls: type) -> dict[str, Any]:
    """Type of each field of an attrs class, with its `Annotated` extras."""
    return typing.get_type_hints(cls, include_extras=True)


def key_of(field: "attrs.Attribute[Any]") -> str:
    """The TOML key of a field: its name, less the underscore that spares a Python keyword."""
    return field.name.rstrip("_")


def _is_annotated(kind: Any) -> bool:
    return get_origin(kind) is Annotated


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in (dict, Mapping)


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _exact(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise Violation(f"must be {TYPE_TEXTS[kind]}")
        return value

    return hook


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise Violation("must be a number")
    if not math.isfinite(value):
        raise Violation("must be a finite number")
    return float(value)


def _with_unit(unit: Any) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) in (int, float):
            raise Violation(f"must be {TYPE_TEXTS[unit]}", hint=f'write "{value}{_SUFFIXES[unit]}"')
        if type(value) is not str:
            raise Violation(f"must be {TYPE_TEXTS[unit]}")
        try:
            return unit.parse(value)
        except UnitError as error:
            hint = error.hint or str(error)
            raise Violation(f"must be {TYPE_TEXTS[unit]}", hint=hint) from error

    return hook


def _file_name(base: pathlib.Path | None) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> pathlib.Path:
        if type(value) is not str or not value:
            raise Violation("must be a file name")
        return (base or pathlib.Path()) / value

    return hook


def _anything(value: Any, _: Any) -> Any:
    return value


def _one_of(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if not any(value == one and type(value) is type(one) for one in allowed):
        shown = ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in allowed)
        hint = did_you_mean(value, allowed) if isinstance(value, str) else None
        raise Violation(f"must be one of {shown}", hint=hint)
    return value


def _mapping(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    _, value_kind = get_args(kind)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Violation("must be a table")
        return dict(_each(value.items(), value_kind, converter))

    return hook


def _array(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    element = get_args(kind)[0]

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise Violation("must be an array")
        return tuple(made for _, made in _each(enumerate(value), element, converter))

    return hook


def _each(
    pairs: typing.Iterable[tuple[Any, Any]], kind: Any, converter: cattrs.Converter
) -> list[tuple[Any, Any]]:
    """Structure each value; what fails carries its key or index."""
    made, errors = [], []
    for key, value in pairs:
        try:
            made.append((key, converter.structure(value, kind)))
        except (Violation, cattrs.BaseValidationError, _Violations) as error:
            error.add_note(cattrs.IterableValidationNote("at", key, kind))
            errors.append(error)
    if errors:
        raise cattrs.IterableValidationError("values", errors, kind)
    return made


def _ruled(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    inner, rules = strip_annotations(kind)

    def hook(value: Any, _: Any) -> Any:
        made = converter.structure(value, inner)
        for rule in rules:
            if hasattr(rule, "check"):
                rule.check(made)
        return made

    return hook


def _table(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    keys: Any = {field.name: cattrs.override(rename=key_of(field)) for field in attrs.fields(kind)}
    fill = cattrs.gen.make_dict_structure_fn(
        kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **keys
    )

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Violation("must be a table")
        made = fill(value, kind)
        found = list(made.check()) if hasattr(made, "check") else []
        if found:
            raise _Violations("check", found)
        return made

    return hook


def _problems(error: BaseException, path: Path) -> Iterator[Problem]:
    """Walk an exception tree of cattrs; each leaf is a problem at the path of its notes."""
    if isinstance(error, Violation):
        tail = (error.key,) if error.key else ()
        yield Problem((*path, *tail), error.rule, error.hint)
    elif isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = [key_of(field) for field in attrs.fields(error.cl) if field.init]
        for key in sorted(error.extra_fields):
            hint = did_you_mean(key, known) or f"the keys are {', '.join(known)}"
            yield Problem(
                (*path, key), "is not a known key", hint, has_value=False, unknown_key=True
            )
    elif isinstance(error, KeyError) and path and error.args == (path[-1],):
        yield Problem(path, "is required", has_value=False)
    elif isinstance(error, ExceptionGroup):
        for one in error.exceptions:
            yield from _problems(one, (*path, *_steps(one)))
    else:
        raise error


def _steps(error: BaseException) -> Path:
    """The part of the path that cattrs noted on this error."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, cattrs.AttributeValidationNote):
            return (note.name.rstrip("_"),)
        if isinstance(note, cattrs.IterableValidationNote):
            return (note.index,)
    return ()
