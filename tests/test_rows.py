"""Rows as text: both formats say what the columns say, whatever the numbers and names are."""

import csv
import datetime
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flux.rows import csv_format, ndjson_format
from flux.schemas import ERROR_TEXTS, OUTCOME, ErrorCode, Flag, Rows
from flux.text_columns import constant, digits, join, text_table, whole_numbers
from tests.outcomes import as_rows, not_started, request, row_lists

INT64 = st.integers(-(2**63), 2**63 - 1)
STARTED_AT = datetime.datetime(2026, 11, 21, 10, 0, 0, 123_456, tzinfo=datetime.UTC)
STEPS = ("login", 'a "b", c', "ünï\ncode", "")
REQUESTS = (("GET", "/a"), ("POST", '/{{random.text(10)}}?"'))
TARGETS = ("blue", 'a "b", c')
URLS = ("http://127.0.0.1", 'http://h/"')
VEGETA_TYPES = {
    "attack": str,
    "seq": int,
    "code": int,
    "timestamp": str,
    "latency": int,
    "bytes_out": int,
    "bytes_in": int,
    "error": str,
    "body": type(None),
    "method": str,
    "url": str,
    "headers": type(None),
}


@st.composite
def wild_rows(draw: st.DrawFn) -> Rows:
    """Batches with any number in any column that has no meaning but its number."""
    rows = OUTCOME.empty(draw(st.integers(0, 6)))
    for row in rows:
        for name in OUTCOME.columns:
            low, high = -(2 ** (8 * rows[name].itemsize - 1)), 2 ** (8 * rows[name].itemsize - 1)
            row[name] = draw(st.integers(low, high - 1))
        row["step"] = draw(st.integers(-1, len(STEPS) - 1))
        row["target"] = draw(st.integers(-1, len(TARGETS) - 1))
        row["error"] = draw(st.integers(0, len(ERROR_TEXTS) - 1))
        row["flags"] = draw(st.integers(0, 2 * max(Flag) - 1))
        row["due_ns"] = draw(st.integers(0, 10**18))
    return rows


def texts(row: np.void) -> dict[str, Any]:
    """What a row says, with text for the columns that have it."""
    values: dict[str, Any] = {name: int(row[name]) for name in OUTCOME.columns}
    values["step"] = STEPS[row["step"]] if row["step"] >= 0 else ""
    values["target"] = TARGETS[row["target"]] if row["target"] >= 0 else ""
    values["error"] = ErrorCode(row["error"]).text
    values["flags"] = "|".join(str(flag.name).lower() for flag in Flag if flag & row["flags"])
    return values


def timestamp(time_ns: int, started_at: datetime.datetime = STARTED_AT) -> str:
    """The wall-clock time by Python's calendar, which ends at microseconds."""
    microseconds, nanoseconds = divmod(time_ns, 1000)
    when = started_at + datetime.timedelta(microseconds=microseconds)
    text = when.isoformat(timespec="microseconds")
    return f"{text[:26]}{nanoseconds:03}{text[26:]}"


def test_csv_has_the_columns_of_outcome_and_a_timestamp() -> None:
    header = csv_format(STEPS, STARTED_AT).header.decode()
    assert header == ",".join(OUTCOME.columns) + ",timestamp\n"


@given(wild_rows())
def test_csv_reads_back_to_the_rows(rows: Rows) -> None:
    text = csv_format(STEPS, STARTED_AT, targets=TARGETS).lines(rows).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    wanted = [[*map(str, texts(row).values()), timestamp(int(row["due_ns"]))] for row in rows]
    assert read == wanted


@given(wild_rows())
def test_ndjson_reads_back_to_the_rows(rows: Rows) -> None:
    row_format = ndjson_format(STEPS, STARTED_AT, targets=TARGETS)
    lines = row_format.lines(rows).splitlines(keepends=True)
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows):
        assert line.endswith(b"}\n")
        record = json.loads(line)
        assert {name: record[name] for name in OUTCOME.columns} == texts(row)


@given(row_lists)
def test_ndjson_begins_with_the_keys_and_types_of_vegeta(rows: list[dict[str, int]]) -> None:
    for line in ndjson_format(STEPS, STARTED_AT).lines(as_rows(rows)).splitlines():
        record = json.loads(line)
        first = {name: type(value) for name, value in list(record.items())[:12]}
        assert first == VEGETA_TYPES
        assert record["code"] == record["status"]
        assert datetime.datetime.fromisoformat(record["timestamp"]).tzinfo is not None
        assert record["latency"] >= 0


@pytest.mark.parametrize(("basis", "since_ns", "latency_ns"), [("due", 5, 95), ("start", 30, 70)])
def test_latency_and_timestamp_are_counted_from_the_basis(
    basis: Any, since_ns: int, latency_ns: int
) -> None:
    rows = as_rows([request(5, 100, start_ns=30)])
    record = json.loads(ndjson_format(STEPS, STARTED_AT, basis=basis).lines(rows))
    assert record["latency"] == latency_ns
    assert record["timestamp"] == timestamp(since_ns)


def test_method_and_url_are_those_of_the_step_and_the_target() -> None:
    rows = as_rows(
        [
            request(step=0),
            request(step=1, target=1),
            request(step=1, target=-1),
            {**not_started(0, Flag.DROPPED), "target": -1},
            {**not_started(0, Flag.WITHHELD), "target": 1},
        ]
    )
    row_format = ndjson_format(
        STEPS, STARTED_AT, requests=REQUESTS, targets=TARGETS, target_urls=URLS
    )
    found = [
        (record["method"], record["url"])
        for record in map(json.loads, row_format.lines(rows).splitlines())
    ]
    assert found == [
        ("GET", "http://127.0.0.1/a"),
        ("POST", 'http://h/"/{{random.text(10)}}?"'),
        ("POST", '/{{random.text(10)}}?"'),
        ("", ""),
        ("", ""),
    ]


@pytest.mark.parametrize("flag", [Flag.DROPPED, Flag.CANCELLED, Flag.LOST, Flag.WITHHELD])
def test_an_arrival_that_never_started_fills_its_place_in_the_first_attack(flag: Flag) -> None:
    error = int(ErrorCode[str(flag.name)])
    row = {**not_started(100, flag), "seq": 3, "start_ns": 40, "end_ns": 40, "error": error}
    record = json.loads(ndjson_format(STEPS, STARTED_AT).lines(as_rows([row])))
    assert (record["attack"], record["seq"], record["step"]) == ("login", 3, "")
    assert (record["code"], record["latency"]) == (0, 0)
    assert record["error"] == str(flag.name).lower()


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (datetime.timedelta(0), "2026-11-21T10:00:01.623456789+00:00"),
        (datetime.timedelta(hours=2), "2026-11-21T10:00:01.623456789+02:00"),
        (-datetime.timedelta(hours=3, minutes=30), "2026-11-21T10:00:01.623456789-03:30"),
    ],
)
def test_timestamps_have_the_offset_of_the_start(offset: datetime.timedelta, text: str) -> None:
    started_at = STARTED_AT.replace(tzinfo=datetime.timezone(offset))
    line = csv_format(STEPS, started_at).lines(as_rows([request(1_500_000_789)])).decode()
    assert line.rstrip().rsplit(",", 1)[1] == text


def test_a_run_without_steps_has_rows_too() -> None:
    rows = as_rows([not_started(0, Flag.CANCELLED)])
    assert json.loads(ndjson_format((), STARTED_AT).lines(rows))["attack"] == ""
    assert csv_format((), STARTED_AT).lines(rows).count(b"\n") == 1


def test_a_step_that_the_run_does_not_have_is_an_error() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        csv_format(("one",), STARTED_AT).lines(as_rows([request(step=7)]))


@given(st.lists(INT64, max_size=20))
@example([0, 9999, 10_000, 10**8, 10**16, -(2**63), 2**63 - 1])
def test_numbers_are_written_as_python_writes_them(values: list[int]) -> None:
    array = np.array(values, np.int64)
    text = join(len(values), [*whole_numbers(array), constant(b" ")])
    assert text.decode().split() == [str(value) for value in values]


@given(st.lists(st.integers(0, 2**63 - 1), max_size=20), st.integers(1, 19))
def test_digits_keep_leading_zeros(values: list[int], count: int) -> None:
    array = np.array(values, np.int64)
    text = join(len(values), [*digits(array, count), constant(b" ")])
    assert text.decode().split() == [f"{value:0{count}}"[-count:] for value in values]


@given(st.lists(st.binary(max_size=9).filter(lambda text: b"\0" not in text), min_size=1))
def test_a_table_gives_each_row_its_text(entries: list[bytes]) -> None:
    codes = np.arange(len(entries))[::-1]
    assert join(len(codes), [text_table(entries)[codes]]) == b"".join(entries[::-1])
