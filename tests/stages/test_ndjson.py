"""The `ndjson` sink, and what a kill leaves of it and of `csv`."""

import csv
import json
import pathlib
import subprocess
import sys

import pytest

from flux.errors import StorageFailed
from flux.schemas import OUTCOME
from flux.stages.ndjson import Ndjson
from tests.stages.loading import load_sample, problems
from tests.stages.sinks import batch, consume, context_in

SECOND_NS = 10**9
VEGETA_KEYS = [
    *("attack", "seq", "code", "timestamp", "latency", "bytes_out"),
    *("bytes_in", "error", "body", "method", "url", "headers"),
]


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("ndjson") == Ndjson()


def test_a_basis_is_due_or_start() -> None:
    assert problems("ndjson", 'basis = "end"') == ['basis must be one of "due", "start"']


async def test_every_line_is_a_record(tmp_path: pathlib.Path) -> None:
    await consume(Ndjson(), context_in(tmp_path), [batch(0, 3), batch(3, 2000)])
    text = (tmp_path / "requests.ndjson").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert text.endswith("\n")
    assert [record["seq"] for record in records] == list(range(2003))
    assert list(records[0])[:12] == VEGETA_KEYS
    assert set(records[0]) == {*VEGETA_KEYS, *OUTCOME.columns}
    first = {key: records[1][key] for key in VEGETA_KEYS}
    assert first == {
        "attack": "list",
        "seq": 1,
        "code": 200,
        "timestamp": "2026-01-05T08:30:00.001000000+00:00",
        "latency": 5_000_000,
        "bytes_out": 0,
        "bytes_in": 0,
        "error": "",
        "body": None,
        "method": "GET",
        "url": "http://127.0.0.1/b",
        "headers": None,
    }


async def test_a_run_without_rows_has_an_empty_file(tmp_path: pathlib.Path) -> None:
    await consume(Ndjson(), context_in(tmp_path), [])
    assert (tmp_path / "requests.ndjson").read_bytes() == b""


async def test_a_full_disk_is_one_clear_message(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StorageFailed, match="cannot write /dev/full: No space left on device"):
        await consume(Ndjson(path="/dev/full"), context_in(tmp_path), [batch(0, 2)])


@pytest.mark.slow
def test_a_kill_leaves_whole_rows_up_to_the_last_second(tmp_path: pathlib.Path) -> None:
    """The child tells of each batch that it sent, and when; it is killed amid the stream."""
    command = [sys.executable, "-m", "tests.stages.endless_rows", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        reports = []
        for line in child.stdout:
            reports.append(tuple(map(int, line.split())))
            if reports[-1][1] - reports[0][1] > 1.5 * SECOND_NS:
                child.kill()
                break
        reports += [tuple(map(int, line.split())) for line in child.stdout]
    last_ns = reports[-1][1]
    must_be_there = max(seq for seq, sent_ns in reports if sent_ns <= last_ns - SECOND_NS)
    for seqs in (_ndjson_numbers(tmp_path), _csv_numbers(tmp_path)):
        assert seqs == list(range(len(seqs)))
        assert len(seqs) > must_be_there


def _whole_lines(file: pathlib.Path) -> list[str]:
    """All lines but the last one if it was cut."""
    return file.read_text()[: file.read_text().rfind("\n") + 1].splitlines()


def _ndjson_numbers(folder: pathlib.Path) -> list[int]:
    return [json.loads(line)["seq"] for line in _whole_lines(folder / "requests.ndjson")]


def _csv_numbers(folder: pathlib.Path) -> list[int]:
    rows = list(csv.DictReader(_whole_lines(folder / "requests.csv")))
    assert all(row["timestamp"].endswith("+00:00") for row in rows)
    return [int(row["seq"]) for row in rows]
