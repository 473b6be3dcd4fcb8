"""The `csv` sink: what is in the file, when it is there, and what is said if it cannot be."""

import csv
import os
import pathlib
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from flux.errors import StorageFailed
from flux.schemas import OUTCOME
from flux.stages.csv import Csv
from tests.stages.loading import load_sample, problems
from tests.stages.sinks import batch, consume, context_in


def read(file: pathlib.Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def numbers(file: pathlib.Path) -> list[int]:
    return [int(row["seq"]) for row in read(file)]


@contextmanager
def files_up_to(size_bytes: int) -> Iterator[None]:
    """No file can grow beyond this, as if the disk were full; Python ignores SIGXFSZ."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("csv") == Csv()


def test_a_path_must_not_be_empty() -> None:
    assert problems("csv", 'path = ""') == ["path must not be empty"]


async def test_every_row_is_in_the_file(tmp_path: pathlib.Path) -> None:
    await consume(Csv(), context_in(tmp_path), [batch(0, 3), batch(3, 2000), batch(2003, 1)])
    rows = read(tmp_path / "requests.csv")
    assert [row["seq"] for row in rows] == [str(seq) for seq in range(2004)]
    assert tuple(rows[0]) == (*OUTCOME.columns, "timestamp")
    assert (rows[1]["step"], rows[1]["error"], rows[1]["due_ns"]) == ("list", "", "1000000")
    assert rows[1]["flags"] == "first|last|success|session_success"
    assert rows[1]["timestamp"] == "2026-01-05T08:30:00.001000000+00:00"


async def test_a_run_without_rows_has_a_header(tmp_path: pathlib.Path) -> None:
    await consume(Csv(), context_in(tmp_path), [])
    assert (tmp_path / "requests.csv").read_text().count("\n") == 1


async def test_rows_are_written_before_the_next_batch_is_taken(tmp_path: pathlib.Path) -> None:
    """Nothing is kept back in this process, so a kill cannot take it along."""
    file = tmp_path / "requests.csv"
    sender, inbox = trio.open_memory_channel[Any](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Csv().consume, context_in(tmp_path), inbox)
        for count in range(5):
            await sender.send(batch(10 * count, 10))
            assert file.read_text().startswith("seq,")
            assert numbers(file) == list(range(10 * count))
        await sender.aclose()


@pytest.mark.parametrize("path", ["rows/of/a.csv", "/absolute"])
async def test_the_path_is_below_the_folder_unless_it_is_absolute(
    tmp_path: pathlib.Path, path: str
) -> None:
    path = path.replace("/absolute", str(tmp_path / "elsewhere.csv"))
    await consume(Csv(path=path), context_in(tmp_path / "run"), [batch(0, 2)])
    assert numbers(tmp_path / "run" / path) == [0, 1]


async def test_what_the_file_held_before_is_gone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "requests.csv").write_text("old\n" * 1000)
    await consume(Csv(), context_in(tmp_path), [batch(0, 2)])
    assert numbers(tmp_path / "requests.csv") == [0, 1]


async def test_without_a_folder_nothing_is_written(tmp_path: pathlib.Path) -> None:
    await consume(Csv(path=str(tmp_path / "a.csv")), context_in(None), [batch(0, 2)])
    assert os.listdir(tmp_path) == []


async def test_a_full_disk_is_one_clear_message(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        StorageFailed, match=r"^cannot write /dev/full: No space left on device\n  hint: free"
    ):
        await consume(Csv(path="/dev/full"), context_in(tmp_path), [batch(0, 2)])


async def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path: pathlib.Path) -> None:
    with files_up_to(100_000), pytest.raises(StorageFailed, match="File too large"):
        await consume(Csv(), context_in(tmp_path), [batch(0, 5000)])
    file = tmp_path / "requests.csv"
    assert 99_000 < file.stat().st_size <= 100_000
    assert file.read_bytes().endswith(b"\n")
    assert numbers(file) == list(range(len(numbers(file))))
    assert None not in read(file)[-1].values()


async def test_two_sinks_cannot_write_to_one_file(tmp_path: pathlib.Path) -> None:
    first, first_inbox = trio.open_memory_channel[Any](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Csv().consume, context_in(tmp_path), first_inbox)
        await first.send(batch(0, 1))
        with pytest.raises(StorageFailed, match="give this one a path of its own"):
            await consume(Csv(), context_in(tmp_path), [])
        await first.send(batch(1, 1))
        await first.aclose()
    assert numbers(tmp_path / "requests.csv") == [0, 1]


@pytest.mark.parametrize(
    ("path", "message"),
    [(".", "Is a directory"), ("file/requests.csv", "Not a directory|File exists")],
)
async def test_what_cannot_be_opened_is_named(
    tmp_path: pathlib.Path, path: str, message: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match=f"cannot write {tmp_path}.*({message})"):
        await consume(Csv(path=path), context_in(tmp_path), [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_without_permission_is_named(tmp_path: pathlib.Path) -> None:
    os.chmod(tmp_path, 0o500)
    with pytest.raises(StorageFailed, match="Permission denied"):
        await consume(Csv(), context_in(tmp_path), [])
