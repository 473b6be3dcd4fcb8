"""The places of TOML keys: exact in the corners, and for any document the parser's own key tree."""

import random
import re
from collections.abc import Iterator
from typing import Final

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from flux.config.locate import Path, Place, locate

Leaf = tuple[str]
"""A scalar, as the source text of it: a tuple, to tell it from a key."""
Tree = Leaf | list["Tree"] | dict[str, "Tree"]

SCALARS: Final = [
    "1",
    "0xF_F",
    "-1.5e+3",
    "nan",
    "-inf",
    "true",
    "1979-05-27",
    "07:32:00.5",
    "1979-05-27T07:32:00Z",
    "1979-05-27 07:32:00-07:00",
    '""',
    "''",
    '"plain"',
    r'"a \" # [not] {a} = comment, \\"',
    r"'C:\ # [x] = \'",
    '"ünï\N{ZERO WIDTH JOINER}\N{LINE SEPARATOR}"',
    '""""""',
    "''''''",
    '"""one line"""',
    '"""\nk = "x"\n[no]\n"""',
    '"""ends in two quotes"""""',
    '"""a ""b"" \\""" # \\\n  c"""',
    "'''ends in ''two'''''",
    "'''\n[[no]]\n\tk = 1 # \\\n'''",
]
KEYS: Final = st.sampled_from(["a", "b", "stage", "x-n", "1", "1-2_3"]) | st.text(max_size=4)
SCALAR_TREES: Final[st.SearchStrategy[Tree]] = st.sampled_from(SCALARS).map(lambda text: (text,))
DOCUMENTS: Final = st.dictionaries(
    KEYS,
    st.recursive(
        SCALAR_TREES,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(st.dictionaries(KEYS, inner, max_size=3), max_size=3)
            | st.dictionaries(KEYS, inner, max_size=3)
        ),
        max_leaves=12,
    ),
    max_size=4,
)


class Writer:
    """Writes a tree as TOML, taking any of the ways to write it at each turn."""

    def __init__(self, choices: random.Random) -> None:
        self.choices = choices

    def document(self, tree: dict[str, Tree]) -> str:
        text = "\n".join([*self.table("", tree, header="")])
        return text.replace("\n", "\r\n") if self.maybe() else text

    def table(self, prefix: str, table: dict[str, Tree], header: str) -> Iterator[str]:
        """The lines of a table: its own pairs below its header, and the tables that follow."""
        pairs: list[str] = []
        sections: list[str] = []
        for name, value in table.items():
            key = self.key(name)
            path = f"{prefix}{self.dot()}{key}" if prefix else key
            if self.is_tables(value) and self.maybe():
                sections.append("\n".join(self.tables(path, value)))
            elif isinstance(value, dict) and self.maybe():
                sections.append("\n".join(self.table(path, value, f"[{self.pad(path)}]")))
            else:
                pairs.extend(self.pairs(key, value))
        self.choices.shuffle(sections)
        own = [self.indent() + header + self.blank_end()] if header else []
        own += [self.indent() + pair + self.blank_end() for pair in pairs]
        if header.startswith("[") and not header.startswith("[["):
            if sections and not pairs and self.maybe():
                own = []  # made by the headers of its sub-tables alone
            elif self.maybe():
                own, sections = [], [*sections, "\n".join(own)]  # defined after its sub-tables
        yield from [*own, *sections]

    def tables(self, path: str, tables: object) -> Iterator[str]:
        assert isinstance(tables, list)
        for table in tables:
            yield from self.table(path, table, f"[[{self.pad(path)}]]")

    def pairs(self, key: str, value: Tree) -> Iterator[str]:
        if isinstance(value, dict) and value and self.maybe():
            for name, inner in value.items():
                yield from self.pairs(f"{key}{self.dot()}{self.key(name)}", inner)
        else:
            yield f"{key}{self.space()}={self.space()}{self.value(value)}"

    def value(self, value: Tree) -> str:
        if isinstance(value, tuple):
            return value[0]
        if isinstance(value, list):
            return self.enclosed("[", [self.value(element) for element in value], "]")
        pairs = [
            pair for name, inner in value.items() for pair in self.pairs(self.key(name), inner)
        ]
        return self.enclosed("{", pairs, "}")

    def enclosed(self, opener: str, inner: list[str], closer: str) -> str:
        text = f"{self.gap()},{self.gap()}".join(inner)
        comma = f"{self.gap()}," if inner and self.maybe() else ""
        return f"{opener}{self.gap()}{text}{comma}{self.gap()}{closer}"

    def key(self, name: str) -> str:
        ways = [basic_quoted(name)]
        if re.fullmatch("[A-Za-z0-9_-]+", name):
            ways += [name] * 3
        if not re.search(r"['\x00-\x08\x0a-\x1f\x7f]", name):
            ways.append(f"'{name}'")
        return self.choices.choice(ways)

    def is_tables(self, value: Tree) -> bool:
        return isinstance(value, list) and value != [] and all(isinstance(t, dict) for t in value)

    def maybe(self) -> bool:
        return self.choices.random() < 0.5

    def space(self) -> str:
        return self.choices.choice(["", " ", " ", "\t", "  "])

    def dot(self) -> str:
        return self.choices.choice([".", ".", " . ", "\t."])

    def pad(self, text: str) -> str:
        return f"{self.space()}{text}{self.space()}"

    def indent(self) -> str:
        return self.choices.choice(["", "", "  ", "\t", "\n", "# [c]\n\n"])

    def blank_end(self) -> str:
        return self.choices.choice(["", "", "  ", " # a = [1", "\t#", "\n"])

    def gap(self) -> str:
        return self.choices.choice(["", "", " ", "\n  ", " # ], }\n", "\t\n#\n\n"])


def basic_quoted(name: str) -> str:
    escaped = {'"': r"\"", "\\": r"\\", "\t": r"\t", "\n": r"\n"}
    return (
        '"'
        + "".join(escaped.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in name)
        + '"'
    )


def paths_of(value: object, path: Path = ()) -> Iterator[Path]:
    """Every path below value, as the parser sees it."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, below in inner:
        yield (*path, key)
        yield from paths_of(below, (*path, key))


def at(document: object, path: Path) -> object:
    for key in path:
        document = document[key]  # type: ignore[index]  # a path of the document itself
    return document


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_located_paths_are_the_tree_that_the_parser_reads(
    tree: dict[str, Tree], choices: random.Random
) -> None:
    """Whatever mix of headers, dotted keys and inline values a document is written in."""
    text = Writer(choices).document(tree)
    assert set(locate(text)) == set(paths_of(tomli.loads(text)))


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_at_each_place_stand_the_key_and_the_value(
    tree: dict[str, Tree], choices: random.Random
) -> None:
    """The text there reads back as the key, and as the value unless that goes on over the line."""
    text = Writer(choices).document(tree)
    document, lines = tomli.loads(text), text.replace("\r\n", "\n").split("\n")
    for path, place in locate(text).items():
        name = next(part for part in reversed(path) if isinstance(part, str))
        is_key = place.value_column != place.column
        if is_key:
            assert key_read_at(lines[place.line - 1], place.column) == name
        if place.value_line is None:
            assert isinstance(at(document, path), dict | list)
            continue
        assert place.value_column is not None
        assert place.value_end_column is not None
        value = lines[place.value_line - 1][place.value_column - 1 : place.value_end_column - 1]
        try:
            read = tomli.loads(f"v = {value}")["v"]
        except tomli.TOMLDecodeError:
            assert value.startswith(("[", "{", '"""', "'''"))
        else:
            assert repr(read) == repr(at(document, path))


def key_read_at(line: str, column: int) -> str:
    match = re.match(r"""[A-Za-z0-9_-]+|"(\\.|[^"\\])*"|'[^']*'""", line[column - 1 :])
    assert match is not None
    (name,) = tomli.loads(f"{match[0]} = 1")
    return name


def marked(text: str) -> dict[Path, tuple[int, int]]:
    return {path: (place.line, place.column) for path, place in locate(text).items()}


def test_pipeline_with_nested_arrays_of_tables() -> None:
    """Headers below [[stage]] and [[stage.step]] mean the last element of each."""
    text = """\
seed = 7

[[stage]]
use = "poisson"

[[stage]] # the flow
use = "flow"
  [[stage.step]]
  url = "/a"
    [stage.step.headers]
    x-n = "1"
  [[stage.step]]
  url = "/b"
  [stage.expect]
  "status code" = [200, 201]
"""
    assert marked(text) == {
        ("seed",): (1, 1),
        ("stage",): (3, 3),
        ("stage", 0): (3, 3),
        ("stage", 0, "use"): (4, 1),
        ("stage", 1): (6, 3),
        ("stage", 1, "use"): (7, 1),
        ("stage", 1, "step"): (8, 11),
        ("stage", 1, "step", 0): (8, 11),
        ("stage", 1, "step", 0, "url"): (9, 3),
        ("stage", 1, "step", 0, "headers"): (10, 17),
        ("stage", 1, "step", 0, "headers", "x-n"): (11, 5),
        ("stage", 1, "step", 1): (12, 11),
        ("stage", 1, "step", 1, "url"): (13, 3),
        ("stage", 1, "expect"): (14, 10),
        ("stage", 1, "expect", "status code"): (15, 3),
        ("stage", 1, "expect", "status code", 0): (15, 20),
        ("stage", 1, "expect", "status code", 1): (15, 25),
    }


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a = 1", ("a",), Place(1, 1, 1, 5, 6)),
        ("\ta\t=\t1\t# c", ("a",), Place(1, 2, 1, 6, 7)),
        ("a='x # y' # z", ("a",), Place(1, 1, 1, 3, 10)),
        ('"é" = 1', ("é",), Place(1, 1, 1, 7, 8)),
        ('k = "éé" # x', ("k",), Place(1, 1, 1, 5, 9)),
        ("a = 1\r\n\r\nb = 2\r\n", ("b",), Place(3, 1, 3, 5, 6)),
        ("d = 1979-05-27 07:32:00 # when", ("d",), Place(1, 1, 1, 5, 24)),
        ('"" = 1', ("",), Place(1, 1, 1, 6, 7)),
        (r'"a\"\u00e9.b" = 1', ('a"é.b',), Place(1, 1, 1, 17, 18)),
        (r'"\e\x41" = 1', ("\x1bA",), Place(1, 1, 1, 12, 13)),
        (r"'a\b'.c = 1", ("a\\b", "c"), Place(1, 7, 1, 11, 12)),
        ("a . b\t. c = 1", ("a", "b"), Place(1, 5)),
        ("a . b\t. c = 1", ("a", "b", "c"), Place(1, 9, 1, 13, 14)),
        ("3.14 = 1", ("3", "14"), Place(1, 3, 1, 8, 9)),
        ("a.b = 1\na.c = 2", ("a",), Place(1, 1)),
        ("[ a . 'b' ]\nc = 1", ("a", "b"), Place(1, 7)),
        ("[ a . 'b' ]\nc = 1", ("a", "b", "c"), Place(2, 1, 2, 5, 6)),
        ("[a.b]\n[a]", ("a",), Place(2, 2)),
        ("[[a.b]]\n[a]\nc = 1", ("a", "b", 0), Place(1, 5)),
        ("[[a.b]]\n[a]\nc = 1", ("a", "c"), Place(3, 1, 3, 5, 6)),
        ("[a]\nb.c = 1\n[a.d]", ("a", "d"), Place(3, 4)),
        ("[[a]]\n[[a]]", ("a",), Place(1, 3)),
        ("[[a]]\n[[a]]", ("a", 1), Place(2, 3)),
        ("[[a]]\n[a.b.c]\n[[a]]\n[a.b.c]", ("a", 1, "b"), Place(4, 4)),
        ("[[a]]\n[[a.b]]\n[[a]]\n[[a.b]]\n[[a.b]]", ("a", 1, "b", 1), Place(5, 5)),
        ("a = {b = {c.d = 1}}", ("a", "b"), Place(1, 6, 1, 10, 19)),
        ("a = {b = {c.d = 1}}", ("a", "b", "c", "d"), Place(1, 13, 1, 17, 18)),
        ("a = {}", ("a",), Place(1, 1, 1, 5, 7)),
        ("a = []", ("a",), Place(1, 1, 1, 5, 7)),
        ("a = {  # c\n  b = 1,\n}\nd = 2", ("a",), Place(1, 1, 1, 5, 6)),
        ("a = {  # c\n  b = 1,\n}\nd = 2", ("a", "b"), Place(2, 3, 2, 7, 8)),
        ("a = {  # c\n  b = 1,\n}\nd = 2", ("d",), Place(4, 1, 4, 5, 6)),
        ("a = [1, 2, # ]\n  3,\n]", ("a",), Place(1, 1, 1, 5, 11)),
        ("a = [1, 2, # ]\n  3,\n]", ("a", 2), Place(2, 3, 2, 3, 4)),
        ("a = [[1], [2, [3]]]", ("a", 1), Place(1, 11, 1, 11, 19)),
        ("a = [[1], [2, [3]]]", ("a", 1, 1, 0), Place(1, 16, 1, 16, 17)),
        ("a = [ { b = '}' } , { b = ']' } ]", ("a", 1, "b"), Place(1, 23, 1, 27, 30)),
        ('a = """\n[b]\nc = 1""" # "\nd = 1', ("a",), Place(1, 1, 1, 5, 8)),
        ('a = """\n[b]\nc = 1""" # "\nd = 1', ("d",), Place(4, 1, 4, 5, 6)),
        ("a = '''x # y \nz'''", ("a",), Place(1, 1, 1, 5, 13)),
        ('a = ["""""", """""""", 1]', ("a", 2), Place(1, 24, 1, 24, 25)),
        ('a = """\\"""" # x\nb = 1', ("b",), Place(2, 1, 2, 5, 6)),
        ("a = 'x\u2028\x85' # not a line end\nb = 1", ("b",), Place(2, 1, 2, 5, 6)),
    ],
)
def test_corner_case_has_its_exact_place(text: str, path: Path, place: Place) -> None:
    """Line, column, and where the value begins and ends on its first line."""
    assert set(locate(text)) == set(paths_of(tomli.loads(text)))
    assert locate(text)[path] == place


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "\r\n \t"])
def test_empty_document_has_no_places(text: str) -> None:
    """Nor does it fail."""
    assert locate(text) == {}


def test_nesting_deeper_than_the_call_stack_is_located() -> None:
    """The scanner keeps a stack of its own; tomli itself stops at some hundreds of levels."""
    depth = 2_000
    assert len(locate("a = " + "[" * depth + "]" * depth)) == depth


@pytest.mark.parametrize(
    ("text", "where"), [("a", "1:2"), ("\n]", "2:1"), ("a = 'x", "1:5"), ("[a", "1:3")]
)
def test_text_that_is_no_toml_ends_the_scan(text: str, where: str) -> None:
    """It neither loops nor guesses, should the parser have let something through."""
    with pytest.raises(ValueError, match=f"must be valid TOML, got something else at {where}"):
        locate(text)
