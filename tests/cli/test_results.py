"""`flux results` and `flux compare` on real runs, one of them killed."""

import io
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from flux.cli import invoke
from flux.errors import ExitCode
from flux.result_schema import result_schema
from flux.run_folder import hold_run_folder
from flux.runs.folders import RunFolder, State
from flux.runs.listing import RunLine

PIPELINE = """
name = "small"
seed = 7
[validity]
max_lag_p99 = "1h"  # a busy machine makes a run late, which is not what is tested here
max_stall = "1h"
[[stage]]
use = "constant"
rate = "{rate}/s"
[[stage]]
use = "null"
service = "{service}"
[[stage]]
use = "json"
[[stage]]
use = "{rows}"
"""

Say = Callable[..., tuple[int, str, str]]


def write_pipeline(
    folder: pathlib.Path, *, rate: int = 100, service: str = "5ms", rows: str = "csv"
) -> str:
    file = folder / "small.toml"
    file.write_text(PIPELINE.format(rate=rate, service=service, rows=rows))
    return str(file)


@pytest.fixture
def say(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Say:
    """Calls `flux` in a folder of its own: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def say(*arguments: str) -> tuple[int, str, str]:
        code = invoke(list(arguments))
        return code, *capfd.readouterr()

    return say


@pytest.fixture
def running(say: Say, tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that goes on until it is stopped, with rows on disk."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flux", "run", "-q", write_pipeline(tmp_path)], cwd=tmp_path
    )
    rows = tmp_path / "results" / "result_1" / "requests.csv"
    give_up_s = time.monotonic() + 60
    while not rows.is_file() or rows.stat().st_size < 5000:
        assert time.monotonic() < give_up_s
        assert process.poll() is None
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def rows_of(folder: pathlib.Path, name: str = "requests.csv") -> list[str]:
    """Whole lines but the header."""
    text = (folder / name).read_text()
    return text[: text.rfind("\n") + 1].splitlines()[1 if name.endswith("csv") else 0 :]


def listed(say: Say) -> list[dict[str, Any]]:
    return list(json.loads(say("results", "list", "--json")[1]))


def test_the_page_of_a_run_is_shown_again_as_it_was(say: Say, tmp_path: pathlib.Path) -> None:
    file = write_pipeline(tmp_path)
    code, _, told = say("run", "--lines", "--duration", "500ms", file)
    assert code == ExitCode.OK
    for which in ("1", "last", "results/result_1", "results/result_1/result.json"):
        code, page, _ = say("results", "show", which)
        assert code == ExitCode.OK
        if which in ("1", "last"):
            assert told.endswith(page)
    (one,) = listed(say)
    assert (one["number"], one["name"], one["verdict"]) == (1, "small", "VALID")
    assert (one["requests"], one["failed_share"]) == (50, 0.0)
    assert one["p99_ns"] is None  # of 50 requests
    assert say("results")[1] == say("results", "list")[1] != ""


def test_the_list_says_how_many_thresholds_were_missed(say: Say, tmp_path: pathlib.Path) -> None:
    file = pathlib.Path(write_pipeline(tmp_path))
    text = file.read_text()
    tables = "".join(f'[[threshold]]\nexpect = "{one}"\n' for one in ("max < 1ns", "max < 1h"))
    file.write_text(text.replace("[[stage]]", f"{tables}[[stage]]", 1))
    assert say("run", "-q", "--duration", "200ms", str(file))[0] == ExitCode.THRESHOLDS_FAILED
    assert say("results", "list")[1].endswith("  VALID, 1 of 2 thresholds missed\n")
    (one,) = listed(say)
    assert (one["verdict"], one["exit_code"]) == ("VALID", ExitCode.THRESHOLDS_FAILED)
    assert (one["thresholds_passed"], one["thresholds_missed"]) == (1, 1)


@pytest.mark.parametrize(
    ("state", "passed", "missed", "code", "text"),
    [
        (State.VALID, 0, 0, 0, "VALID"),
        (State.VALID, 2, 0, 0, "VALID, thresholds passed"),
        (State.VALID, 2, 1, 99, "VALID, 1 of 3 thresholds missed"),
        (State.VALID, None, None, 99, "VALID, thresholds missed"),
        (State.VALID, 1, 0, 108, "VALID, thresholds passed, ended by a guard"),
        (State.INVALID, 0, 0, 96, "INVALID"),
        (State.KILLED, None, None, None, "killed"),
    ],
)
def test_a_verdict_in_the_list_has_what_thresholds_and_guards_say(
    state: State, passed: int | None, missed: int | None, code: int | None, text: str
) -> None:
    unknown = dict.fromkeys(
        ("number", "name", "started_at", "duration_ns", "requests", "failed_share", "p99_ns")
    )
    line = RunLine(
        **unknown,
        verdict=str(state),
        thresholds_passed=passed,
        thresholds_missed=missed,
        exit_code=code,
        folder="results/result_1",
    )
    assert line.verdict_text == text


def test_a_run_that_goes_on_is_listed_so_and_never_removed(
    say: Say, running: subprocess.Popen[bytes]
) -> None:
    assert [one["verdict"] for one in listed(say)] == ["running"]
    code, _, told = say("results", "rm", "--yes", "1")
    assert code == ExitCode.USAGE
    assert "run 1 goes on, and is not removed" in told
    code, _, told = say("results", "repair", "1")
    assert code == ExitCode.USAGE
    assert "must not be repaired" in told


def test_the_log_of_a_run_is_followed_until_it_ends(
    say: Say, running: subprocess.Popen[bytes], tmp_path: pathlib.Path
) -> None:
    follower = subprocess.Popen(
        [sys.executable, "-m", "flux", "results", "tail", "last"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert "run small begins" in follower.stdout.readline()
    running.send_signal(signal.SIGINT)
    rest, told = follower.communicate(timeout=60)
    assert rest.splitlines()[-1].endswith("run small ended with exit code 0 (ok)")
    assert told == "run 1 is over: VALID\n"
    assert follower.returncode == 0


def test_a_killed_run_is_repaired_from_its_rows(
    say: Say, running: subprocess.Popen[bytes], tmp_path: pathlib.Path
) -> None:
    running.kill()
    running.wait()
    folder = tmp_path / "results" / "result_1"
    assert [one["verdict"] for one in listed(say)] == ["killed"]
    with (folder / "requests.csv").open("a") as stream:
        stream.write("9999,9999,nu")  # as if the machine had gone down
    expected = rows_of(folder)
    code, text, _ = say("results", "repair", "1", "--json")
    assert code == ExitCode.OK
    made = json.loads(text)
    assert made["Total"] == made["Success"] == len(expected)
    assert made["repaired"]["rows"] == len(expected)
    assert made["repaired"]["cut_bytes"] >= 12
    assert [one["verdict"] for one in listed(say)] == ["repaired"]
    document = json.loads((folder / "result.json").read_text())
    jsonschema.validate(document, result_schema())
    assert document["complete"] is False
    assert document["validity"]["valid"] is None
    assert document["sessions"]["planned"] is None
    assert document["steps"][0]["latency"]["response"]["count"] == len(expected)
    assert sum(row["requests"] for row in document["series"]) == len(expected)
    first_line = say("results", "show", "1")[1].splitlines()[0]
    assert first_line.startswith("repaired")


@pytest.mark.parametrize("rows", ["csv", "ndjson"])
def test_a_result_made_from_rows_is_that_of_the_run(
    rows: str, say: Say, tmp_path: pathlib.Path
) -> None:
    assert say("run", "-q", "--duration", "2s", write_pipeline(tmp_path, rows=rows))[0] == 0
    folder = tmp_path / "results" / "result_1"
    file = folder / "result.json"
    before = json.loads(file.read_text())
    file.unlink()
    log = folder / "flux.log"
    log.write_text(log.read_text().splitlines()[0] + "\n")  # as if it had been killed
    assert say("results", "repair", "1")[0] == ExitCode.OK
    after = json.loads(file.read_text())
    same = ("Script", "Total", "Success", "Failure", "latency", "steps", "histograms", "statuses")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    assert after["series"][0] == before["series"][0]
    assert after["run"]["started_at"] == before["run"]["started_at"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_killed_while_it_drained_is_repaired_with_all_that_had_ended(
    processes: int, say: Say, tmp_path: pathlib.Path
) -> None:
    """After a Ctrl-C some arrivals were cancelled, some sessions had ended, and others had not."""
    file = write_pipeline(tmp_path, service="2s")
    limits = ["null.max_in_flight=150", f"null.processes={processes}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "flux", "run", "-q", file, "--set", limits[0], "--set", limits[1]],
        cwd=tmp_path,
    )
    folder = tmp_path / "results" / "result_1"

    def wait_for(text: str, count: int) -> None:
        give_up_s = time.monotonic() + 60
        rows = folder / "requests.csv"
        while not rows.is_file() or sum(text in row for row in rows_of(folder)) < count:
            assert time.monotonic() < give_up_s
            assert process.poll() is None
            time.sleep(0.02)

    with process:
        wait_for("|success|", 20)
        process.send_signal(signal.SIGINT)
        wait_for("cancelled", 1)
        wait_for("|success|", 100)
        process.kill()
    assert (folder / "control.sock").exists()
    assert say("live")[0] == ExitCode.USAGE
    rows = rows_of(folder)
    ended, cancelled = (sum(text in row for row in rows) for text in ("|success|", "cancelled"))
    assert say("results", "repair", "last")[0] == ExitCode.OK
    result = json.loads((folder / "result.json").read_text())
    assert (result["Total"], result["Success"], result["Failure"]) == (ended, ended, 0)
    assert result["sessions"]["cancelled"] == cancelled
    assert result["sessions"]["started"] == ended == len(rows) - cancelled
    assert (result["complete"], result["validity"]["valid"]) == (False, None)
    left = {"flux.log", "requests.csv", "result.json", "session.toml"}
    assert {one.name for one in folder.iterdir()} == left


def test_what_a_killed_run_left_behind_is_taken_away_though_it_has_no_rows(
    say: Say, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "results" / "result_1"
    folder.mkdir(parents=True)
    for name in ("flux.log", "control.sock", ".result.json.part", "notes.part"):
        (folder / name).touch()
    assert say("results", "repair", "1")[0] == ExitCode.FAILURE
    assert {one.name for one in folder.iterdir()} == {"flux.log", "notes.part"}


def test_a_whole_result_needs_no_repair(say: Say, tmp_path: pathlib.Path) -> None:
    say("run", "-q", "--duration", "200ms", write_pipeline(tmp_path))
    code, _, told = say("results", "repair", "1")
    assert code == ExitCode.USAGE
    assert "has its whole result" in told


def test_runs_are_removed_only_when_that_was_confirmed(
    say: Say, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        say("run", "-q", "--duration", "100ms", write_pipeline(tmp_path))
    monkeypatch.setattr("click.confirm", lambda *_, **__: pytest.fail("asked"))
    assert say("results", "rm", "1", "--yes")[0] == ExitCode.OK
    assert [one["number"] for one in listed(say)] == [2]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert say("results", "rm", "last")[0] == ExitCode.INTERRUPTED
    assert (tmp_path / "results" / "result_2").is_dir()


def test_a_run_that_is_not_there_is_named(say: Say) -> None:
    for which in ("7", "last", "nowhere"):
        code, _, told = say("results", "show", which)
        assert code == ExitCode.USAGE
        assert told.startswith("error: there ")
    assert say("results", "list")[:2] == (ExitCode.OK, "")


def test_a_folder_is_held_for_as_long_as_its_run_lives(tmp_path: pathlib.Path) -> None:
    assert RunFolder(tmp_path).state is State.KILLED
    with hold_run_folder(tmp_path):
        assert RunFolder(tmp_path).state is State.RUNNING
    assert RunFolder(tmp_path).state is State.KILLED


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("run a b ended with exit code 0 (ok)", State.VALID),
        ("run small ended with exit code 96 (invalid_run)", State.INVALID),
        ("run small ended with exit code 1 (failure)", State.FAILED),
        ("run small ended before its first arrival", State.FAILED),
        ("run small begins in results/result_1 with seed 7", State.KILLED),
    ],
)
def test_what_became_of_a_run_without_a_result_is_in_its_log(
    line: str, state: State, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "flux.log").write_text(f"2026-11-21T10:00:00.123+00:00 INFO run.py:1 {line}\n")
    assert RunFolder(tmp_path).state is state


def test_runs_are_compared_and_held_against_limits(say: Say, tmp_path: pathlib.Path) -> None:
    for service in ("5ms", "5ms", "20ms"):
        file = write_pipeline(tmp_path, rate=200, service=service)
        assert say("run", "-q", "--duration", "1s", file)[0] == ExitCode.OK
    code, text, _ = say("compare", "1", "3", "--fail-if", "mean > +50%", "--html", "page.html")
    assert code == ExitCode.THRESHOLDS_FAILED
    assert "missed    mean > +50%" in text
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    code, text, _ = say("compare", "1", "2", "3", "--json", "--fail-if", "null:p50 < -50%")
    assert code == ExitCode.OK
    assert [one["run"] for one in json.loads(text)["comparisons"]] == ["2", "3"]
    assert say("compare", "1", "last", "--fail-if", "p99 > +5%")[0] == ExitCode.INVALID_RUN


def test_a_run_that_has_not_ended_is_not_compared(
    say: Say, running: subprocess.Popen[bytes]
) -> None:
    code, _, told = say("compare", "1", "last")
    assert code == ExitCode.INVALID_RUN
    assert "run 1" in told


def test_one_run_is_no_comparison(say: Say) -> None:
    code, _, told = say("compare", "1")
    assert code == ExitCode.USAGE
    assert "at least two runs" in told
