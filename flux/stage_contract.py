"""What the class of a stage has to be, looked at before the first of them is made.

Each of these would show later, and then as something else: a class without its own decorator as an
unknown key, a coroutine that is none as a TypeError of the engine's.
"""

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import attrs

from flux.arrivals import ArrivalGenerator
from flux.config.structure import TYPE_TEXTS, field_types, key_of, strip_annotations
from flux.schemas import DEMAND, Schema
from flux.shaping import Shaper

_COROUTINES = ("produce", "run", "consume")

_OWN_KEYS = ("use", "name", "inputs")

_TYPES = (
    "types that a key can have are bool, int, float, str, Duration, Rate, Size, pathlib.Path, "
    "Literal[…], tuple[X, ...], Mapping[str, X], attrs classes, classes with from_toml, and any of "
    "these | None"
)


def faults_of(stage: Any) -> Iterator[str]:
    """What is wrong with what an entry point leads to, each as the end of a sentence about it."""
    if not isinstance(stage, type):
        yield f"must be a class, and is a {type(stage).__name__}"
        return
    if "__attrs_attrs__" not in vars(stage):
        yield "must be decorated itself: @attrs.frozen(kw_only=True)"
        return
    yield from _coroutine_faults(stage)
    yield from _missing_methods(stage)
    yield from _key_faults(stage)


def _coroutine_faults(stage: type) -> Iterator[str]:
    found = [name for name in _COROUTINES if callable(getattr(stage, name, None))]
    if len(found) != 1:
        yield "must have one of the coroutines produce, run and consume" + (
            f", and has {' and '.join(found)}" if found else ""
        )
        return
    name = found[0]
    if not inspect.iscoroutinefunction(getattr(stage, name)):
        yield f"must define {name} with async def, and without yield"
    if name != "produce":
        yield from _schema_fault(stage, "accepts", "(OUTCOME,)")
    if name != "consume":
        yield from _schema_fault(stage, "emits", "OUTCOME")


def _schema_fault(stage: type, name: str, example: str) -> Iterator[str]:
    value = inspect.getattr_static(stage, name, None)
    if isinstance(value, property):
        return
    kinds = value if name == "accepts" else (value,)
    is_right = isinstance(kinds, tuple) and kinds and all(isinstance(one, Schema) for one in kinds)
    if not is_right:
        kind = "tuple[Schema, ...]" if name == "accepts" else "Schema"
        yield f"must say what it {name}, as in {name}: ClassVar[{kind}] = {example}"


def _missing_methods(stage: type) -> Iterator[str]:
    """What a base leaves to its subclasses; one of the two is enough."""
    for base, names in ((Shaper, ("factor_at", "profile")), (ArrivalGenerator, _GAPS)):
        if issubclass(stage, base) and all(
            getattr(stage, name) is getattr(base, name) for name in names
        ):
            yield f"must define {' or '.join(names)}"
    paced = getattr(stage, "emits", None) is DEMAND and hasattr(stage, "produce")
    if paced and not hasattr(stage, "gap_blocks"):
        yield "must define gap_blocks, as ArrivalGenerator does, since it emits DEMAND"


_GAPS = ("gaps", "gap_blocks")


def _key_faults(stage: type) -> Iterator[str]:
    try:
        kinds = field_types(stage)
    except NameError as error:
        yield f"must import the types of its keys where they can be found: {error}"
        return
    for field in attrs.fields(stage):
        key = key_of(field)
        if not field.init:
            continue
        if key in _OWN_KEYS:
            yield f"must not have a key {key}: every stage has that one already"
        elif field.name not in kinds:
            yield f"must give its key {key} a type"
        elif not _is_readable(kinds[field.name]):
            kind = kinds[field.name]
            shown = kind.__name__ if type(kind) is type else str(kind)
            yield f"must give its key {key} another type than {shown}: {_TYPES}"


def _is_readable(kind: Any) -> bool:
    """Whether a value of TOML can be made into this type, strictly."""
    kind, _ = strip_annotations(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        rest = [one for one in arguments if one is not types.NoneType]
        return len(rest) == 1 and _is_readable(rest[0])
    if origin is tuple:
        return len(arguments) == 2 and arguments[1] is Ellipsis and _is_readable(arguments[0])
    if origin in (dict, Mapping):
        return arguments[0] is str and _is_readable(arguments[1])
    return (
        origin is Literal
        or kind in (Any, object)
        or kind in TYPE_TEXTS
        or hasattr(kind, "from_toml")
        or hasattr(kind, "from_file")
        or (isinstance(kind, type) and attrs.has(kind))
    )
