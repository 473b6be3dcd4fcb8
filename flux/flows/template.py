"""Placeholders in text: `{{random.text(10)}}`, `{{seq}}`, `{{token}}`.

    template     =  literal text and placeholders
    placeholder  =  "{{" ( value [ "|number" ] | text ) "}}"
    value        =  name [ "(" [ argument { "," argument } ] ")" ]
    argument     =  whole number | text
    text         =  "…" or '…', with a backslash before a quote or a backslash

In a longer run of opening braces the last two open the placeholder. `{{"{{"}}` is a literal `{{`.
Environment variables are no business of templates: `${NAME}` was expanded before.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import attrs

from flux.config.problems import Violation, did_you_mean
from flux.flows.draws import (
    LONGEST_TEXT,
    ArrivalNumber,
    Draw,
    RandomChoice,
    RandomHex,
    RandomInt,
    RandomText,
    RandomUuid,
)

LiveKind: TypeAlias = Literal["user", "time.unix", "time.unix_ms", "time.iso"]

FUNCTIONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "random.text": ("random.text(N)", "N letters and digits"),
        "random.hex": ("random.hex(N)", "N hexadecimal digits"),
        "random.int": ("random.int(LOW, HIGH)", "a whole number from LOW to HIGH, both included"),
        "random.uuid": ("random.uuid", "a random UUID (version 4)"),
        "random.choice": ('random.choice("a", "b")', "one of these texts"),
        "seq": ("seq", "the number of the arrival or iteration, from 0"),
        "user": ("user", "the number of the virtual user, from 0"),
        "time.unix": ("time.unix", "seconds since 1970 when the request is made"),
        "time.unix_ms": ("time.unix_ms", "milliseconds since 1970 when the request is made"),
        "time.iso": ("time.iso", "UTC when the request is made, as 2024-05-31T12:00:00.000Z"),
    }
)
"""What a placeholder may name besides values of its own flow: how it is written, what it gives."""

_FORMER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uuid": "random.uuid",
        "random": "random.int(LOW, HIGH)",
        "random_string": "random.text(N)",
        "timestamp": "time.unix",
        "now": "time.iso",
        "date": "time.iso",
        "iteration": "seq",
        "vu": "user",
    }
)
"""What other load generators call them."""


@attrs.frozen
class Live:
    """A value that is known only when the request is made."""

    kind: LiveKind

    @property
    def is_number(self) -> bool:
        """True when JSON may have it without quotes."""
        return self.kind != "time.iso"


@attrs.frozen
class Named:
    """A value of the flow's own: from `let`, or captured by an earlier step."""

    name: str


@attrs.frozen
class Placeholder:
    """A place in a text, and what fills it."""

    meaning: Draw | Live | Named
    as_number: bool
    """True with the filter `|number`: JSON is to have it without quotes."""
    position: int
    """Of its first brace, counted from 1."""


Template: TypeAlias = tuple[str | Placeholder, ...]


def parse(text: str) -> Template:
    """Take a text apart.

    Raises:
        Violation: a placeholder cannot be read, or names a function that does not exist.
    """
    parts: list[str | Placeholder] = []
    end = 0
    while (start := text.find("{{", end)) >= 0:
        while text.startswith("{{{", start):
            start += 1
        parts.append(text[end:start])
        part, end = _Reader(text, start).read()
        parts.append(part)
    parts.append(text[end:])
    return _merged(parts)


def unknown_name(name: str, known: Iterable[str]) -> Violation:
    """What to say of a name that nothing defines."""
    hint = None
    if name in _FORMER_NAMES:
        hint = f"write {{{{{_FORMER_NAMES[name]}}}}}"
    elif not (hint := did_you_mean(name, [*known, *FUNCTIONS])):
        own = ", ".join(known)
        hint = f"let and earlier captures define {own}" if own else "nothing is defined in let"
    return Violation(f"must not use the unknown name {name!r}", hint=hint)


def _merged(parts: Iterable[str | Placeholder]) -> Template:
    merged: list[str | Placeholder] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged)


_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
      | (?P<number>[+-]?[0-9]+)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<mark>}}|[(),|])
    )""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


class _Reader:
    """Reads one placeholder, token by token."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self._end = start + 2

    def read(self) -> tuple[str | Placeholder, int]:
        """The placeholder, or the text that it stands for; and where the rest begins."""
        token = self._next()
        if token.kind == "text":
            self._expect("}}")
            return _unquoted(token.text), self._end
        if token.kind != "name":
            raise self._refusal(token, "a name")
        arguments = self._arguments()
        meaning = self._meaning(token, arguments)
        as_number = self._filter(meaning)
        self._expect("}}")
        return Placeholder(meaning, as_number, self._start + 1), self._end

    def _next(self) -> _Token:
        if not self._text[self._end :].strip():
            raise Violation(f"must close the placeholder at character {self._start + 1} with }}}}")
        match = _TOKEN.match(self._text, self._end)
        if match is None:
            rest = self._text[self._end :].lstrip()
            raise self._refusal(_Token("", rest[0], len(self._text) - len(rest) + 1), "a name")
        self._end = match.end()
        kind = match.lastgroup or ""
        return _Token(kind, match[kind], match.start(kind) + 1)

    def _peek(self) -> str:
        match = _TOKEN.match(self._text, self._end)
        return match["mark"] or "" if match else ""

    def _expect(self, mark: str) -> None:
        token = self._next()
        if token.text != mark:
            raise self._refusal(token, mark)

    def _arguments(self) -> tuple[int | str, ...]:
        if self._peek() != "(":
            return ()
        self._next()
        arguments: list[int | str] = []
        if self._peek() == ")":
            self._next()
            return ()
        while True:
            token = self._next()
            if token.kind == "number" and len(token.text) <= 20:
                arguments.append(int(token.text))
            elif token.kind == "text":
                arguments.append(_unquoted(token.text))
            else:
                raise self._refusal(token, "a whole number or a quoted text")
            token = self._next()
            if token.text == ")":
                return tuple(arguments)
            if token.text != ",":
                raise self._refusal(token, ", or )")

    def _filter(self, meaning: Draw | Live | Named) -> bool:
        if self._peek() != "|":
            return False
        self._next()
        token = self._next()
        if token.text != "number":
            raise Violation(f"must not use the unknown filter {token.text!r}", hint="write |number")
        if not isinstance(meaning, Named) and not meaning.is_number:
            raise Violation("must use |number only with a value that is a number")
        return True

    def _meaning(self, token: _Token, arguments: tuple[int | str, ...]) -> Draw | Live | Named:
        name = token.text
        made = _built_in(name, arguments)
        if made is not None:
            return made
        if name in FUNCTIONS:
            raise Violation(f"must write {FUNCTIONS[name][0]}, at character {token.position}")
        if "." in name or arguments:
            raise unknown_name(name, ())
        return Named(name)

    def _refusal(self, token: _Token, wanted: str) -> Violation:
        return Violation(
            f"must have {wanted} at character {token.position}, where {token.text!r} stands",
            hint='a literal {{ is written {{"{{"}}',
        )


def _built_in(name: str, arguments: tuple[int | str, ...]) -> Draw | Live | None:
    match (name, *arguments):
        case ("random.text", int(length)):
            return RandomText(_length(length))
        case ("random.hex", int(length)):
            return RandomHex(_length(length))
        case ("random.int", int(low), int(high)):
            return _random_int(low, high)
        case ("random.uuid",):
            return RandomUuid()
        case ("random.choice", str(), *_) if all(isinstance(one, str) for one in arguments):
            return RandomChoice(tuple(str(one) for one in arguments))
        case ("seq",):
            return ArrivalNumber()
        case ("user" | "time.unix" | "time.unix_ms" | "time.iso" as kind,):
            return Live(kind)
        case _:
            return None


def _length(length: int) -> int:
    if not 1 <= length <= LONGEST_TEXT:
        raise Violation(f"must ask for 1 to {LONGEST_TEXT} random characters, not {length}")
    return length


def _random_int(low: int, high: int) -> RandomInt:
    if not -(2**63) <= low <= high < 2**63:
        raise Violation(
            f"must have LOW and HIGH in ascending order and within 64 bits in "
            f"random.int({low}, {high})"
        )
    return RandomInt(low, high)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
