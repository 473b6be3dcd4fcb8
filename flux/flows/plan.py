"""From a step to its request plan: constant bytes, and the places that values fill."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import attrs

from flux.flows import encoding
from flux.flows.actions import Judge, RequestPlan, Text
from flux.flows.draws import Draw
from flux.flows.encoding import Encode
from flux.flows.sessions import Blank
from flux.flows.step import Scalars, Step
from flux.flows.template import Live, Named, Placeholder, parse


@attrs.frozen(eq=False)
class Drawn:
    """A random value with its slot; two places that have the same one have the same value."""

    draw: Draw
    slot: int
    is_of_user: bool = False
    """True when it is drawn by the number of the user, False by that of the iteration."""


Origin: TypeAlias = Drawn | Live | Named
Fits: TypeAlias = Callable[[str], bool]
Expand: TypeAlias = Callable[[Placeholder], tuple["str | Origin", ...]]
"""What a placeholder stands for; those of `let` may stand for several things in a row."""


@attrs.frozen(eq=False)
class Place:
    """A place in a request: what fills it, and how it is written there."""

    origin: Origin
    encode: Encode
    fits: Fits | None = None
    """What text must fulfil to stand here; random values do by their nature."""

    @property
    def is_drawn(self) -> bool:
        """True when its value is known before the session begins."""
        return isinstance(self.origin, Drawn)

    @property
    def is_of_user(self) -> bool:
        """True when it is known once the user is, and the same in all of its sessions."""
        return isinstance(self.origin, Drawn) and self.origin.is_of_user

    @property
    def width(self) -> int:
        """Bytes of its value, if that is known before the session begins."""
        return self.origin.draw.width if isinstance(self.origin, Drawn) else 0


@attrs.frozen(eq=False)
class Request:
    """The texts of a step's requests, and what fills their places, in the order of the seam."""

    target: Text
    headers: tuple[tuple[bytes, Text], ...]
    body: Text | None
    places: tuple[Place, ...]

    @property
    def blanks(self) -> tuple[Blank, ...]:
        """The places that only the session can fill."""
        return tuple(
            Blank(position, place.origin, place.encode)
            for position, place in enumerate(self.places)
            if not isinstance(place.origin, Drawn)
        )

    def plan(
        self,
        step: Step,
        index: int,
        *,
        timeout_ns: int,
        wants_headers: bool,
        wants_body: bool,
        judge: Judge,
    ) -> RequestPlan:
        """The plan of the step with these texts."""
        return RequestPlan(
            index=index,
            name=step.title,
            method=step.method,
            target=self.target,
            headers=self.headers,
            body=self.body,
            timeout_ns=timeout_ns,
            wants_headers=wants_headers,
            wants_body=wants_body,
            judge=judge,
        )


def build_request(step: Step, headers: Mapping[str, str], expand: Expand) -> Request:
    """Compile a step's texts.

    Args:
        step: that has no problems.
        headers: of the whole flow; the step's own replace them.
        expand: tells what placeholders stand for.

    Raises:
        OSError: the step's file cannot be read.
    """
    writer = _Writer(expand)
    target = writer.target(step)
    own_headers = {
        name: writer.text(text, encoding.fits_header)
        for name, text in _merged_headers(step, headers).items()
    }
    body = writer.body(step)
    pairs = tuple((name.encode(), text) for name, text in own_headers.items())
    return Request(target, pairs, body, tuple(writer.places))


def _merged_headers(step: Step, headers: Mapping[str, str]) -> dict[str, str]:
    own = {name.lower() for name in step.headers}
    merged = {name: text for name, text in headers.items() if name.lower() not in own}
    merged.update(step.headers)
    if all(name.lower() != "content-type" for name in merged):
        if step.json is not None:
            merged["content-type"] = "application/json"
        elif step.form is not None:
            merged["content-type"] = "application/x-www-form-urlencoded"
    return merged


Piece: TypeAlias = bytes | int


class _Writer:
    """Writes the texts of one request and numbers their places in order."""

    def __init__(self, expand: Expand) -> None:
        self._expand = expand
        self.places: list[Place] = []

    def target(self, step: Step) -> Text:
        pieces = self._pieces(step.path, encoding.percent, literal=encoding.target)
        _, mark, query = step.path.partition("?")
        if pairs := self._pairs(step.query, encoding.percent):
            pieces += [b"&" if query else b"" if mark else b"?", *pairs]
        return _text(pieces)

    def text(self, text: str, fits: Fits | None = None) -> Text:
        return _text(self._pieces(text, encoding.plain, fits=fits))

    def body(self, step: Step) -> Text | None:
        if step.json is not None:
            return _text(self._json(step))
        if step.form is not None:
            return _text(self._pairs(step.form, encoding.form))
        if step.body is not None:
            return self.text(step.body)
        if step.file is not None:
            return _text([step.file.read_bytes()])
        return None

    def _json(self, step: Step) -> Iterable[Piece]:
        pieces: list[Piece] = []
        for part in step.json_parts():
            if part.kind == "syntax":
                pieces.append(part.text.encode())
                continue
            template = parse(part.text)
            whole = template[0] if len(template) == 1 else None
            bare = isinstance(whole, Placeholder) and whole.as_number
            quote = b"" if bare else b'"'
            fits = encoding.is_number if bare else None
            pieces += [quote, *self._pieces(part.text, encoding.json_string, fits=fits), quote]
        return pieces

    def _pairs(self, table: Mapping[str, Scalars], encode: Encode) -> list[Piece]:
        pieces: list[Piece] = []
        for name, values in table.items():
            for text in values.texts:
                pieces += [b"&"] if pieces else []
                pieces += [*self._pieces(name, encode), b"=", *self._pieces(text, encode)]
        return pieces

    def _pieces(
        self,
        text: str,
        encode: Encode,
        *,
        literal: Encode | None = None,
        fits: Fits | None = None,
    ) -> list[Piece]:
        """One template; `literal` encodes what the author wrote, `encode` what is filled in."""
        pieces: list[Piece] = []
        for part in parse(text):
            if isinstance(part, str):
                pieces.append((literal or encode)(part))
                continue
            for one in self._expand(part):
                if isinstance(one, str):
                    pieces.append(encode(one))
                else:
                    pieces.append(len(self.places))
                    self.places.append(Place(one, encode, fits))
        return pieces


def _text(pieces: Iterable[Piece]) -> Text:
    """Neighbouring constants become one, and empty ones vanish."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        elif piece != b"":
            merged.append(piece)
    return Text(tuple(merged))
