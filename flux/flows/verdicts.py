"""Judges and captures: what a response is worth to its step, and what later steps take from it.

A judge is a closure made for its step. Where only the status counts it is one comparison; where
more does, checks run in the order status, headers, body, captures, latency, and the first that
fails gives the error code. A body is decoded at most once, however many look into it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from flux.flows import encoding
from flux.flows.actions import Headers, Judge
from flux.flows.expect import (
    BodyExpectation,
    Capture,
    Expect,
    HeaderExpectation,
    JsonQuery,
)
from flux.schemas import ErrorCode

NONE = ErrorCode.NONE
Check: TypeAlias = Callable[["Response"], ErrorCode]
Fits: TypeAlias = Callable[[str], bool]


class _NotJson(Exception):
    """The body is not JSON."""


class Response:
    """What is looked at; the body is decoded when first asked for."""

    __slots__ = ("_document", "_is_decoded", "body", "given", "headers")

    def __init__(self, headers: Headers | None, body: bytes | None) -> None:
        self.given = (headers, body)
        self.headers: Headers = headers if headers is not None else {}
        self.body = body or b""
        self._document: object = None
        self._is_decoded = False

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 becomes U+FFFD."""
        return self.body.decode(errors="replace")

    @property
    def document(self) -> object:
        """The body as JSON.

        Raises:
            _NotJson: it cannot be decoded.
        """
        if not self._is_decoded:
            self._document = decode(self.body)
            self._is_decoded = True
        return self._document

    def search(self, query: JsonQuery) -> object:
        """What the expression gives; None where it makes no sense for this body.

        Raises:
            _NotJson: the body cannot be decoded.
        """
        return query.search(self.document)


def decode(body: bytes) -> object:
    """The JSON document in a body; NaN and infinities are not JSON.

    Raises:
        _NotJson: it is not JSON, or nested too deep to say.
    """
    try:
        text = body.decode()
        try:
            # What `decode` does, less two searches for white space that is seldom there.
            document, end = _DECODER.scan_once(text, 0)  # type: ignore[attr-defined]  # typeshed leaves it out
        except StopIteration:
            end = -1
        if end != len(text):
            document = _DECODER.decode(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise _NotJson from error
    return document


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def judge_status(
    status: int, headers: Headers | None, body: bytes | None, latency_ns: int
) -> ErrorCode:
    """The default rule: 2xx and 3xx succeed."""
    return NONE if status // 200 == 1 else ErrorCode.STATUS  # 200 to 399 is 200 × 1 + rest


def judge_userflux(
    status: int, headers: Headers | None, body: bytes | None, latency_ns: int
) -> ErrorCode:
    """The rule of userflux: 2xx and a JSON object. The status is looked at first."""
    return _check_object(Response(headers, body)) if status // 100 == 2 else ErrorCode.STATUS


def make_judge(expect: Expect, success: str, captures: "Captures | None") -> Judge:
    """The judge of a step.

    Args:
        expect: the step's expectations.
        success: the flow's rule, "status" or "userflux".
        captures: of the step, if it has any: one that fails is the step's failure.
    """
    checks = [_header_check(name.lower(), one) for name, one in expect.header.items()]
    if success == "userflux":
        checks.append(_check_object)
    if expect.body is not None:
        checks.append(_body_check(expect.body))
    if captures is not None:
        checks.append(captures.check)
    if expect.status is None and not expect.latency:
        if not checks:
            return judge_status
        if checks == [_check_object]:
            return judge_userflux
    allowed, error = _status_rule(expect, success)
    if checks or expect.latency:
        return _thorough(allowed, error, checks, expect.latency)
    return lambda status, headers, body, latency_ns: NONE if status in allowed else error


def wants_body(expect: Expect, success: str, captures: "Captures | None") -> bool:
    """True when the step's judge or captures read the body."""
    return (
        success == "userflux"
        or expect.body is not None
        or (captures is not None and captures.wants_body)
    )


def wants_headers(expect: Expect, captures: "Captures | None") -> bool:
    """True when the step's judge or captures read the headers."""
    return bool(expect.header) or (captures is not None and captures.wants_headers)


def _status_rule(expect: Expect, success: str) -> tuple[frozenset[int], ErrorCode]:
    if expect.status is not None:
        return expect.status.allowed, ErrorCode.EXPECT_STATUS
    return frozenset(range(200, 300 if success == "userflux" else 400)), ErrorCode.STATUS


def _thorough(
    allowed: frozenset[int], wrong: ErrorCode, checks: Sequence[Check], longest_ns: int | None
) -> Judge:
    def judge(
        status: int, headers: Headers | None, body: bytes | None, latency_ns: int
    ) -> ErrorCode:
        if status not in allowed:
            return wrong
        response = Response(headers, body)
        for check in checks:
            error = check(response)
            if error:
                return error
        if longest_ns is not None and latency_ns > longest_ns:
            return ErrorCode.EXPECT_LATENCY
        return NONE

    return judge


def _check_object(response: Response) -> ErrorCode:
    try:
        document = response.document
    except _NotJson:
        return ErrorCode.DECODE
    return NONE if isinstance(document, dict) else ErrorCode.EXPECT_BODY


def _header_check(name: str, expected: HeaderExpectation) -> Check:
    contains, equals = expected.contains, expected.equals
    pattern = expected.matches.compiled if expected.matches else None

    def check(response: Response) -> ErrorCode:
        value = response.headers.get(name)
        if (
            value is None
            or (contains is not None and contains not in value)
            or (equals is not None and equals != value)
            or (pattern is not None and not pattern.search(value))
        ):
            return ErrorCode.EXPECT_HEADER
        return NONE

    return check


def _body_check(expected: BodyExpectation) -> Check:
    contains = (expected.contains or "").encode()
    equals = None if expected.equals is None else expected.equals.encode()
    pattern = expected.matches.compiled if expected.matches else None
    queries = [(JsonQuery.from_toml(text), value) for text, value in expected.json.items()]

    def check(response: Response) -> ErrorCode:
        if contains not in response.body or (equals is not None and equals != response.body):
            return ErrorCode.EXPECT_BODY
        if pattern is not None and not pattern.search(response.text):
            return ErrorCode.EXPECT_BODY
        try:
            for query, value in queries:
                if not same(response.search(query), value):
                    return ErrorCode.EXPECT_BODY
        except _NotJson:
            return ErrorCode.DECODE
        return NONE

    return check


def same(found: object, wanted: object) -> bool:
    """Equality of JSON: numbers by value, but true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            same(one, wanted[key]) for key, one in found.items()
        )
    return found == wanted


@attrs.frozen
class Captures:
    """What one step keeps of its responses.

    The judge must know whether it can be had, and the session then has it: the last result is
    kept, so that the second does not decode the body again. What later steps could not use where
    they use it (a line break in a header, a word as a number) counts as not found.
    """

    captures: Mapping[str, Capture]
    fits: Mapping[str, tuple[Fits, ...]]
    """By name: what a value has to fulfil for the places where it is used."""
    _last: list[tuple[Headers | None, bytes | None, dict[str, str] | ErrorCode]] = attrs.field(
        factory=list, init=False, repr=False
    )

    @property
    def wants_headers(self) -> bool:
        """True when one of them reads a header."""
        return any(capture.header is not None for capture in self.captures.values())

    @property
    def wants_body(self) -> bool:
        """True when one of them reads the body."""
        return any(capture.header is None for capture in self.captures.values())

    def check(self, response: Response) -> ErrorCode:
        """Why not all can be had, or NONE."""
        found = self._find(response)
        self._last[:] = [(*response.given, found)]
        return found if isinstance(found, ErrorCode) else NONE

    def take(self, headers: Headers | None, body: bytes | None) -> dict[str, str]:
        """The values by name, of a response that the judge found good; nothing from another."""
        for last_headers, last_body, last_found in self._last:
            if last_headers is headers and last_body is body:
                return last_found if isinstance(last_found, dict) else {}
        found = self._find(Response(headers, body))
        return found if isinstance(found, dict) else {}

    def _find(self, response: Response) -> dict[str, str] | ErrorCode:
        values: dict[str, str] = {}
        for name, capture in self.captures.items():
            try:
                value = _captured(capture, response)
            except _NotJson:
                return ErrorCode.DECODE
            fits = value is not None and encoding.is_encodable(value)
            if value is None or not fits or not all(fit(value) for fit in self.fits.get(name, ())):
                in_header = capture.header is not None
                return ErrorCode.EXPECT_HEADER if in_header else ErrorCode.EXPECT_BODY
            values[name] = value
        return values


def _captured(capture: Capture, response: Response) -> str | None:
    if capture.json is not None:
        return _as_text(response.search(capture.json))
    text = response.text if capture.header is None else response.headers.get(capture.header.lower())
    if text is None or capture.regex is None:
        return text
    match = capture.regex.compiled.search(text)
    if match is None:
        return None
    return match[1] if match.re.groups else match[0]


def _as_text(value: object) -> str | None:
    """Text as it is, anything else as JSON has it; null is nothing."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
