"""The tables `expect` and `capture` of a step, as they are written."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Protocol, Self, TypeVar

import attrs
import jmespath
import jmespath.exceptions

from flux.config.problems import Violation
from flux.config.rules import above
from flux.config.structure import strict_converter
from flux.units import Duration

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""How values of a flow's own are named."""


class _Searchable(Protocol):
    def search(self, value: object) -> object:
        """What the expression gives for a decoded document."""


@attrs.frozen
class Pattern:
    """A regular expression, as Python's `re` reads it; it may match anywhere."""

    type_text: ClassVar[str] = "a regular expression"

    text: str
    compiled: re.Pattern[str] = attrs.field(repr=False, eq=False)

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read text."""
        if not isinstance(value, str):
            raise Violation("must be a regular expression")
        try:
            return cls(value, re.compile(value))
        except re.error as error:
            where = "" if error.pos is None else f" at character {error.pos + 1}"
            raise Violation(f"must be a regular expression ({error.msg}{where})") from None


@attrs.frozen
class JsonQuery:
    """A JMESPath expression, as in `data.user.id` or `items[0].name`."""

    type_text: ClassVar[str] = "a JMESPath expression, as in data.user.id or items[0].name"

    text: str
    names: tuple[str, ...] | None = attrs.field(repr=False, eq=False)
    """Where the expression is no more than names and dots, which a loop finds much faster."""
    compiled: _Searchable = attrs.field(repr=False, eq=False)

    def search(self, document: object) -> object:
        """What the expression gives; None where it makes no sense for this document."""
        if self.names is None:
            try:
                return self.compiled.search(document)
            except jmespath.exceptions.JMESPathError:
                return None
        for name in self.names:
            if not isinstance(document, dict):
                return None
            document = document.get(name)
        return document

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read text."""
        if not isinstance(value, str):
            raise Violation("must be a JMESPath expression")
        names = tuple(value.split("."))
        plain = names if all(map(NAME.fullmatch, names)) else None
        try:
            return cls(value, plain, jmespath.compile(value))
        except jmespath.exceptions.JMESPathError as error:
            position = getattr(error, "lex_position", None)
            where = "" if position is None else f" (character {position + 1} makes no sense)"
            raise Violation(
                f"must be a JMESPath expression{where}", hint="as in data.user.id or items[0].name"
            ) from None


@attrs.frozen
class Status:
    """One status, a class of them such as "2xx", or an array of those."""

    type_text: ClassVar[str] = 'a status such as 201, a class such as "2xx", or an array of those'

    allowed: frozenset[int]

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read 201, "2xx" or [200, "3xx"]."""
        parts = value if isinstance(value, list) and value else [value]
        return cls(frozenset(status for part in parts for status in _statuses(part)))


def _statuses(value: object) -> range:
    if type(value) is int and 100 <= value <= 599:
        return range(value, value + 1)
    if isinstance(value, str) and re.fullmatch("[1-5]xx", value):
        first = int(value[0]) * 100
        return range(first, first + 100)
    raise Violation(f"must be {Status.type_text}")


Table = TypeVar("Table")


def _short_or_table(cls: type[Table], value: object, short: str, text: str) -> dict[str, Any]:
    """The fields of a table that may be written short, as the text of its key `short`."""
    if isinstance(value, str):
        value = {short: value}
    if not isinstance(value, dict):
        raise Violation(f"must be {text}")
    made = strict_converter().structure(value, cls)
    return {field.name: getattr(made, field.name) for field in attrs.fields(cls)}  # type: ignore[arg-type]  # an attrs class


@attrs.frozen
class _TextTable:
    contains: str | None = None
    """Text that must occur in it; case matters."""
    equals: str | None = None
    """Text that it must be, exactly."""
    matches: Pattern | None = None
    """A regular expression that must match somewhere in it."""

    def check(self) -> Iterator[Violation]:
        """Refuse placeholders: what is expected is the same in every session."""
        for key in ("contains", "equals"):
            if "{{" in (getattr(self, key) or ""):
                yield _no_placeholders(key)


@attrs.frozen
class HeaderExpectation(_TextTable):
    """What a response header must be: text that it contains, or a table."""

    type_text: ClassVar[str] = "text, or a table with contains, equals or matches"

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read text or a table."""
        return cls(**_short_or_table(_TextTable, value, "contains", cls.type_text))


@attrs.frozen
class _BodyTable(_TextTable):
    json: Mapping[str, Any] = attrs.field(factory=dict)
    """JMESPath expressions into a JSON body, and the value that each must give."""

    def check(self) -> Iterator[Violation]:
        """Every expression must compile."""
        yield from super().check()
        for text, value in self.json.items():
            if isinstance(value, str) and "{{" in value:
                yield _no_placeholders("json")
            try:
                JsonQuery.from_toml(text)
            except Violation as violation:
                yield Violation(f"has a key {text!r} that {violation.rule}", key="json")


@attrs.frozen
class BodyExpectation(_BodyTable):
    """What a response body must be: text that it contains, or a table."""

    type_text: ClassVar[str] = "text, or a table with contains, equals, matches or json"

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read text or a table."""
        return cls(**_short_or_table(_BodyTable, value, "contains", cls.type_text))


def _no_placeholders(key: str) -> Violation:
    return Violation(
        "must not have placeholders: they stand in requests only", key=key, hint="use matches"
    )


@attrs.frozen(kw_only=True)
class Expect:
    """What the response must be for the step to succeed; all that is given must hold."""

    status: Status | None = None
    """Statuses that succeed, instead of the flow's rule: 201, "2xx", or an array of those."""
    header: Mapping[str, HeaderExpectation] = attrs.field(factory=dict)
    """For headers by name, case aside: text each must contain, or { contains, equals, matches }."""
    body: BodyExpectation | None = None
    """Text that it must contain, or { contains, equals, matches, json }."""
    latency: Annotated[Duration, above(0)] | None = None
    """Longest time from the start of the request to the end of its response."""


@attrs.frozen
class _CaptureTable:
    json: JsonQuery | None = None
    """A JMESPath expression into a JSON body."""
    header: str | None = None
    """A response header, by name, case aside."""
    regex: Pattern | None = None
    """Its first group, or all that it matches: in the header if one is named, else in the body."""

    def check(self) -> Iterator[Violation]:
        """One source."""
        if self.json is None and self.header is None and self.regex is None:
            yield Violation("must have one of json, header and regex")
        if self.json is not None and (self.header is not None or self.regex is not None):
            yield Violation("cannot stand beside header or regex", key="json")


@attrs.frozen
class Capture(_CaptureTable):
    """What to keep of a response: a JMESPath expression, or a table."""

    type_text: ClassVar[str] = "a JMESPath expression, or a table with json, header or regex"

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read text or a table."""
        return cls(**_short_or_table(_CaptureTable, value, "json", cls.type_text))
