"""Find where every key and value of a TOML text stands, so that problems can point at them.

Theory of operation. No parser in use tells positions, so this scanner reads the text a second time,
after tomli has accepted it. It need not know what is valid, only where things begin and end, and
that makes it small. One flat loop works on a stack of open containers: at the bottom the table
that the last header named, above it the arrays and inline tables that are not closed yet. A stack
rather than recursion, so that nothing that tomli accepts is nested too deep.

- Between entries, blanks, newlines, commas and comments are skipped alike: in accepted text a comma
  says nothing about where a key stands, and so trailing commas and the line breaks in inline tables
  of TOML 1.1 need no rule of their own.
- In a table comes a dotted key, `=` and a value; in an array a value; then either may close.
- A value opens a container, or is a string, or runs up to the next `,`, `]`, `}`, `#` or line end
  (numbers, booleans and dates; a date may hold one space).
- A header's names are resolved from the root. A name that stands for an array of tables means its
  last element, so that `[stage.expect]` below the second `[[stage]]` is ("stage", 1, "expect").

CR LF counts as one line end, as in tomli, and nothing else ends a line.

Source: https://toml.io/en/v1.0.0 and https://toml.io/en/v1.1.0, sections Keys, String, Array,
Table, Inline Table and Array of Tables.
"""

import re
from bisect import bisect_left, bisect_right
from typing import Final, Literal

import attrs
import tomli

Path = tuple[str | int, ...]
"""The way from the root to a key or an array element: ("stage", 1, "step", 0, "url")."""


@attrs.frozen
class Place:
    """Where a key or an array element stands. Lines and columns count from 1, in characters."""

    line: int
    """The line of the key; of an array element, the line of its value."""
    column: int
    """The column of the first character of the key, or of the element's value."""
    value_line: int | None = None
    """The line where the value begins. None for tables made by headers and dotted keys."""
    value_column: int | None = None
    """The column of the first character of the value."""
    value_end_column: int | None = None
    """The column after the value's last character on its first line, comments left out."""


def locate(text: str) -> dict[Path, Place]:
    """Map the path of every key and array element in text to its place.

    A table has the place of its own header if it has one, else of its first mention in another
    header or a dotted key. An array of tables has that of its first header, its elements those of
    their own.

    Args:
        text: a document that tomli accepts.

    Raises:
        ValueError: the scanner meets what no TOML document can have there.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.places


_BLANKS: Final = re.compile(r"[ \t\n,]*+(#[^\n]*)?")
_KEY: Final = re.compile(r"""[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_DOT: Final = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS: Final = re.compile(r"[ \t]*=[ \t]*")
_HEADER_OPEN: Final = re.compile(r"(\[\[?)[ \t]*")
_HEADER_CLOSE: Final = re.compile(r"[ \t]*\]\]?")
# A multi-line string may end in up to two quotes of its own before the three that close it.
_SCALAR: Final = re.compile(
    r'''"""(?:[^"\\]|\\[\s\S]|"(?!""))*+"{3,5}'''
    r"""|'''(?:[^']|'(?!''))*+'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'"""
    r"""|[^\s,\]}#"'](?:[ \t]*+[^\s,\]}#])*+"""
)

_Key = tuple[str, int]
"""One name of a dotted key and the offset of its first character."""


@attrs.define
class _Container:
    """A table or array whose end has not been seen."""

    path: Path
    closer: Literal["", "]", "}"]
    """The character that ends it; none for the table that a header opened."""
    start: int
    """Offset of its first character."""
    count: int = 0
    """Of an array: the elements seen so far."""


@attrs.define
class _Scanner:
    text: str
    position: int = 0
    places: dict[Path, Place] = attrs.field(factory=dict)
    open: list[_Container] = attrs.field(factory=lambda: [_Container((), "", 0)])
    last_index: dict[Path, int] = attrs.field(factory=dict)
    """Of every array of tables, the index of the element that headers refer to."""
    comments: list[int] = attrs.field(factory=list)
    """The offset of every comment so far, ascending."""
    line_starts: list[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", self.text))]

    def scan(self) -> None:
        while self._skip_blanks() < len(self.text):
            character, container = self.text[self.position], self.open[-1]
            if character == container.closer:
                self.position += 1
                self._end_value(container.path, container.start)
                self.open.pop()
            elif character == "[" and not container.closer:
                self._read_header()
            elif container.closer == "]":
                self._read_element(container)
            else:
                self._read_pair(container)

    def _read_header(self) -> None:
        brackets = self._take(_HEADER_OPEN)[1]
        *parents, (name, start) = self._read_dotted_key()
        self._take(_HEADER_CLOSE)
        path = (*self._place_parents((), parents), name)
        if brackets == "[[":
            self.places.setdefault(path, self._place(start))
            self.last_index[path] = self.last_index.get(path, -1) + 1
            path = (*path, self.last_index[path])
        self.places[path] = self._place(start)
        self.open = [_Container(path, "", start)]

    def _read_pair(self, table: _Container) -> None:
        *parents, (name, start) = self._read_dotted_key()
        self._take(_EQUALS)
        self._read_value((*self._place_parents(table.path, parents), name), start)

    def _read_element(self, array: _Container) -> None:
        path = (*array.path, array.count)
        array.count += 1
        self._read_value(path, self.position)

    def _read_value(self, path: Path, key_start: int) -> None:
        start = self.position
        self.places[path] = self._place(key_start)
        opener = self.text[start : start + 1]
        if opener in ("[", "{"):
            self.open.append(_Container(path, "]" if opener == "[" else "}", start))
            self.position += 1
        else:
            self._take(_SCALAR)
            self._end_value(path, start)

    def _end_value(self, path: Path, start: int) -> None:
        """Complete the place of path: its value began at start and ends here."""
        line, column = self._line_and_column(start)
        end = self._end_on_first_line(start)
        self.places[path] = attrs.evolve(
            self.places[path],
            value_line=line,
            value_column=column,
            value_end_column=column + end - start,
        )

    def _end_on_first_line(self, start: int) -> int:
        newline = self.text.find("\n", start, self.position)
        if newline < 0:
            return self.position
        next_comment = bisect_left(self.comments, start)
        end = min([newline, *self.comments[next_comment : next_comment + 1]])
        return start + len(self.text[start:end].rstrip(" \t"))

    def _place_parents(self, path: Path, parents: list[_Key]) -> Path:
        """Note where the tables on the way were first mentioned; returns the path they lead to."""
        for name, start in parents:
            path = (*path, name)
            self.places.setdefault(path, self._place(start))
            if path in self.last_index:
                path = (*path, self.last_index[path])
        return path

    def _read_dotted_key(self) -> list[_Key]:
        keys = [self._read_key()]
        while match := _DOT.match(self.text, self.position):
            self.position = match.end()
            keys.append(self._read_key())
        return keys

    def _read_key(self) -> _Key:
        start = self.position
        return _unquoted(self._take(_KEY)[0]), start

    def _skip_blanks(self) -> int:
        while True:
            match = self._take(_BLANKS)
            if match[1] is None:
                return self.position
            self.comments.append(match.start(1))

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.position)
        if match is None:
            line, column = self._line_and_column(self.position)
            raise ValueError(f"text must be valid TOML, got something else at {line}:{column}")
        self.position = match.end()
        return match

    def _place(self, offset: int) -> Place:
        return Place(*self._line_and_column(offset))

    def _line_and_column(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    # The parser knows the escapes of the TOML version it reads: have it decode the rare quoted key.
    return key[1:-1] if "\\" not in key else str(tomli.loads(f"key = {key}")["key"])
