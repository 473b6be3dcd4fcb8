"""The `flux` command as a shell sees it: data on stdout, the rest on stderr, and the exit code."""

import csv
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import jsonschema
import pytest

from flux.cli import COMMANDS, invoke
from flux.config.document import parse
from flux.errors import ExitCode
from flux.pipeline import compile_document, load
from flux.plan import make_plan
from flux.registry import find_stages
from flux.schemas import ARRIVAL, DEMAND, ROSTER

TEXT = """
duration = "10s"
seed = 7

[[stage]]
use = "constant"
rate = "20/s"

[[stage]]
use = "ramp"
up = "5s"

[[stage]]
use = "null"

[[stage]]
use = "json"
"""
"""Half of 5 s at 20/s, then 5 s of it: 150 arrivals."""


@attrs.frozen
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


Flux = Callable[..., Said]


@pytest.fixture
def flux(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Flux]:
    """Run the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Said:
        code = invoke([str(argument) for argument in arguments])
        return Said(code, *capfd.readouterr())

    yield run  # noqa: PT022  # the folder is left after the test


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "test.toml"
    file.write_text(TEXT)
    return file


def test_help_lists_every_command_with_its_line(flux: Flux) -> None:
    said = flux("--help")
    assert said.code == ExitCode.OK
    lines = said.out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines if line.strip()] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, flux: Flux) -> None:
    said = flux(name, "--help")
    assert (said.code, said.err) == (ExitCode.OK, "")
    assert said.out.startswith(f"Usage: flux {name}")


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from flux.cli import invoke; invoke(['--help']);"
        "sys.exit(any(name in sys.modules for name in ('trio', 'numpy', 'httpx')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_version_is_one_line(flux: Flux) -> None:
    assert flux("--version").out.startswith("flux ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["plna"], "no such command 'plna'; did you mean 'plan'?"),
        (["load"], "no such command 'load'; there are run, check, plan"),
        (["a.toml"], "no such command 'a.toml'; to run that file: flux run a.toml"),
        (["plan", "--durration", "1s", "test.toml"], "Did you mean '--duration'?"),
        (["plan"], "Missing argument 'FILE'"),
        (["plan", "."], "is a directory"),
        (["plan", "test.toml", "--shard", "2/2"], "'2/2' must be one of 0/2 to 1/2"),
        (["plan", "test.toml", "--shard", "2"], ''''2' must be a part of the run, as in "0/2"'''),
        (["plan", "test.toml", "--shard", "0/0"], "'0/0'"),
        (["plan", "test.toml", "--seed", "x"], "'x' is not a valid integer"),
        (["plan", "test.toml", "--start", "noon"], "'noon' is not a time, write 2026-"),
        (["plan", "test.toml", "--format", "xml"], "'xml' is not one of"),
        (["schema", "requests"], "'requests' is not 'result'"),
    ],
)
@pytest.mark.usefixtures("file")
def test_a_wrong_command_line_is_told_with_a_way_out(
    arguments: list[str], expected: str, flux: Flux
) -> None:
    said = flux(*arguments)
    assert (said.code, said.out) == (ExitCode.USAGE, "")
    assert expected in said.err


@pytest.mark.parametrize("command", ["check", "plan", "run"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("rate", "rat"), "test.toml:7:1: stage[0].rat is not a known key"),
        (("seed = 7", "seed ="), "test.toml:3:7: is not TOML"),
        (('"null"', '"nul"'), "did you mean 'null'?"),
    ],
)
def test_an_invalid_pipeline_exits_78(
    command: str, change: tuple[str, str], expected: str, flux: Flux, file: pathlib.Path
) -> None:
    file.write_text(TEXT.replace(*change, 1))
    said = flux(command, "test.toml")
    assert (said.code, said.out) == (ExitCode.INVALID_PIPELINE, "")
    assert expected in said.err
    assert not pathlib.Path("results").exists()


@pytest.mark.parametrize("command", ["check", "plan", "run"])
@pytest.mark.usefixtures("file")
def test_a_file_that_is_not_there_gets_a_hint(command: str, flux: Flux) -> None:
    said = flux(command, "tset.toml")
    assert said.code == ExitCode.INVALID_PIPELINE
    assert (
        said.err == "error: tset.toml: there is no such file\n  hint: did you mean 'test.toml'?\n"
    )


def test_check_goes_on_after_a_file_that_is_wrong(flux: Flux, file: pathlib.Path) -> None:
    pathlib.Path("wrong.toml").write_text("seed = 1")
    said = flux("check", "wrong.toml", file)
    assert said.code == ExitCode.INVALID_PIPELINE
    assert "wrong.toml: the file has no stages" in said.err
    assert f"{file}: ok, 6 stages" in said.err


@pytest.mark.usefixtures("file")
def test_check_prints_the_graph(flux: Flux) -> None:
    said = flux("check", "--graph", "test.toml")
    assert said.out.split("\n") == [
        "  constant → ramp  DEMAND",
        "  ramp → pacer  DEMAND  (put in)",
        "  pacer → null  ARRIVAL",
        "  null → collect  OUTCOME  (put in)",
        "  collect → json  SUMMARY",
        "",
    ]


@pytest.mark.usefixtures("file")
def test_set_changes_a_key_and_is_checked_like_the_file(flux: Flux) -> None:
    assert flux("check", "--set", "constant.rate=30/s", "test.toml").code == ExitCode.OK
    said = flux("check", "--set", "constant.rate=30", "test.toml")
    assert (said.code, "stage[0].rate must be a rate" in said.err) == (78, True)
    assert "did you mean 'ramp'?" in flux("check", "--set", "rmp.up=1s", "test.toml").err


def test_stages_lists_all_of_them(flux: Flux) -> None:
    rows = json.loads(flux("stages", "--format", "json").out)
    assert {row["name"] for row in rows} == set(find_stages())
    assert set(rows[0]) == {"name", "kind", "accepts", "emits", "package"}
    lines = flux("stages").out.splitlines()
    assert lines[0].split() == ["name", "kind", "accepts", "emits", "package"]
    assert [line.split()[0] for line in lines[1:]] == [row["name"] for row in rows]


@pytest.mark.parametrize("name", list(find_stages()))
def test_the_sample_of_a_stage_can_be_saved_and_checked(name: str, flux: Flux) -> None:
    said = flux("explain", name)
    assert (said.code, said.err) == (ExitCode.OK, "")
    sample = said.out.partition("\nSample (save it, then: flux run sample.toml)\n")[2]
    document = parse(sample.replace("\n  ", "\n"), "sample", pathlib.Path(), environment={})
    assert name in {node.use for node in compile_document(document).nodes}


def test_explain_shows_each_key_with_type_default_and_meaning(flux: Flux) -> None:
    lines = flux("explain", "constant").out.splitlines()
    assert lines[0].startswith("constant - generator, from userflux ")
    where = lines.index('  rate = a rate, as in "20/s"  (at least 0 and at most 10000000)')
    assert lines[where + 1] == (
        '      Sessions per time before shaping, as in "20/s" or "1200/min".'
    )
    assert "  jitter = a number  (at least 0 and at most 1; default 0.3)" in (
        flux("explain", "uniform").out.splitlines()
    )
    url = '      url = a URL, as in "http://127.0.0.1:8080", or "demo"  (required)'
    assert url in flux("explain", "http").out.splitlines()


def test_explain_of_a_value_does_not_list_what_it_is_made_of(flux: Flux) -> None:
    out = flux("explain", "http").out
    assert "tables = " not in out
    assert "Tls(" not in out


def test_explain_suggests_a_name(flux: Flux) -> None:
    said = flux("explain", "constnat")
    assert said.code != ExitCode.OK
    assert said.err == "error: there is no stage 'constnat'\n  hint: did you mean 'constant'?\n"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.usefixtures("file")
def test_plan_is_a_picture_and_totals(flux: Flux) -> None:
    said = flux("plan", "test.toml")
    lines = said.out.splitlines()
    assert said.err == ""
    assert lines[0] == "test  10s"
    assert lines[2] == "  " + "  ▁▁▁▁▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▇▇▇▇██" + "█" * 30
    assert [line.split() for line in lines[5:8]] == [
        ["arrivals", "150"],
        ["peak", "20", "/s"],
        ["mean", "15", "/s"],
    ]
    assert lines[-1].split() == ["5.000s", "10.000s", "20", "100.0", "100"]


@pytest.mark.usefixtures("file")
def test_plan_has_the_demand_row_by_row(flux: Flux) -> None:
    rows = table(flux("plan", "test.toml", "--format", "csv").out)
    assert list(rows[0]) == [*DEMAND.columns, "arrivals"]
    assert [row["start_ns"] for row in rows] == [str(k * 10**8) for k in range(100)]
    assert sum(int(row["arrivals"]) for row in rows) == 150
    found = json.loads(flux("plan", "test.toml", "--format", "json").out)
    assert (found["schema"], found["arrivals"], found["unit"]) == ("flux.plan/1", 150, "arrivals/s")
    assert [{key: str(value) for key, value in row.items()} for row in found["demand"]] == rows


@pytest.mark.usefixtures("file")
def test_plan_has_every_due_time(flux: Flux) -> None:
    text = flux("plan", "test.toml", "--arrivals").out
    rows = table(text)
    assert list(rows[0]) == list(ARRIVAL.columns)
    assert [int(row["seq"]) for row in rows] == list(range(150))
    # The k-th arrival of a ramp from 0 to r in u is due at √(2·k·u/r): the first at √0.5 s.
    assert int(rows[0]["due_ns"]) == pytest.approx(0.5**0.5 * 1e9, abs=2)
    lines = flux("plan", "test.toml", "--arrivals", "--format", "json").out.splitlines()
    assert [{key: str(value) for key, value in json.loads(line).items()} for line in lines] == rows


def test_plan_of_users_says_who_joins_and_leaves(flux: Flux, file: pathlib.Path) -> None:
    users = 'use = "users"\nusers = 4'
    file.write_text(TEXT.replace('use = "constant"\nrate = "20/s"', users))
    assert "  users join  4" in flux("plan", file).out.splitlines()
    rows = table(flux("plan", file, "--arrivals").out)
    assert list(rows[0]) == list(ROSTER.columns)
    assert [row["change"] for row in rows] == ["1"] * 4 + ["-1"] * 4


@pytest.mark.usefixtures("file")
def test_plan_of_nothing_still_has_its_header(flux: Flux) -> None:
    out = flux("plan", "test.toml", "--arrivals", "--set", "constant.rate=1/h").out
    assert out == ",".join(ARRIVAL.columns) + "\n"


@pytest.mark.usefixtures("file")
def test_the_plans_of_the_shards_make_up_the_whole(flux: Flux) -> None:
    header, *whole = flux("plan", "test.toml", "--arrivals").out.splitlines()
    parts = [
        flux("plan", "test.toml", "--arrivals", "--shard", f"{index}/3").out.splitlines()
        for index in range(3)
    ]
    assert [part[0] for part in parts] == [header] * 3
    assert [part[1:] for part in parts] == [whole[index::3] for index in range(3)]
    assert flux("plan", "test.toml", "--shard", "1/3").out.startswith("test  10s  shard 1/3\n")


def test_plan_goes_by_the_given_start(flux: Flux, file: pathlib.Path) -> None:
    schedule = 'use = "schedule"\ntimezone = "UTC"\nentries = [{ hours = [9], multiplier = 0 }]'
    file.write_text(TEXT.replace('use = "ramp"\nup = "5s"', schedule))

    def arrivals(start: str) -> int:
        out = flux("plan", file, "--start", start, "--format", "json").out
        found: int = json.loads(out)["arrivals"]
        return found

    assert arrivals("2026-01-05T08:30+00:00") == 200
    assert arrivals("2026-01-05T09:30+00:00") == 0
    assert arrivals("2026-01-05T10:30+01:00") == 0


@pytest.mark.usefixtures("file")
def test_the_seed_fixes_the_plan(flux: Flux) -> None:
    shuffled = ("--set", "constant.use=exponential")
    first = flux("plan", "test.toml", "--arrivals", *shuffled).out
    assert flux("plan", "test.toml", "--arrivals", *shuffled).out == first
    assert flux("plan", "test.toml", "--arrivals", *shuffled, "--seed", "8").out != first


def test_a_plan_without_end_is_refused_with_a_way_out(flux: Flux, file: pathlib.Path) -> None:
    file.write_text(TEXT.replace('duration = "10s"\n', ""))
    said = flux("plan", file)
    assert said.code == ExitCode.USAGE
    assert 'hint: add --duration "1h"' in said.err
    assert flux("plan", file, "--duration", "1s").code == ExitCode.OK


def test_what_the_reader_of_a_plan_raises_is_no_fault_of_a_stage(file: pathlib.Path) -> None:
    def refuse(_: object) -> None:
        raise ZeroDivisionError("by the reader")

    with pytest.raises(ZeroDivisionError, match="by the reader"):
        make_plan(load(file), seed=7, take=refuse)


def test_the_schema_is_one(flux: Flux) -> None:
    schema = json.loads(flux("schema", "result").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == "result.json of flux"


def test_a_run_says_nothing_on_stdout_and_keeps_to_its_schema(
    flux: Flux, file: pathlib.Path
) -> None:
    file.write_text(f'{TEXT}\n[validity]\nmax_lag_p99 = "1m"\nmax_stall = "1m"\n')
    said = flux("run", file, "--duration", "300ms", "--set", "ramp.up=100ms", "--results", "out")
    assert (said.code, said.out) == (ExitCode.OK, ""), said.err
    result: dict[str, Any] = json.loads(pathlib.Path("out/result_1/result.json").read_text())
    jsonschema.validate(result, json.loads(flux("schema", "result").out))
    assert result["sessions"]["planned"] == 5
    assert "planned 5 = started 5 + dropped 0 + cancelled 0" in said.err


def test_file_names_may_have_spaces_and_quotes(flux: Flux, file: pathlib.Path) -> None:
    folder = file.parent / "my load tests"
    folder.mkdir()
    odd = shutil.copy(file, folder / "it's a test – 1.toml")
    assert flux("check", odd).err == f"{odd}: ok, 6 stages\n"
    assert flux("plan", odd).out.startswith("it's a test – 1  10s\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "test.toml", "--arrivals"],
        ["plan", "test.toml", "--arrivals", "--set", "constant.rate=20k/s"],
        ["plan", "test.toml", "--format", "csv"],
        ["plan", "test.toml", "--format", "json"],
        ["plan", "test.toml"],
        ["check", "--graph", "test.toml"],
        ["stages"],
        ["explain", "http"],
        ["schema", "result"],
    ],
)
def test_a_closed_pipe_is_no_error(arguments: list[str], file: pathlib.Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-m", "flux", *arguments],
        cwd=file.parent,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK
    assert [line for line in err.splitlines() if not line.endswith(": ok, 6 stages")] == []


def test_a_reader_of_one_line_gets_it(file: pathlib.Path) -> None:
    command = f"{sys.executable} -m flux plan test.toml --arrivals --set constant.rate=20k/s"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -1"],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "seq,due_ns\n", "")


@pytest.mark.parametrize("after_s", [0.03, 0.05, 0.08, 0.15])
def test_an_early_interrupt_prints_no_traceback(after_s: float) -> None:
    """Whatever was being imported, or done, by then."""
    flux = subprocess.Popen(
        [sys.executable, "-S", "-c", _SLOW_START, str(after_s)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, said = flux.communicate(timeout=60)
    assert "Traceback" not in said
    assert flux.returncode in (ExitCode.INTERRUPTED, ExitCode.OK)


_SLOW_START = """
import os, signal, site, sys
site.main()
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
sys.argv = ["flux", "stages"]
from flux.__main__ import main
main()
"""
