"""From a file's bytes to a plain document: read, parsed, overridden and interpolated.

What goes wrong on the way is one `InvalidPipeline`, with the place; everything that a document may
say wrongly is left to the pipeline, which collects.
"""

import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs
import tomli

from flux.config.interpolate import interpolate
from flux.config.locate import Path, locate
from flux.config.problems import InvalidPipeline, Problem, Source, did_you_mean

TABLES_AT_THE_TOP = ("validity", "threshold")
"""Keys at the top, besides `stage`, that hold tables; `--set` reaches into them by name."""

MAX_BYTES = 16 << 20
"""No pipeline file is as large; a data file given by mistake is not read to its end."""


@attrs.frozen
class Document:
    """A pipeline file, as plain tables, arrays and values."""

    values: dict[str, Any]
    """With overrides applied and references to the environment replaced."""
    origins: Mapping[Path, str]
    """Original text of the values that held a reference, by path."""
    source: Source
    base: pathlib.Path
    """Folder that file names in it are relative to."""
    problems: tuple[Problem, ...] = ()
    """What was wrong so far."""
    warnings: tuple[str, ...] = ()
    """What a reader should know, though it is no problem."""


def read_text(file: pathlib.Path) -> str:
    """The text of a pipeline file or script.

    Raises:
        InvalidPipeline: if it is absent, unreadable, too large or not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InvalidPipeline(f"{file}: there is no such file{_nearby(file)}") from None
    except OSError as error:
        raise InvalidPipeline(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InvalidPipeline(f"{file}: is larger than {MAX_BYTES >> 20} MiB, so no pipeline file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InvalidPipeline(
            f"{file}:{line}:{column}: is not UTF-8 text, got byte 0x{data[error.start]:02x}"
        ) from None


def parse(
    text: str,
    name: str,
    base: pathlib.Path,
    *,
    overrides: Sequence[str] = (),
    tables: Collection[str] = (),
    environment: Mapping[str, str],
    added: Sequence[str] = (),
) -> Document:
    """Parse the text of a TOML file.

    Args:
        text: of the file.
        name: of the file, for messages.
        base: folder that file names in it are relative to.
        overrides: `KEY=VALUE` each, as given to `--set`.
        tables: names of tables at the top, whose keys overrides may set as well as stages'.
        environment: values for `${NAME}`.
        added: stages to put in at the end, where the file has none of that name.

    Raises:
        InvalidPipeline: if it is not TOML.
    """
    text = text.replace("\r\n", "\n")
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        shown = (text.splitlines() or [""])[min(line, len(text.splitlines()) or 1) - 1]
        raise InvalidPipeline(
            f"{name}:{line}:{column}: is not TOML: {getattr(error, 'msg', error)}\n"
            f"  {line:>4} | {shown}\n       | {' ' * (column - 1)}^"
        ) from None
    return finish(values, locate(text), text, name, base, overrides, environment, tables, added)


def finish(
    values: dict[str, Any],
    places: dict[Path, Any],
    text: str,
    name: str,
    base: pathlib.Path,
    overrides: Sequence[str],
    environment: Mapping[str, str],
    tables: Collection[str] = (),
    added: Sequence[str] = (),
) -> Document:
    """Apply the overrides to a parsed document and replace references to the environment."""
    problems: list[Problem] = []
    stages = values.get("stage")
    if isinstance(stages, list):
        stages += [{"use": use} for use in added if use not in _names(stages, "name", "use")]
    options: dict[Path, str] = {}
    for override in overrides:
        path = _override(values, override, problems, tables)
        options[path] = override
        for place in [one for one in places if one[: len(path)] == path]:
            del places[place]
    values, origins, missing = interpolate(values, environment)
    source = Source(name, text, places, options)
    return Document(values, origins, source, base, (*problems, *missing))


def _override(
    values: dict[str, Any], text: str, problems: list[Problem], tables: Collection[str]
) -> Path:
    """Set one key; return its path."""
    key, equals, value_text = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        problems.append(
            Problem((), f"cannot be changed by --set {text!r}", "write --set stage.key=value")
        )
        return ("--set", text)
    table, path = _table_of(values, parts, problems, tables)
    if table is None:
        return ("--set", text)
    table[parts[-1]] = _value(value_text.strip())
    return (*path, parts[-1])


def _table_of(
    values: dict[str, Any], parts: list[str], problems: list[Problem], tables: Collection[str]
) -> tuple[dict[str, Any] | None, Path]:
    """The table that the last part of the key stands in; a stage's name comes first."""
    if len(parts) == 1:
        return values, ()
    stages = values.get("stage")
    names = _names(stages, "name", "use")
    shown = ".".join(parts)
    if parts[0] in names:
        index = names[parts[0]]
        return _within(stages, ("stage",), [str(index), *parts[1:]], shown, problems)
    if parts[0] in tables or isinstance(values.get(parts[0]), (dict, list)):
        return _within(values, (), parts, shown, problems)
    problems.append(
        Problem(
            (),
            f"has no stage {parts[0]!r} for --set {shown}",
            did_you_mean(parts[0], [*names, *tables]) or f"its stages are {', '.join(names)}",
        )
    )
    return None, ()


def _within(
    table: Any, path: Path, parts: list[str], key: str, problems: list[Problem]
) -> tuple[dict[str, Any] | None, Path]:
    """The table that the last part stands in; items of arrays go by their number or name."""
    for part in parts[:-1]:
        step: str | int = part
        hint = None
        if isinstance(table, list):
            names = _names(table, "name")
            step = int(part) if part.isdigit() else names.get(part, part)
            table = table[step] if isinstance(step, int) and step < len(table) else None
            hint = did_you_mean(part, names)
        else:
            table = table.setdefault(step, {})
        path = (*path, step)
        if not isinstance(table, (dict, list)):
            problems.append(Problem((), f"has no table for --set {key}", hint))
            return None, ()
    if not isinstance(table, dict):
        problems.append(Problem((), f"has no table for --set {key}"))
        return None, ()
    return table, path


def _names(tables: Any, *keys: str) -> dict[str, int]:
    """The number of each table of an array by its name: the first of these keys that it has."""
    names: dict[str, int] = {}
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        found = [table[key] for key in keys if key in table] if isinstance(table, dict) else []
        if found:
            names.setdefault(str(found[0]), index)
    return names


def _value(text: str) -> Any:
    """A TOML value if it is one, else the text itself, so that `rate=20/s` needs no quotes."""
    try:
        return tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        return text


def _nearby(file: pathlib.Path) -> str:
    try:
        names = [one.name for one in file.parent.iterdir()]
    except OSError:
        return ""
    hint = did_you_mean(file.name, names)
    return f"\n  hint: {hint}" if hint else ""
