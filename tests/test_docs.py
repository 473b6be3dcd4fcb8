"""The pages, held to the code: every file, command line, key and table in them is tried.

Fenced blocks of TOML are pipelines, or parts of one that are completed here. A line
`<!-- report: NAME -->` above one says that it is wrong, and that the next block of text is what
`flux check NAME` says; `<!-- no pipeline -->` says that it is something else.
"""

import ast
import datetime
import inspect
import itertools
import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import Any, get_args

import attrs
import click
import pytest
import tomli
import tomli_w
import trio
from trio.testing import MockClock

from flux.cli import COMMANDS, group, invoke
from flux.clock import LiveClock
from flux.config.document import parse
from flux.config.structure import structure
from flux.engine import RunResult, run_pipeline
from flux.errors import ExitCode
from flux.explain import Key, field_meanings, keys_of
from flux.graph import Settings
from flux.metrics.family import label_name
from flux.metrics.names import dialect_of
from flux.phases import PhaseTable
from flux.pipeline import Pipeline, compile_document
from flux.registry import find_stages
from flux.result_schema import result_schema
from flux.sample import runnable_sample
from flux.schemas import OUTCOME, ErrorCode
from flux.stage import Run, kind_of
from flux.stages.prometheus import Names
from flux.think import ThinkTable
from flux.thresholds.metrics import METRICS
from flux.thresholds.table import ThresholdTable
from flux.validity import Validity

ROOT = pathlib.Path(__file__).parent.parent
PAGES = {
    str(page.relative_to(ROOT)): page.read_text()
    for page in [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"]
}
EXAMPLES = {
    str(file.relative_to(ROOT)): file.read_text()
    for file in sorted(ROOT.glob("pipelines/**/*.*"))
    if file.suffix in (".toml", ".yml")
}
STAGES = {
    name: entry.load() for name, entry in find_stages().items() if entry.package == "userflux"
}

# Blocks of TOML.

_BLOCK = re.compile(r"(?:^<!-- (?P<mark>.*?) -->\n\n?)?^```toml\n(?P<text>.*?)^```", re.M | re.S)
_REPORT = re.compile(
    r"^<!-- report: (?P<name>\S+) -->\n+```toml\n(?P<file>.*?)^```\n+```text\n(?P<said>.*?)^```",
    re.M | re.S,
)
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def toml_blocks() -> Iterator[Any]:
    for page, text in PAGES.items():
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            if match["mark"] is None:
                yield pytest.param(match["text"], id=f"{page}:{line}")


def compile_text(text: str) -> Pipeline:
    """A pipeline; variables of the environment have a value that suits any key."""
    environment = dict.fromkeys(_VARIABLE.findall(text), "http://127.0.0.1:8080")
    return compile_document(parse(text, "page", ROOT / "pipelines", environment=environment))


def completed(text: str) -> str:
    """A part of a pipeline with the stages put in that it needs to be checked."""
    document = tomli.loads(text)
    stages = document.get("stage", [])
    kinds = [kind_of(STAGES[stage["use"]]) for stage in stages]
    if "executor" not in kinds:
        after = [index for index, kind in enumerate(kinds) if kind in ("collector", "sink")]
        stages.insert(min([*after, len(stages)]), {"use": "null"})
    if "generator" not in kinds:
        uses = {stage["use"] for stage in stages}
        stages.insert(
            0,
            {"use": "users", "users": 3}
            if "roster" in uses
            else {"use": "constant", "rate": "20/s"},
        )
    length = {} if "phase" in document else {"duration": "1m"}
    return tomli_w.dumps({**length, **document, "stage": stages})


@pytest.mark.parametrize("text", list(toml_blocks()))
def test_every_pipeline_on_a_page_is_valid(text: str) -> None:
    assert compile_text(completed(text)).executors


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [match.groups() for page in PAGES.values() for match in _REPORT.finditer(page)],
)
def test_every_report_on_a_page_is_what_flux_check_says(
    name: str,
    text: str,
    said: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path(name).write_text(text)
    assert invoke(["check", name]) == ExitCode.INVALID_PIPELINE
    assert capsys.readouterr() == ("", said)


# Command lines.

_SHELL = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.M | re.S)
_INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.M)
_INLINE = re.compile(r"`((?:\w+=\S+ +)*flux [^`]+)`")
_COMMENT = re.compile(r"^#( {2,}.*)$", re.M)
_COMMAND = re.compile(rf"(?:^|\s)(?:\w+=\S* +)*flux +(?=-|(?:{'|'.join(COMMANDS)})\b)")


def shell_lines(page: str, text: str) -> Iterator[str]:
    if page in EXAMPLES:
        yield from _COMMENT.findall(text)
        return
    for block in [*_SHELL.findall(text), *_INDENTED.findall(text)]:
        yield from block.replace("\\\n", " ").splitlines()
    for span in _INLINE.findall(text):
        yield span.replace("\n", " ").replace("…", "")


def command_lines() -> Iterator[Any]:
    for page, text in {**PAGES, **EXAMPLES}.items():
        for line in shell_lines(page, text):
            match = _COMMAND.search(line)
            if match and line.isascii():
                command = re.split(r"\s[|>]|&&|;", line[match.end() :])[0]
                yield pytest.param(command.strip(), id=f"{page}: {command.strip()}")


@pytest.mark.parametrize("line", list(command_lines()))
def test_every_command_line_has_a_command_and_options_that_exist(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)
    context = click.Context(group, info_name="flux")
    command = group if name.startswith("-") else group.get_command(context, name)
    assert command is not None
    try:
        made = command.make_context(name, arguments, parent=context)
    except (click.exceptions.Exit, click.MissingParameter):
        return  # help was asked for; or no more than the command's name is meant
    for value in made.params.values():
        for file in value if isinstance(value, tuple) else (value,):
            if isinstance(file, pathlib.Path) and file.parts[0] == "pipelines":
                assert (ROOT / file).is_file()


def test_command_lines_are_found_in_pages_and_examples() -> None:
    found = [parameter.id for parameter in command_lines()]
    assert any("docs/pipeline-files.md: " in str(one) for one in found)
    assert any("pipelines/register.toml: run pipelines/register.toml" in str(one) for one in found)


# Links.

_LINK = re.compile(r"\]\(([^)#:]+)[)#]")


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    assert [link for link in _LINK.findall(PAGES[page]) if not (folder / link).exists()] == []


# Stages.


def all_keys(keys: tuple[Key, ...]) -> Iterator[Key]:
    for key in keys:
        yield key
        yield from all_keys(key.keys)


@pytest.mark.parametrize("name", list(STAGES))
def test_every_key_of_a_stage_has_a_meaning(name: str) -> None:
    assert [key.name for key in all_keys(keys_of(STAGES[name])) if not key.meaning] == []


@pytest.mark.parametrize("name", list(STAGES))
def test_a_stage_has_what_every_stage_has(name: str) -> None:
    stage = STAGES[name]
    assert (stage.__doc__ or "").split("\n")[0].endswith(".")
    assert set(field_meanings(stage)) >= {field.name for field in attrs.fields(stage)}
    assert f'use = "{name}"' in stage.sample
    assert (ROOT / "docs" / "stages" / f"{name}.md").is_file()
    assert (ROOT / "tests" / "stages" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", list(STAGES))
def test_a_stage_is_frozen(name: str) -> None:
    (table,) = tomli.loads(STAGES[name].sample)["stage"]
    table.pop("use")
    stage, problems = structure(STAGES[name], table)
    assert stage is not None, problems
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stage.anything = 1


def test_there_is_no_page_for_a_stage_that_is_not_there() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "stages").glob("*.md")}
    assert pages <= set(STAGES)


@pytest.mark.parametrize("name", list(STAGES))
def test_a_page_begins_with_its_stage_and_shows_it_in_use(name: str) -> None:
    page = PAGES[f"docs/stages/{name}.md"]
    assert page.startswith(f"# {name}\n\n")
    assert f"flux explain {name}`" in page or "It has no keys" in page
    assert any(f'use = "{name}"' in match["text"] for match in _BLOCK.finditer(page))


@pytest.mark.parametrize("name", [name for name in STAGES if name != "http"])
def test_every_sample_runs(
    name: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_virtually(compile_text(runnable_sample(name, STAGES[name])), tmp_path)
    assert result.failures == []
    assert result.summary is not None
    assert result.summary.sessions.check() == []
    assert result.summary.total.requests > 0


def run_virtually(pipeline: Pipeline, folder: pathlib.Path) -> RunResult:
    async def main() -> RunResult:
        run = Run(
            name=pipeline.name,
            seed=7,
            duration_ns=pipeline.settings.duration,
            tick_ns=pipeline.settings.tick,
            drain_ns=pipeline.settings.drain,
            started_at=datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC),
            clock=LiveClock(),
            folder=folder,
        )
        return await run_pipeline(pipeline, run)

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def test_the_sample_of_http_checks() -> None:
    assert compile_text(runnable_sample("http", STAGES["http"])).executors[0].stage.target.is_demo


# Words.

_SPAN = re.compile(r"`([a-z][a-z0-9_]*)(?: = [^`]*)?`")
_FIRST_CELL = re.compile(r"^\| (`[^|]*`) \|", re.M)
_OTHER_WORDS = {
    *("and", "false", "flow", "flux", "timestamp", "true", "result", "unix"),
    *("config", "script", "time", "url", "users"),
}
"""Words that a page may set in code though no table of flux has them."""


def words_of(table: type) -> set[str]:
    """Keys of a table, at any depth, and the words that they may have as values."""
    keys = list(all_keys(keys_of(table)))
    return {key.name for key in keys} | {
        word for key in keys for word in re.findall(r'"(\w+)"', key.type_text)
    }


def properties(schema: Any) -> Iterator[str]:
    """Keys of the objects that a JSON Schema describes."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key == "properties":
            yield from value
        yield from properties(value)


def metric_words() -> set[str]:
    """Names and labels of metrics, those of other tools and those that are left out included."""
    found = {"other"}
    for dialect in map(dialect_of, get_args(Names)):
        found |= set(dialect.left_out) | {one.prometheus_name for one in dialect.families}
        found |= {label_name(label) for one in dialect.families for label in one.labels}
    return found


def known_words() -> set[str]:
    words = set().union(*map(words_of, [*STAGES.values(), Settings, ThinkTable]))
    errors = {code.text for code in ErrorCode}
    written = {*properties(result_schema()), *OUTCOME.columns, *errors}
    written |= metric_words()
    return {*words, *written, *STAGES, *COMMANDS, "use", "name", "inputs", *_OTHER_WORDS}


@pytest.mark.parametrize("name", list(STAGES))
def test_a_key_in_a_table_of_a_stages_page_is_a_key_of_it(name: str) -> None:
    known = words_of(STAGES[name]) | (words_of(ThinkTable) if name == "users" else set())
    known |= {*OUTCOME.columns, *(code.text for code in ErrorCode), *metric_words()}
    page = PAGES[f"docs/stages/{name}.md"]
    found = {word for cell in _FIRST_CELL.findall(page) for word in _SPAN.findall(cell)}
    assert found - known == set()


@pytest.mark.parametrize("name", list(STAGES))
def test_a_stages_page_names_nothing_that_is_not_there(name: str) -> None:
    found = set(_SPAN.findall(PAGES[f"docs/stages/{name}.md"]))
    assert found - known_words() == set()


# Tables that are made from the code.


def enum_meanings(cls: type) -> dict[str, str]:
    """The string literal below each member."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        member.targets[0].id: inspect.cleandoc(str(below.value.value)).replace("\n", " ")
        for member, below in itertools.pairwise(definition.body)
        if isinstance(member, ast.Assign)
        and isinstance(member.targets[0], ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }


def error_table() -> str:
    meanings = enum_meanings(ErrorCode)
    rows = [f"| `{code.text}` | {meanings[code.name]} |" for code in ErrorCode if code]
    return "\n".join(["| error | meaning |", "|---|---|", *rows]) + "\n"


def key_table(table: type) -> str:
    rows = [
        f"| `{key.name}` | {key.type_text}{f', {key.range_text}' if key.range_text else ''} "
        f"| {f'`{key.default}`' if key.default else ''} | {key.meaning} |"
        for key in keys_of(table)
        if (table, key.name) != (Settings, "stage")
    ]
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def settings_table() -> str:
    return key_table(Settings)


def metric_table() -> str:
    rows = [
        f"| `{metric.name}` | {metric.kind} | {metric.meaning} "
        f"| {' '.join(f'`{name}`' for name in metric.k6)} |"
        for metric in METRICS.values()
    ]
    return "\n".join(["| metric | kind | meaning | k6 |", "|---|---|---|---|", *rows]) + "\n"


def test_the_page_of_thresholds_has_every_key_and_every_metric() -> None:
    assert key_table(ThresholdTable) in PAGES["docs/thresholds.md"]
    assert metric_table() in PAGES["docs/thresholds.md"]


def test_the_page_of_measuring_has_every_key_of_validity() -> None:
    assert key_table(Validity) in PAGES["docs/measuring.md"]


def test_the_page_of_http_has_every_error() -> None:
    assert error_table() in PAGES["docs/stages/http.md"]


def test_the_page_of_pipeline_files_has_every_key_at_the_top() -> None:
    assert settings_table() in PAGES["docs/pipeline-files.md"]


def test_the_page_of_phases_has_every_key_of_a_phase() -> None:
    assert key_table(PhaseTable) in PAGES["docs/phases.md"]
