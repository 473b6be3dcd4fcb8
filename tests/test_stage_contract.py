"""What a class has to be before a stage is made of it."""

# Annotations are looked at, so that some of them are wrong on purpose.
# mypy: disable-error-code="no-untyped-def, misc"

from typing import Annotated, Any, ClassVar, Literal

import attrs
import pytest

from flux.plug_in import (
    ARRIVAL,
    DEMAND,
    OUTCOME,
    ArrivalGenerator,
    Context,
    Duration,
    Inbox,
    NotEmpty,
    Outbox,
    Schema,
    Shaper,
)
from flux.registry import find_stages
from flux.stage_contract import faults_of


@attrs.frozen(kw_only=True)
class Good:
    """A sink."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)

    names: Annotated[tuple[str, ...], NotEmpty()] | None = None
    mode: Literal["a", "b"] = "a"
    table: dict[str, Duration] = attrs.field(factory=dict)
    part: "Part | None" = None

    async def consume(self, context: Context, inbox: Inbox) -> None: ...


@attrs.frozen(kw_only=True)
class Part:
    """A table within."""

    length: Duration


@attrs.frozen
class NoCoroutine:
    """Nothing."""


@attrs.frozen
class TwoCoroutines(Good):
    """A sink and a source."""

    emits: ClassVar[Schema] = OUTCOME

    async def produce(self, context: Context, outbox: Outbox) -> None: ...


class Undecorated(Good):
    """It has no key `extra`, whatever its author thinks."""

    extra: int = 1


@attrs.frozen
class Synchronous(Good):
    """Not a coroutine."""

    def consume(self, context: Context, inbox: Inbox) -> None:  # type: ignore[override]  # that is the fault
        ...


@attrs.frozen
class Yielding(Good):
    """An asynchronous generator."""

    async def consume(self, context: Context, inbox: Inbox) -> Any:
        yield 1


@attrs.frozen
class AcceptsNothing:
    """No accepts."""

    async def consume(self, context: Context, inbox: Inbox) -> None: ...


@attrs.frozen
class AcceptsOne(AcceptsNothing):
    """No tuple."""

    accepts = OUTCOME


@attrs.frozen
class AcceptsAsKey(AcceptsNothing):
    """A field, for want of ClassVar."""

    accepts: tuple[Schema, ...] = (OUTCOME,)


@attrs.frozen
class EmitsNothing:
    """A transform that does not say what it sends."""

    accepts = (ARRIVAL,)

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None: ...


@attrs.frozen(kw_only=True)
class NoFactor(Shaper):
    """Neither factor_at nor profile."""


@attrs.frozen(kw_only=True)
class NoGaps(ArrivalGenerator):
    """Neither gaps nor gap_blocks."""


@attrs.frozen
class NoGapBlocks:
    """A source of its own, whose gaps nobody can draw."""

    emits = DEMAND

    async def produce(self, context: Context, outbox: Outbox) -> None: ...


@attrs.frozen(kw_only=True)
class OwnKey(Good):
    """A key that every stage has."""

    name: str


@attrs.frozen(kw_only=True)
class Untyped(Good):
    """A field without a type."""

    length = attrs.field()  # type: ignore[var-annotated]  # that is the fault


@attrs.frozen(kw_only=True)
class List(Good):
    """A list would be read from a text, letter by letter."""

    lines: list[str]


@attrs.frozen(kw_only=True)
class Either(Good):
    """Two types at once."""

    length: int | str


@attrs.frozen(kw_only=True)
class Lost(Good):
    """A type that cannot be found."""

    length: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  # that is the fault


def test_a_good_class_has_no_faults() -> None:
    assert list(faults_of(Good)) == []


@pytest.mark.parametrize("name", list(find_stages()))
def test_built_in_stages_keep_the_contract(name: str) -> None:
    assert list(faults_of(find_stages()[name].load())) == []


@pytest.mark.parametrize(
    ("stage", "start"),
    [
        (len, "must be a class, and is a builtin_function_or_method"),
        (int, "must be decorated itself: @attrs.frozen"),
        (Undecorated, "must be decorated itself: @attrs.frozen"),
        (NoCoroutine, "must have one of the coroutines produce, run and consume"),
        (TwoCoroutines, "must have one of the coroutines produce, run and consume, and has"),
        (Synchronous, "must define consume with async def, and without yield"),
        (Yielding, "must define consume with async def, and without yield"),
        (AcceptsNothing, "must say what it accepts, as in accepts: ClassVar[tuple[Schema, ...]]"),
        (AcceptsOne, "must say what it accepts"),
        (AcceptsAsKey, "must say what it accepts"),
        (EmitsNothing, "must say what it emits, as in emits: ClassVar[Schema] = OUTCOME"),
        (NoFactor, "must define factor_at or profile"),
        (NoGaps, "must define gaps or gap_blocks"),
        (NoGapBlocks, "must define gap_blocks, as ArrivalGenerator does"),
        (OwnKey, "must not have a key name: every stage has that one already"),
        (Untyped, "must give its key length a type"),
        (List, "must give its key lines another type than list[str]: types that a key can have"),
        (Either, "must give its key length another type than int | str"),
        (Lost, "must import the types of its keys where they can be found: name 'Nowhere'"),
    ],
)
def test_a_fault_is_named(stage: Any, start: str) -> None:
    assert next(faults_of(stage)).startswith(start)
