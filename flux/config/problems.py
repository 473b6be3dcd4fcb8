"""What can be wrong with a pipeline file, said once, with its place: every problem in one report.

A `Violation` is raised where a value is looked at and knows nothing of files. A `Problem` is a
violation with its path in the document. `report` turns problems into the text a person reads.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from flux.config.locate import Path, Place
from flux.errors import ExitCode, FluxError


class Violation(ValueError):
    """A value breaks a rule.

    Raise it from a structure hook, from a `from_toml` or from a stage's `check`.
    """

    def __init__(self, rule: str, *, key: str | None = None, hint: str | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        """What the value has to be, as the end of a sentence: `must be greater than 0`."""
        self.key = key
        """The key it is about, where that is one below the value that was looked at."""
        self.hint = hint
        """A way out, if there is an obvious one."""


@attrs.frozen
class Problem:
    """One thing that is wrong, and where in the document."""

    path: Path
    """Keys and indexes from the top of the document."""
    rule: str
    hint: str | None = None
    has_value: bool = True
    """False when the key's absence is the problem, or the value says nothing."""
    unknown_key: bool = False
    """True when the key itself is the problem, so that the caret stands under the key."""


@attrs.frozen
class Source:
    """A pipeline file as it was read, to show the lines that problems stand in."""

    name: str
    """As given on the command line."""
    text: str
    places: dict[Path, Place]
    overrides: Mapping[Path, str] = attrs.field(factory=dict)
    """Options that replaced what the file says, by the path that they set."""

    def override_of(self, path: Path) -> str | None:
        """The option that set this path, or what it stands in or below."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return self.overrides[path[:end]]
        return None

    def nearest(self, path: Path) -> Path:
        """The longest beginning of `path` that stands in the text."""
        while path and path not in self.places:
            path = path[:-1]
        return path


class InvalidPipeline(FluxError):
    """The pipeline file has one or more problems; its text is the whole report."""

    exit_code = ExitCode.INVALID_PIPELINE

    def __init__(self, report: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(report)
        self.problems = tuple(problems)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the known word that is closest, or None."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None


def key_text(path: Path) -> str:
    """A path as people write it: `stage[1].step[0].expect.status`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def report(problems: Iterable[Problem], source: Source, document: Any) -> str:
    """Every problem in file order, each with its place, its line and a caret."""
    ordered = sorted(problems, key=lambda problem: _position(problem, source))
    count = len(ordered)
    lines = [line for problem in ordered for line in _show(problem, source, document)]
    lines.append(f"{count} problem{'s' if count != 1 else ''} in {source.name}")
    return "\n".join(lines)


def _position(problem: Problem, source: Source) -> tuple[int, int]:
    place = source.places.get(source.nearest(problem.path))
    return (place.line, place.column) if place else (0, 0)


def _show(problem: Problem, source: Source, document: Any) -> Iterator[str]:
    found = source.nearest(problem.path)
    place = source.places.get(found)
    sentence = f"{key_text(problem.path) or 'the file'} {problem.rule}"
    is_written = found == problem.path or source.override_of(problem.path) is not None
    if problem.has_value and is_written and problem.path:
        sentence += f", got {_value_text(_look_up(document, problem.path))}"
    option = source.override_of(problem.path)
    if option is not None:
        yield f"{source.name} with --set {option}: {sentence}"
    elif place is None:
        yield f"{source.name}: {sentence}"
    else:
        line, start, end = _span(place, problem)
        yield f"{source.name}:{line}:{start}: {sentence}"
        shown = source.text.splitlines()[line - 1].replace("\t", " ")
        yield f"  {line:>4} | {shown}"
        yield f"       | {' ' * (start - 1)}{'^' * max(1, end - start)}"
    if problem.hint:
        yield f"  hint: {problem.hint}"


def _span(place: Place, problem: Problem) -> tuple[int, int, int]:
    """Line, first and last column of the caret: under the value if the value is wrong."""
    if problem.has_value and not problem.unknown_key and place.value_line is not None:
        start = place.value_column or place.column
        return place.value_line, start, place.value_end_column or start + 1
    last = problem.path[-1] if problem.path else ""
    return place.line, place.column, place.column + (len(last) if isinstance(last, str) else 1)


def _look_up(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = '"' + value.replace("\n", "\\n") + '"'
        return text if len(text) <= 60 else text[:57] + '…"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    return str(value)
