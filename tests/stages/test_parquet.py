"""The `parquet` sink: what pyarrow reads back."""

import pathlib
import sys

import pyarrow.parquet
import pytest

from flux.errors import MissingExtra, StorageFailed
from flux.formats.parquet import ROWS_PER_GROUP
from flux.schemas import OUTCOME, ErrorCode, Flag
from flux.stages.parquet import Parquet
from tests.outcomes import as_rows, not_started, request
from tests.stages.loading import load_sample, problems
from tests.stages.sinks import batch, consume, context_in


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("parquet") == Parquet()


def test_a_path_must_not_be_empty() -> None:
    assert problems("parquet", 'path = ""') == ["path must not be empty"]


async def test_every_row_is_in_the_file(tmp_path: pathlib.Path) -> None:
    failed = request(7, 19, Flag.FIRST, step=1, status=503, error=int(ErrorCode.STATUS))
    rows = as_rows([failed, not_started(10**9, Flag.DROPPED)])
    await consume(Parquet(), context_in(tmp_path), [rows, batch(0, 2000)])
    table = pyarrow.parquet.read_table(tmp_path / "requests.parquet")
    assert table.column_names == [*OUTCOME.columns, "timestamp"]
    assert len(table) == 2002
    first, second = table.slice(0, 2).drop_columns("timestamp").to_pylist()
    assert (first["step"], first["error"], first["flags"]) == ("list", "status", "first")
    assert (first["due_ns"], first["end_ns"], first["status"]) == (7, 19, 503)
    assert (second["step"], second["error"], second["flags"]) == (None, "dropped", "dropped")
    times = [time.value for time in table["timestamp"].slice(0, 2)]
    assert times == [1_767_601_800_000_000_007, 1_767_601_801_000_000_000]


async def test_rows_are_compressed_in_groups(tmp_path: pathlib.Path) -> None:
    half = batch(0, ROWS_PER_GROUP // 2)
    await consume(Parquet(), context_in(tmp_path), [half, half, half])
    file = pyarrow.parquet.ParquetFile(tmp_path / "requests.parquet")
    groups = [file.metadata.row_group(index).num_rows for index in range(2)]
    file.close()
    assert groups == [ROWS_PER_GROUP, ROWS_PER_GROUP // 2]


async def test_a_run_without_rows_is_a_file_without_rows(tmp_path: pathlib.Path) -> None:
    await consume(Parquet(), context_in(tmp_path), [])
    assert len(pyarrow.parquet.read_table(tmp_path / "requests.parquet")) == 0


async def test_a_plan_writes_nothing() -> None:
    await consume(Parquet(), context_in(None), [batch(0, 2)])


async def test_a_folder_that_is_not_there_is_one_clear_message(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run").mkdir()
    stage = Parquet(path=str(tmp_path / "none" / "requests.parquet"))
    told = r"cannot write .*requests\.parquet: there is no folder"
    with pytest.raises(StorageFailed, match=told):
        await consume(stage, context_in(tmp_path / "run"), [batch(0, 2)])
    assert not (tmp_path / "none").exists()


def test_without_pyarrow_the_extra_is_named_before_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r'pip install "userflux\[parquet\]"'):
        Parquet().prepare()
