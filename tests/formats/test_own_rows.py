"""Rows read back from flux's own files are the rows that were written."""

import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.errors import FluxError
from flux.formats import line_blocks
from flux.formats.detect import Found, detect
from flux.formats.fields import TextCodes
from flux.formats.reading import Reading
from flux.formats.row_files import read_rows
from flux.rows import csv_format, ndjson_format
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


def read(path: pathlib.Path, steps: Any = STEPS) -> tuple[Rows, Reading]:
    reading = Reading(path, steps=TextCodes(steps), targets=TextCodes(TARGETS))
    found = detect(path) if path.stat().st_size else Found("ndjson")
    return np.concatenate([*read_rows(reading, found), as_rows([])]), reading


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
    is_cut = cut > 0 and len(rows) > (0 if use == "csv" else 1)
    path.write_bytes(text[: len(text) - cut] if is_cut else text)
    found, reading = read(path, steps)
    expected = rows[:-1] if is_cut else rows
    assert found.tolist() == expected.tolist()
    assert reading.rows == len(expected)
    assert (reading.notes.cut_bytes > 0) == is_cut
    if len(expected):
        assert reading.facts().started_at == STARTED_AT


@pytest.mark.parametrize("use", ["csv", "ndjson"])
def test_rows_are_the_same_in_pieces_of_any_size(
    use: str, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = as_rows([request(index * 1000, step=index % 3, seq=index) for index in range(200)])
    path.write_bytes(written(rows, use, STEPS))
    for size in (50, 1000, 4096):
        monkeypatch.setattr(line_blocks, "BLOCK_BYTES", size)
        assert read(path)[0].tolist() == rows.tolist()


def test_names_that_are_not_known_are_added_as_they_are_found(path: pathlib.Path) -> None:
    rows = as_rows([request(step=2), request(step=0)])
    path.write_bytes(written(rows, "csv", STEPS))
    found, reading = read(path, steps=())
    assert reading.steps.texts == ["buy", "login"]
    assert found["step"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("line", "said"),
    [("1,2\n", "line 3 of .* must have 18 fields, got 2"), ("x" + ",0" * 17 + "\n", "line 3 of")],
)
def test_a_line_that_is_no_row_is_named(line: str, said: str, path: pathlib.Path) -> None:
    path.write_bytes(written(as_rows([request()]), "csv", STEPS) + line.encode())
    with pytest.raises(FluxError, match=said):
        read(path)


@pytest.mark.parametrize("use", ["csv", "ndjson"])
def test_zeros_that_a_lost_disk_cache_leaves_at_the_end_are_a_cut_line(
    use: str, path: pathlib.Path
) -> None:
    rows = as_rows([request(), request(1000)])
    path.write_bytes(written(rows, use, STEPS) + bytes(512))
    found, reading = read(path)
    assert found.tolist() == rows.tolist()
    assert reading.notes.cut_bytes == 512
