"""Rows read back from files are the rows that were written."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.errors import FluxError
from flux.rows import csv_format, ndjson_format
from flux.runs import row_files
from flux.runs.number_columns import Table
from flux.runs.row_files import RowFile
from flux.schemas import Rows
from tests.outcomes import STARTED_AT, STEPS, TARGETS, as_rows, request, row_lists

QUOTED = ('a, "quoted" step', "list", "buy")


def written(rows: Rows, use: str, steps: tuple[str, ...]) -> bytes:
    if use == "csv":
        made = csv_format(steps, STARTED_AT, targets=TARGETS)
    else:
        basis: Any = "start" if use == "ndjson-start" else "due"
        made = ndjson_format(steps, STARTED_AT, targets=TARGETS, basis=basis)
    return made.header + bytes(made.lines(rows))


def read(path: pathlib.Path, use: str, steps: Any = STEPS) -> tuple[Rows, RowFile]:
    file = RowFile(use.split("-")[0], path, list(steps), list(TARGETS))
    batches = list(file.batches())
    return np.concatenate([*batches, as_rows([])]), file


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("rows") / "rows"


@pytest.mark.parametrize("steps", [STEPS, QUOTED])
@pytest.mark.parametrize("use", ["csv", "ndjson", "ndjson-start"])
@given(dicts=row_lists, cut=st.integers(0, 10))
def test_whole_lines_come_back_and_a_cut_one_is_left_out(
    use: str, steps: tuple[str, ...], dicts: Any, cut: int, path: pathlib.Path
) -> None:
    rows = as_rows(dicts)
    text = written(rows, use, steps)
    is_cut = cut > 0 and len(rows) > 0
    path.write_bytes(text[: len(text) - cut] if is_cut else text)
    found, file = read(path, use, steps)
    expected = rows[:-1] if is_cut else rows
    assert found.tolist() == expected.tolist()
    assert file.rows == len(expected)
    assert (file.cut_bytes > 0) == is_cut
    if len(expected) and (use == "csv" or (expected["flags"] & 1).any()):
        assert file.started_at == STARTED_AT


@pytest.mark.parametrize("use", ["csv", "ndjson"])
def test_rows_are_the_same_in_pieces_of_any_size(
    use: str, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = as_rows([request(index * 1000, step=index % 3, seq=index) for index in range(200)])
    path.write_bytes(written(rows, use, STEPS))
    for size in (50, 1000, 4096):
        monkeypatch.setattr(row_files, "CHUNK_BYTES", size)
        assert read(path, use)[0].tolist() == rows.tolist()


def test_names_that_are_not_known_are_added_as_they_are_found(path: pathlib.Path) -> None:
    rows = as_rows([request(step=2), request(step=0)])
    path.write_bytes(written(rows, "csv", STEPS))
    found, file = read(path, "csv", steps=())
    assert file.steps == ["buy", "login"]
    assert found["step"].tolist() == [0, 1]


@pytest.mark.parametrize("line", ["1,2\n", "x" + ",0" * 17 + "\n"])
def test_a_line_that_is_no_row_is_refused(line: str, path: pathlib.Path) -> None:
    text = written(as_rows([request()]), "csv", STEPS) + line.encode()
    path.write_bytes(text)
    with pytest.raises(FluxError, match="not a row after row 0"):
        read(path, "csv")


def test_a_file_without_a_column_is_refused(path: pathlib.Path) -> None:
    path.write_text("seq,session\n1,2\n")
    with pytest.raises(FluxError, match="the header has no column step"):
        read(path, "csv")


@given(
    st.lists(st.tuples(st.integers(-(10**17), 10**17), st.text("abc|_", max_size=9)), min_size=1)
)
def test_a_table_has_the_numbers_and_texts_of_its_lines(values: list[tuple[int, str]]) -> None:
    text = "".join(f"{word},{number}\n" for number, word in values)
    table = Table(text.encode(), 2)
    words, which = table.texts(0)
    assert table.numbers(1).tolist() == [number for number, _ in values]
    assert [words[one] for one in which.tolist()] == [word for _, word in values]
    assert json.dumps(words) == json.dumps(list(dict.fromkeys(word for _, word in values)))
