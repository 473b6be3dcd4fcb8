"""Keep passwords, tokens and cookies out of the session file and the log. Pure.

Strategy. First find what is secret in a document: values under a telling key (`Authorization`,
`api_key`, …), what a text itself shows to be one (`"password": "…"`, `token=…`, `user:…@host`,
`Bearer …`), and what came from an environment variable of a telling name. Each secret gets a
reference: the variable it came from, or one named after its place, as in
`${STAGE_HTTP_HEADERS_AUTHORIZATION}`. Then every text has its secrets replaced by references,
wherever they stand, so a password that is repeated under a harmless key goes as well. With the
variables set, the masked document means what the original meant.

Placeholders such as `{{random.text(10)}}` are no secrets: they are drawn for each request.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from flux.config.locate import Path

HIDDEN: Final = "***"
"""What stands in the log for a secret."""

_WORDS = (
    "authorization|cookie|token|secret|passw|passphrase|credential|pwd"
    "|api[-_]?key|access[-_]?key|private[-_]?key"
)
_WHOLE_WORDS = "auth|pass|pw|pin|otp|jwt"
_TELLING = re.compile(f".*(?:{_WORDS}).*|{_WHOLE_WORDS}", re.IGNORECASE | re.DOTALL)
_EXPRESSIONS = frozenset({"capture", "expect"})
"""Tables whose keys name what is looked for, and whose texts are patterns."""
_PAYLOADS = frozenset({"json", "form", "query", "headers", "let"})
"""Tables where a number may be a secret too."""

_SCHEMES = "basic|bearer|digest|token|apikey|negotiate"
_SCHEME = re.compile(rf"\s*(?:(?:{_SCHEMES})(?:\s+|$))?", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)[^{}]*\}")
_DRAWN = re.compile(r"(?:(?<![\w.-])[\w.-]+=\s*)?\{\{.*?\}\}", re.DOTALL)

# A key may begin only where a word does, and is taken whole: else a long word would be read again
# and again.
_KEY = rf"(?<![\w.-])(?P<key>(?>[\w.-]*?(?:{_WORDS})[\w.-]*+)|(?:{_WHOLE_WORDS})(?![\w.-]))"
_ASSIGNED = re.compile(
    _KEY + r"\\?[\"']?\s*[=:]\s*"
    r"(?:\\?\"(?P<double>(?:\{\{.*?\}\}|\\[^\"]|[^\"\\])*)"
    r"|'(?P<single>[^']*)'"
    rf"|(?P<bare>(?:(?:{_SCHEMES})\s+)?(?:\{{\{{.*?\}}\}}|[^\s&;,\"'{{}}])+))",
    re.IGNORECASE,
)
_HEADER_LINE = re.compile(rf"^\s*{_KEY}:[ \t]*(?P<value>.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_COOKIE_HEADER = re.compile(r"\b(?P<key>(?:set-)?cookie):\s+(?P<value>[^\r\n\"']+)", re.IGNORECASE)
_IN_URL = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://"
    r"(?:(?P<user>[^/\s@:?#]*):)?(?P<value>[^/\s?#]+)@",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(
    r"\b(?:basic|bearer)\s+(?P<value>(?=\S*\d|\S{20})[\w.~+/=-]{8,})", re.IGNORECASE
)
"""Long, or with a digit: "basic understanding" is no secret."""

_PART = re.compile(r"(?<=[:=])(?:[^\s:;=]{6,}$|(?=[^\s;]*\d|[^\s;]{20})[^\s;]{6,})")
"""Of `user:password`, and of cookies those that do not look like words: secret by themselves."""

_LONG_ENOUGH: Final = 6
"""Characters of a secret that is replaced everywhere; shorter ones would mangle other texts."""

_NO_ORIGINS: Mapping[Path, str] = MappingProxyType({})


def mask_secrets(
    document: dict[str, Any], origins: Mapping[Path, str] = _NO_ORIGINS
) -> dict[str, Any]:
    """A document with a reference `${NAME}` in place of each secret.

    Args:
        document: with references to the environment replaced by their values.
        origins: text as written of the values that held such a reference, by path.

    Returns:
        A copy that can be interpolated again; a `$` that could be taken for a reference is `$$`.
    """
    secrets = _find(document, origins)

    def masked(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: masked(one, (*path, key)) for key, one in value.items()}
        if isinstance(value, list):
            return [masked(one, (*path, index)) for index, one in enumerate(value)]
        own = secrets.by_path.get(path, {})
        if isinstance(value, str):
            return _with_references(value, {**secrets.long(), **own})
        return own.get(str(value), value)

    result: dict[str, Any] = masked(document, ())
    return result


def find_secrets(
    document: dict[str, Any], origins: Mapping[Path, str] = _NO_ORIGINS
) -> dict[str, str]:
    """Each secret of a document, and the reference that `mask_secrets` puts in its place."""
    return _find(document, origins).references


def hide(text: str, secrets: Collection[str]) -> str:
    """A text to be shown to people, with `***` for secrets: those given, and what looks like one.

    Args:
        text: such as a line of the log.
        secrets: known ones; those of less than four characters are left.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= len(HIDDEN) + 1:
            text = text.replace(secret, HIDDEN)
    shown, reached = [], 0
    for _, start, end in _within(text):
        shown += [text[reached:start], HIDDEN]
        reached = end
    return "".join((*shown, text[reached:]))


def replace_secrets(text: str, references: Mapping[str, str]) -> str:
    """A text with references in place of the long ones of these secrets."""
    long = {secret: name for secret, name in references.items() if len(secret) >= _LONG_ENOUGH}
    return _pattern(long).sub(lambda match: long[match[0]], text) if long else text


@attrs.define
class _Secrets:
    references: dict[str, str] = attrs.field(factory=dict)
    by_path: dict[Path, dict[str, str]] = attrs.field(factory=dict)
    """Those that stand at a path; there, short ones are replaced too."""

    def add(self, path: Path, secret: str, name: str) -> None:
        taken = set(self.references.values())
        if secret not in self.references:
            number, unique = 2, name
            while f"${{{unique}}}" in taken:
                number, unique = number + 1, f"{name}_{number}"
            self.references[secret] = f"${{{unique}}}"
        self.by_path.setdefault(path, {})[secret] = self.references[secret]

    def long(self) -> dict[str, str]:
        return {one: name for one, name in self.references.items() if len(one) >= _LONG_ENOUGH}


def _find(document: dict[str, Any], origins: Mapping[Path, str]) -> _Secrets:
    secrets = _Secrets()
    for path, value, is_secret in _values(document, (), False):
        text = str(value)
        known = _from_environment(origins[path], text) if path in origins else {}
        spans = [("", *_without_scheme(text))] if is_secret else []
        if isinstance(value, str) and not _EXPRESSIONS & set(path):
            spans += list(_within(text))
        for variable, content in known.items():
            if content and (_is_telling(variable) or _covers(spans, text, content)):
                secrets.add(path, content, variable)
        for key, start, end in spans:
            if not _is_harmless(_without(text[start:end], secrets.by_path.get(path, {}))):
                secrets.add(path, text[start:end], _name(document, path, key))
                for part in _PART.finditer(text, start, end):
                    secrets.add(path, part[0], _name(document, path, f"{key}_part"))
    return secrets


def _values(value: Any, path: Path, is_secret: bool) -> Iterator[tuple[Path, Any, bool]]:
    """Every text, and every number of a payload, and whether its key says that it is secret."""
    if isinstance(value, dict):
        named = _is_telling(value.get("name", value.get("key", "")))
        for key, one in value.items():
            tells = _is_telling(key) or (named and key == "value")
            inside = not _EXPRESSIONS & {*path, key}
            yield from _values(one, (*path, key), inside and (is_secret or tells))
    elif isinstance(value, list):
        is_pair = len(value) == 2 and _is_telling(value[0]) and isinstance(value[1], str)
        for index, one in enumerate(value):
            yield from _values(one, (*path, index), is_secret or (is_pair and index == 1))
    elif isinstance(value, str):
        yield path, value, is_secret and not _is_setting(path, value)
    elif is_secret and type(value) in (int, float) and _PAYLOADS & set(path):
        yield path, value, True


def _is_telling(key: object) -> bool:
    return isinstance(key, str) and _TELLING.fullmatch(key) is not None


def _is_setting(path: Path, text: str) -> bool:
    """`cookies = "session"` says how cookies are treated; a cookie itself has an `=`."""
    return path[-1] == "cookies" and "=" not in text


def _within(text: str) -> Iterator[tuple[str, int, int]]:
    """(what it is, start, end) of what a text shows to be a secret, in order, without overlaps."""
    found: list[tuple[int, int, str]] = []
    for pattern in (_HEADER_LINE, _COOKIE_HEADER, _ASSIGNED):
        for match in pattern.finditer(text):
            start, end = _without_scheme(text, *match.span(match.lastgroup or "value"))
            found.append((start, -end, match["key"]))
    for match in _IN_URL.finditer(text):
        start, end = match.span("value")
        found.append((start, -end, "password" if match["user"] else "userinfo"))
    for match in _CREDENTIALS.finditer(text):
        found.append((match.start("value"), -match.end("value"), "credentials"))
    reached = 0
    for start, minus_end, key in sorted(found):
        if start >= reached and not _is_harmless(text[start:-minus_end]):
            yield key, start, -minus_end
            reached = -minus_end


def _without_scheme(text: str, start: int = 0, end: int | None = None) -> tuple[int, int]:
    end = len(text) if end is None else end
    scheme = _SCHEME.match(text, start, end)
    return (scheme.end() if scheme else start), end


def _is_harmless(secret: str) -> bool:
    """Nothing, or only placeholders, references, and what was hidden before."""
    left = _REFERENCE.sub("", _DRAWN.sub("", secret)).replace(HIDDEN, "")
    return not re.search(r"\w", left)


def _without(text: str, secrets: Collection[str]) -> str:
    return _pattern(secrets).sub("", text) if secrets else text


def _covers(spans: list[tuple[str, int, int]], text: str, content: str) -> bool:
    return any(content in text[start:end] for _, start, end in spans)


def _from_environment(written: str, text: str) -> dict[str, str]:
    """What each variable of a text as written stood for; nothing where that is not certain."""
    names: list[str] = []
    for kind in (".*?", ".*"):
        names, pattern, last = [], "", 0
        for match in _REFERENCE.finditer(written):
            pattern += re.escape(written[last : match.start()])
            pattern += f"({kind})" if match["name"] else r"\$"
            names += [match["name"]] if match["name"] else []
            last = match.end()
        found = re.fullmatch(pattern + re.escape(written[last:]), text, re.DOTALL)
        if kind == ".*?":
            shortest = found
    # If the shortest and the longest way to read it are the same, there is no other.
    if not (found and shortest and found.groups() == shortest.groups()):
        return {}
    return dict(zip(names, found.groups()))


def _name(document: dict[str, Any], path: Path, key: str) -> str:
    """A variable named after a place: a stage goes by its name, as do other tables in arrays."""
    parts: list[str] = []
    at: Any = document
    for step in path:
        at = at[step]
        named = (at.get("name") or at.get("use")) if isinstance(at, dict) else None
        parts.append(str(named) if isinstance(step, int) and isinstance(named, str) else str(step))
    name = re.sub("[^A-Z0-9]+", "_", "_".join((*parts, key)).upper()).strip("_")
    return name if name and not name[0].isdigit() else f"_{name}"


def _with_references(text: str, references: Mapping[str, str]) -> str:
    parts = _pattern(references).split(text) if references else [text]
    if len(parts) == 1 and "$$" not in text and "${" not in text:
        return text
    return "".join(
        references[part] if index % 2 else part.replace("$", "$$")
        for index, part in enumerate(parts)
    )


def _pattern(secrets: Collection[str]) -> re.Pattern[str]:
    """Any of the secrets, the longest first, as a group."""
    longest_first = sorted(secrets, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
