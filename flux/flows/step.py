"""One `[[stage.step]]` of a flow: a request, what is expected of it, and what is kept of it."""

import math
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

import attrs
import cattrs

from flux.config.locate import Path
from flux.config.problems import Violation
from flux.config.rules import above
from flux.config.structure import strict_converter
from flux.flows import encoding
from flux.flows.expect import NAME, Capture, Expect
from flux.flows.json_text import JsonPart, json_parts
from flux.flows.template import FUNCTIONS, Template, parse
from flux.units import Duration

OnFailure: TypeAlias = Literal["stop", "continue"]

METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
_BODIES: Final = ("json", "form", "body", "file")
_FULL_URL: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
_OF_THE_CLIENT: Final = frozenset({"host", "content-length", "connection", "transfer-encoding"})


@attrs.frozen
class Scalars:
    """Text, a number or true/false; or an array of those, for a name that is repeated."""

    type_text: ClassVar[str] = "text, a number, true or false, or an array of those"

    texts: tuple[str, ...]

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read one or an array."""
        return cls(tuple(_scalar(one) for one in (value if isinstance(value, list) else [value])))


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise Violation(f"must be {Scalars.type_text}")


@attrs.frozen
class _ThinkTable:
    min: Duration
    max: Duration

    def check(self) -> Iterator[Violation]:
        """In order."""
        if self.min > self.max:
            yield Violation("must not be longer than max", key="min")


@attrs.frozen
class Think:
    """How long a user thinks before the next step: a duration, or { min, max }."""

    type_text: ClassVar[str] = 'a duration, as in "2s", or { min = "1s", max = "3s" }'

    min: Duration
    max: Duration

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read "2s" or { min = "1s", max = "3s" }."""
        converter = strict_converter()
        if isinstance(value, dict):
            table = converter.structure(value, _ThinkTable)
            return cls(table.min, table.max)
        duration = converter.structure(value, Duration)
        return cls(duration, duration)


@attrs.frozen(kw_only=True)
class Step:
    """One request of a flow. Give exactly one of `get` … `options` and `request`."""

    name: str | None = None
    """What reports call it; "METHOD path" when absent."""
    get: str | None = None
    """Path and query to GET, below the target; placeholders are percent-encoded."""
    post: str | None = None
    """The same for POST."""
    put: str | None = None
    """The same for PUT."""
    patch: str | None = None
    """The same for PATCH."""
    delete: str | None = None
    """The same for DELETE."""
    head: str | None = None
    """The same for HEAD."""
    options: str | None = None
    """The same for OPTIONS."""
    request: str | None = None
    """Any other method and its path, as in "PROPFIND /files"."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Request headers, besides the flow's; a header of both is the step's."""
    query: Mapping[str, Scalars] = attrs.field(factory=dict)
    """Query parameters besides those in the path: text, numbers, true/false, or arrays of those."""
    json: object = None
    """Request body: any value, sent as JSON. Placeholders stand inside its strings."""
    form: Mapping[str, Scalars] | None = None
    """Request body: names and values, sent as an HTML form is."""
    body: str | None = None
    """Request body: text, sent as it is once its placeholders are filled."""
    file: pathlib.Path | None = None
    """Request body: a file, read once and sent as it is."""
    timeout: Annotated[Duration, above(0)] | None = None
    """From the start of the request to the end of its response; the flow's when absent."""
    expect: Expect = attrs.field(factory=Expect)
    """What the response must be for the step to succeed."""
    on_failure: OnFailure | None = None
    """"stop" ends the session, "continue" allows this step to fail; the flow's when absent."""
    think: Think | None = None
    """Pause before the next step: a duration, or { min, max } for a uniform one."""
    capture: Mapping[str, Capture] = attrs.field(factory=dict)
    """Values to keep of the response, which later steps use as {{name}}."""
    tags: Mapping[str, str] = attrs.field(factory=dict)
    """Names and values that thresholds pick steps by: { kind = "api" }; they are not sent."""

    @property
    def method(self) -> str:
        """In upper case."""
        return self._method_and_path()[0]

    @property
    def path(self) -> str:
        """Path and query as written."""
        return self._method_and_path()[1]

    @property
    def title(self) -> str:
        """What reports call it."""
        return self.name if self.name is not None else f"{self.method} {self.path}"

    @property
    def path_key(self) -> str:
        """The key that the path stands under."""
        return next((key for key in (*METHODS, "request") if getattr(self, key) is not None), "get")

    def _method_and_path(self) -> tuple[str, str]:
        key = self.path_key
        value = getattr(self, key) or ""
        if key != "request":
            return key.upper(), value
        method, _, path = value.partition(" ")
        return method.upper(), path.strip()

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Every text that may have placeholders, and where it stands."""
        yield (self.path_key,), self.path
        for name, text in self.headers.items():
            yield ("headers", name), text
        for key, table in (("query", self.query), ("form", self.form or {})):
            for name, values in table.items():
                yield (key, name), name
                for text in values.texts:
                    yield (key, name), text
        if self.body is not None:
            yield ("body",), self.body
        for part in self.json_parts():
            if part.kind != "syntax":
                yield ("json", *part.path), part.text

    def json_parts(self) -> Iterator[JsonPart]:
        """The JSON body, piece by piece; nothing without one."""
        if self.json is not None:
            yield from json_parts(self.json)

    def check(self) -> Iterator[Exception]:
        """Everything that can be said of a step alone."""
        if self.name is not None and not self.name.strip():
            yield Violation("must not be blank", key="name")
        yield from self._check_request()
        yield from self._check_headers()
        yield from self._check_body()
        yield from self._check_captures()
        yield from self._check_tags()
        for path, text in self.texts():
            try:
                self._check_template(path, parse(text))
            except Violation as violation:
                yield at(path, violation)

    def _check_request(self) -> Iterator[Violation]:
        given = [key for key in (*METHODS, "request") if getattr(self, key) is not None]
        if len(given) != 1:
            told = f", not {' and '.join(given)}" if given else ""
            yield Violation(f"must have exactly one of {', '.join(METHODS)} and request{told}")
            return
        if not encoding.is_header_name(self.method) or (given == ["request"] and not self.path):
            yield Violation('must be a method and a path, as in "PROPFIND /files"', key="request")
        elif _FULL_URL.match(self.path):
            scheme, _, rest = self.path.partition("://")
            host, _, path = rest.partition("/")
            hint = f'set target = "{scheme}://{host}" and write "/{path}" here'
            yield Violation("must be a path: the host is in target", key=given[0], hint=hint)
        elif not self.path.startswith("/"):
            hint = f'write "/{self.path}"'
            yield Violation("must be a path that begins with /", key=given[0], hint=hint)
        elif "#" in _without_placeholders(self.path):
            yield Violation("must not have a fragment: it is never sent", key=given[0])

    def _check_headers(self) -> Iterator[Exception]:
        for name, text in self.headers.items():
            if violation := header_violation(name, text):
                yield at(("headers", name), violation)

    def _check_body(self) -> Iterator[Exception]:
        given = [key for key in _BODIES if getattr(self, key) is not None]
        if len(given) > 1:
            yield Violation(f"cannot stand beside {given[0]}: there is one body", key=given[1])
        if self.file is not None and not self.file.is_file():
            yield Violation("must be a file that exists", key="file")
        for part in self.json_parts():
            if part.problem:
                yield at(("json", *part.path), Violation(part.problem))

    def _check_captures(self) -> Iterator[Exception]:
        for name in self.capture:
            if violation := name_violation(name):
                yield at(("capture", name), violation)

    def _check_tags(self) -> Iterator[Exception]:
        for name, value in self.tags.items():
            if not name or "=" in name or not f"{name}{value}".isprintable():
                rule = "must be one line of printable text, and its name not empty and without ="
                yield at(("tags", name), Violation(rule))

    def _check_template(self, path: Path, template: Template) -> None:
        whole = path[0] == "json" and len(template) == 1
        for part in template:
            if not isinstance(part, str) and part.as_number and not whole:
                raise Violation("must use |number only where it is all of a string in json")


def header_violation(name: str, text: str) -> Violation | None:
    """What is wrong with a request header, if anything."""
    if not encoding.is_header_name(name):
        return Violation("is not the name of a header")
    if name.lower() in _OF_THE_CLIENT:
        return Violation("must not be given: the client sets this header")
    if not encoding.fits_header(text):
        return Violation("must not have line breaks or other control characters")
    return None


def name_violation(name: str) -> Violation | None:
    """What is wrong with the name of a value, if anything."""
    if not NAME.fullmatch(name):
        return Violation("must be named with letters, digits and _, a digit not first")
    if name in FUNCTIONS:
        return Violation("must not have this name: it is taken")
    return None


def at(path: Path, violation: Violation) -> Exception:
    """A violation of what stands further down, in groups that carry the way there."""
    error: Exception = violation
    for part in reversed(path):
        error.add_note(cattrs.IterableValidationNote("at", part, object))
        error = cattrs.IterableValidationError("values", [error], object)
    return error


def _without_placeholders(text: str) -> str:
    """The literal text, or all of it if its placeholders cannot be read."""
    try:
        return "".join(part for part in parse(text) if isinstance(part, str))
    except Violation:
        return ""


def distinct_titles(steps: Sequence["Step"]) -> tuple[str, ...]:
    """The steps' titles; what several have in common gets a number from the second on."""
    titles: list[str] = []
    for step in steps:
        title, number = step.title, 1
        while title in titles:
            number += 1
            title = f"{step.title} #{number}"
        titles.append(title)
    return tuple(titles)
