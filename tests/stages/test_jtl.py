"""The `jtl` sink: what JMeter finds in its file."""

import csv
import pathlib

import pytest

from flux.errors import StorageFailed
from flux.formats import read
from flux.formats.jtl import COLUMNS
from flux.schemas import ErrorCode, Flag
from flux.stages.jtl import Jtl
from tests.outcomes import as_rows, not_started, request
from tests.stages.loading import load, load_sample, problems
from tests.stages.sinks import batch, consume, context_in


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("jtl") == Jtl()


def test_a_basis_is_due_or_start() -> None:
    assert problems("jtl", 'basis = "end"') == ['basis must be one of "due", "start"']


async def test_every_request_is_a_sample(tmp_path: pathlib.Path) -> None:
    await consume(Jtl(), context_in(tmp_path), [batch(0, 3), batch(3, 2000)])
    with (tmp_path / "requests.jtl").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 2003
    assert rows[1] == {
        "timeStamp": "1767601800001",
        "elapsed": "5",
        "label": "list",
        "responseCode": "200",
        "responseMessage": "OK",
        "threadName": "flux-due 1-1",
        "dataType": "text",
        "success": "true",
        "failureMessage": "",
        "bytes": "0",
        "sentBytes": "0",
        "grpThreads": "0",
        "allThreads": "0",
        "URL": "http://127.0.0.1/b",
        "Latency": "5",
        "IdleTime": "0",
        "Connect": "0",
    }


@pytest.mark.parametrize(("basis", "elapsed"), [("due", 30), ("start", 20)])
async def test_times_are_counted_from_the_basis(
    basis: str, elapsed: int, tmp_path: pathlib.Path
) -> None:
    rows = as_rows([request(0, 30_000_000, start_ns=10_000_000)])
    await consume(load("jtl", f'basis = "{basis}"'), context_in(tmp_path), [rows])
    recording = read(tmp_path / "requests.jtl")
    assert recording.latency == {"due": "response", "start": "service"}[basis]
    assert getattr(recording.total, recording.latency).max_ns == elapsed * 10**6


async def test_what_was_never_sent_is_no_sample(tmp_path: pathlib.Path) -> None:
    failed = request(0, 10**9, Flag.FIRST | Flag.LAST, status=0, error=int(ErrorCode.TIMEOUT))
    rows = as_rows([not_started(0, Flag.DROPPED), failed])
    await consume(Jtl(), context_in(tmp_path), [rows])
    (line,) = (tmp_path / "requests.jtl").read_text().splitlines()[1:]
    assert ",Non HTTP response code: timeout,Non HTTP response message: timeout," in line
    assert ",text,false,timeout," in line


async def test_a_full_disk_is_one_clear_message(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StorageFailed, match="cannot write /dev/full: No space left on device"):
        await consume(Jtl(path="/dev/full"), context_in(tmp_path), [batch(0, 2)])
