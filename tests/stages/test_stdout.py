"""The `stdout` sink: what it writes, and readers that are slow, gone or not there."""

import csv
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest
import trio

from flux.errors import StorageFailed
from flux.interval_lines import COLUMNS
from flux.schemas import OUTCOME, SUMMARY
from flux.stages.csv import Csv
from flux.stages.ndjson import Ndjson
from flux.stages.stdout import Stdout
from tests.stages.loading import load_sample, problems
from tests.stages.sinks import batch, consume, context_in
from tests.stages.stdout_child import BATCHES, ROWS
from tests.stages.summaries import empty_interval, final, interval

FORMATS = ("ndjson", "csv", "interval")


def child(scenario: str, form: str, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.stages.stdout_child", scenario, form]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("stdout") == Stdout()


def test_a_format_is_one_of_three() -> None:
    assert problems("stdout", 'format = "json"') == [
        'format must be one of "ndjson", "csv", "interval"'
    ]


def test_it_takes_what_its_format_is_about() -> None:
    assert [Stdout(format=form).accepts for form in FORMATS] == [  # type: ignore[arg-type]  # text
        (OUTCOME,),
        (OUTCOME,),
        (SUMMARY,),
    ]


@pytest.mark.parametrize(
    ("stage", "other", "name"),
    [
        (Stdout(), Ndjson(), "requests.ndjson"),
        (Stdout(basis="start"), Ndjson(basis="start"), "requests.ndjson"),
        (Stdout(format="csv"), Csv(), "requests.csv"),
    ],
)
async def test_rows_are_those_of_the_file_sinks(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], stage: Any, other: Any, name: str
) -> None:
    batches = [batch(0, 700), batch(700, 3)]
    await consume(other, context_in(tmp_path), batches)
    await consume(stage, context_in(tmp_path), batches)
    assert capfd.readouterr().out == await trio.Path(tmp_path / name).read_text()


async def test_an_interval_is_a_line_of_csv(capfd: pytest.CaptureFixture[str]) -> None:
    summaries = [empty_interval(), interval(1), final()]
    await consume(Stdout(format="interval"), context_in(None), summaries)
    first, second = csv.DictReader(capfd.readouterr().out.splitlines())
    assert first["requests"] == "0"
    assert first["response_p99_ms"] == first["lag_p99_ms"] == ""
    assert second == {
        "end_s": "2.000",
        "requests": "2",
        "successes": "1",
        "failures": "1",
        "dropped": "1",
        "rate_per_s": "2.0",
        "response_p50_ms": "5.003",
        "response_p95_ms": "25.000",
        "response_p99_ms": "25.000",
        "response_max_ms": "25.000",
        "lag_p99_ms": "10.000",
    }


def test_every_column_of_an_interval_is_explained() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "stages" / "stdout.md").read_text()
    cells = re.findall(r"^\| ([a-z0-9_, ]+) \|", page, re.MULTILINE)
    assert [name for cell in cells[1:] for name in cell.split(", ")] == list(COLUMNS)


@pytest.mark.parametrize("form", FORMATS)
def test_a_reader_that_leaves_stops_the_run_quietly(form: str) -> None:
    with child("leaves", form, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == "stopped\n"
    assert process.returncode == 0


def test_a_reader_that_reads_late_gets_every_row() -> None:
    with child("blocks", "ndjson", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "sent\n"  # so the sink held up nobody
        seqs = [json.loads(line)["seq"] for line in process.stdout]
        assert process.stderr.read() == "done\n"
    assert seqs == list(range(BATCHES * ROWS))


def test_a_reader_that_never_reads_cannot_keep_a_cancelled_run() -> None:
    with child("never_reads", "ndjson", stdout=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.read() == "cancelled\n"
        assert process.wait() == 0


def test_a_closed_standard_output_is_an_error() -> None:
    command = 'exec "$0" -m tests.stages.stdout_child is_closed ndjson >&-'
    done = subprocess.run(["sh", "-c", command, sys.executable], stderr=subprocess.PIPE, text=True)
    assert done.stderr == "cannot write standard output: it is closed\n"


async def test_a_full_disk_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230  # a device that never blocks
        monkeypatch.setattr("flux.stages.stdout._STANDARD_OUTPUT", full.fileno())
        with pytest.raises(StorageFailed, match="cannot write standard output: No space left"):
            await consume(Stdout(), context_in(None), [batch(0, 2)])
