"""Documents: read, overridden, interpolated; and what is said when that fails."""

import pathlib

import pytest

from flux.config.document import Document, parse, read_text
from flux.config.problems import InvalidPipeline


def parsed(text: str, *overrides: str, **environment: str) -> Document:
    return parse(text, "a.toml", pathlib.Path(), overrides=overrides, environment=environment)


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("${A:-fallback}", {}, "fallback"),
        ("${A:-fallback}", {"A": ""}, ""),
        ("${A:-}", {}, ""),
        ("<${A}${B}>", {"A": "1", "B": "2"}, "<12>"),
        ("costs $5", {}, "costs $5"),
        ("$${A}", {}, "${A}"),
        ("{{random.text(10)}}", {}, "{{random.text(10)}}"),
        ("${A}", {"A": "${B}"}, "${B}"),
    ],
)
def test_replaces_references_once(text: str, environment: dict[str, str], expected: str) -> None:
    document = parsed(f"a = '{text}'", **environment)
    assert document.values == {"a": expected}
    assert not document.problems


def test_remembers_what_was_written() -> None:
    document = parsed('a = [{ b = "${X}" }, { b = "plain" }]', X="secret")
    assert document.origins == {("a", 0, "b"): "${X}"}


@pytest.mark.parametrize(
    ("text", "rule", "hint"),
    [
        ("${PATHH}", "needs the environment variable PATHH, which is not set", "PATH"),
        ("${NOPE}", "needs the environment variable NOPE, which is not set", "${NOPE:-value}"),
        (
            "${random.text(10)}",
            "has ${random.text(10)}, which is not a name from the environment",
            "{{random.text(10)}}",
        ),
    ],
)
def test_a_reference_that_cannot_be_replaced_is_a_problem(text: str, rule: str, hint: str) -> None:
    (problem,) = parsed(f"a = '{text}'", PATH="x").problems
    assert problem.path == ("a",)
    assert problem.rule == rule
    assert hint in (problem.hint or "")


STAGES = """
duration = "1s"
[[stage]]
use = "constant"
[[stage]]
use = "http"
name = "web"
[[stage.step]]
get = "/"
"""


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("duration=5s", ("duration",), "5s"),
        ('duration="5s"', ("duration",), "5s"),
        ("seed=7", ("seed",), 7),
        ("constant.rate=20/s", ("stage", 0, "rate"), "20/s"),
        ("web.max_in_flight=5", ("stage", 1, "max_in_flight"), 5),
        ("web.http2=true", ("stage", 1, "http2"), True),
        ("web.step.0.get=/x", ("stage", 1, "step", 0, "get"), "/x"),
        ("web.tls.verify=false", ("stage", 1, "tls", "verify"), False),
        ("web.target=http://h:1/a=b", ("stage", 1, "target"), "http://h:1/a=b"),
    ],
)
def test_set_overrides_one_key(override: str, path: tuple[str | int, ...], value: object) -> None:
    document = parsed(STAGES, override)
    found: object = document.values
    for part in path:
        found = found[part]  # type: ignore[index]  # walking plain data
    assert found == value
    assert path not in document.source.places
    assert not document.problems


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("nothing", "cannot be changed by --set 'nothing'"),
        ("htpp.rate=1", "has no stage 'htpp' for --set htpp.rate"),
        ("web.step.7.get=/", "has no table for --set web.step.7.get"),
        ("web.name.x=1", "has no table for --set web.name.x"),
    ],
)
def test_a_set_that_fits_nothing_is_a_problem(override: str, rule: str) -> None:
    (problem,) = parsed(STAGES, override).problems
    assert problem.rule == rule


def test_text_that_is_not_toml_is_shown_with_its_place() -> None:
    with pytest.raises(
        InvalidPipeline, match=r"a\.toml:2:5: is not TOML: .*\n +2 \| b = \n +\| +\^"
    ) as got:
        parsed("a = 1\nb = ")
    assert got.value.exit_code == 78


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "there is no such file"),
        (b"a = '\xff'", r"x\.toml:1:6: is not UTF-8 text, got byte 0xff"),
        (b"# ok\nb = '\x80'", r"x\.toml:2:6: is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    content: bytes | None, match: str, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "x.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidPipeline, match=match):
        read_text(file)


def test_an_absent_file_hints_at_one_of_similar_name(tmp_path: pathlib.Path) -> None:
    (tmp_path / "register.toml").touch()
    with pytest.raises(InvalidPipeline, match=r"did you mean 'register\.toml'\?"):
        read_text(tmp_path / "registr.toml")


def test_a_folder_in_place_of_a_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidPipeline, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_text(file) == "a = 1"
