"""Files of other tools, and broken ones: what is made of them, and what is said about them."""

import gzip
import json
import pathlib

import numpy as np
import pytest

from flux.errors import FluxError
from flux.formats import read
from flux.formats.detect import detect
from flux.histogram import Histogram, log_header, log_line
from flux.result_file import result_document, write_result
from tests.formats.samples import GOLDEN, sample_rows, text_of, write_sample
from tests.outcomes import SECOND_NS, collect_all, make_context, stalled_rows

MS = 10**6
HDR = GOLDEN.parent / "golden.hlog"


def test_vegeta_is_read_with_headers_and_short_fractions() -> None:
    recording = read(GOLDEN / "other_vegeta.json")
    (step,) = recording.steps
    assert (step.name, step.requests, step.successes) == ("big", 3, 1)
    assert step.statuses == {0: 1, 200: 1, 404: 1}
    assert step.errors == {
        "404 Not Found": 1,
        'Get "http://h/a": context deadline exceeded': 1,
    }
    assert recording.latencies == ("service",)
    assert (step.service.min_ns, step.service.max_ns) == (1_500_000, 30 * SECOND_NS)
    assert step.response.count == 0
    assert recording.started_at is not None
    assert recording.started_at.isoformat() == "2026-08-21T08:00:00.500000+00:00"
    assert recording.duration_ns == 30_500_000_000
    assert recording.sessions is None


def test_a_basis_says_what_vegeta_counted_from() -> None:
    recording = read(GOLDEN / "other_vegeta.json", basis="due")
    assert (recording.latency, recording.latencies) == ("response", ("response",))
    assert recording.total.response.count == 3


def test_k6_is_read_from_the_points_of_each_request() -> None:
    recording = read(GOLDEN / "other_k6.json")
    page, other = recording.steps
    assert (page.name, page.requests, page.successes) == ("http://h/a", 1, 1)
    assert page.service.max_ns == 13 * MS  # duration and connecting
    assert page.first_byte.max_ns == 12_660_000
    assert page.connect.max_ns == 660_000
    assert (other.requests, other.failures, other.bytes_in) == (1, 1, 770)
    assert other.errors == {"dial: connection refused": 1}
    assert recording.requests["http://h/b"] == ("POST", "http://h/b")
    assert "response" not in recording.latencies


def test_a_jtl_is_read_with_its_carriage_returns_and_quotes() -> None:
    recording = read(GOLDEN / "other_jmeter.jtl")
    home, buy = recording.steps
    assert (home.name, home.requests, home.failures) == ("Home page", 2, 1)
    assert home.errors == {'Test failed: code expected to contain /200/, was "500"': 1}
    assert (home.service.min_ns, home.service.max_ns) == (40 * MS, 120 * MS)
    assert (home.first_byte.max_ns, home.bytes_in, home.bytes_out) == (100 * MS, 5330, 260)
    assert buy.statuses == {0: 1}
    assert buy.errors == {"Non HTTP response message: Read timed out": 1}
    assert (recording.resolution_ns, recording.latency) == (MS, "service")


def test_a_log_of_java_is_read_by_its_tags() -> None:
    recording = read(HDR)
    (step,) = recording.steps
    assert (step.name, step.requests, step.service.max_ns) == (
        "POST_/register",
        20_000,
        130_925_000,
    )
    assert not recording.has_failures
    assert any("lines without a tag" in warning for warning in recording.warnings)
    assert any("taken as service times" in warning for warning in recording.warnings)


def test_a_log_of_flux_says_which_latency_it_has(tmp_path: pathlib.Path) -> None:
    recording = read(GOLDEN / "response.hlog")
    assert (recording.name, recording.latencies) == ("checkout", ("response",))
    assert recording.warnings == ()
    assert recording.total.requests == 5


def test_locust_is_read_with_what_it_quotes() -> None:
    recording = read(GOLDEN / "other_locust_stats_history.csv")
    assert {step.name: step.requests for step in recording.steps} == {"GET /x": 86, "POST /y": 79}
    assert recording.total.failures == 90
    assert recording.series.rows["requests"].tolist() == [0, 54, 54, 57]
    assert recording.series.rows["p99_ns"][-1] == 26 * MS
    assert recording.quoted_ns["total"]["service"]["max"] == 36_207_619
    assert recording.latencies == ()


def test_a_gzip_file_is_unpacked(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "points.json"
    file.write_bytes(gzip.compress((GOLDEN / "other_k6.json").read_bytes()))
    assert read(file).total.requests == 2


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("rows.csv", "csv"),
        ("rows.vegeta-json", "ndjson"),
        ("rows.vegeta-csv", "vegeta-csv"),
        ("rows.k6-json", "k6-json"),
        ("rows.k6-csv", "k6-csv"),
        ("rows.jtl", "jtl"),
        ("response.hlog", "hlog"),
        ("locust_stats_history.csv", "locust-history"),
        ("other_vegeta.json", "vegeta-json"),
    ],
)
def test_a_format_is_found_by_what_is_in_the_file(
    name: str, form: str, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "anything.bin"
    file.write_bytes((GOLDEN / name).read_bytes())
    assert detect(file).format == form


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (
            b"\x0d\x7f\x03\x01\x01\x06Result\x01\xff\x80\x00",
            "is no text\n.*vegeta encode --to json",
        ),
        (b"PAR1....", "is a Parquet file"),
        (b"<html>", "has no format that flux knows: it begins '<html>'"),
        (b'{"hello": 1}\n', "has no format that flux knows"),
        (b"Type,Name,Request Count\n", "is Locust's table of statistics.*\n.*_stats_history"),
    ],
)
def test_what_cannot_be_read_is_told_by_what_it_is(
    text: bytes, said: str, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(text)
    with pytest.raises(FluxError, match=said):
        read(file)


def test_a_file_that_is_not_there_is_one_message(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FluxError, match="cannot be read: No such file or directory"):
        read(tmp_path / "none")


@pytest.mark.parametrize("form", ["csv", "vegeta-json", "vegeta-csv", "k6-json", "k6-csv", "jtl"])
def test_a_last_line_that_was_cut_is_left_out_with_a_warning(
    form: str, tmp_path: pathlib.Path
) -> None:
    file = write_sample(tmp_path, form)
    text = file.read_bytes()
    file.write_bytes(text[:-5])
    recording = read(file)
    lines = text.count(b"\n")
    assert recording.warnings == (f"line {lines} of {file} has no end, and is left out",)
    # k6 says of the last session that it ended in a line of its own.
    assert recording.total.requests == (6 if form.startswith("k6") else 5)


@pytest.mark.parametrize(
    ("form", "before", "after", "said"),
    [
        ("csv", b",112345678,200,", b",1123x5678,200,", "line 2 of .* has end_ns '1123x5678'"),
        ("csv", b",timeout,", b",tired,", "line 6 of .* has error 'tired', which this version"),
        ("csv", b",first|last,", b",first|best,", "line 6 of .* has flags 'first|best'"),
        ("csv", b"2,2,login,0,", b"2,2,login,", "line 6 of .* must have 18 fields, got 17"),
        ("csv", b",timestamp\n", b",clock\n", "line 2 of .* must have timestamp"),
        ("csv", b"T10:00:00.223", b"T10:60:00.223", "line 2 of .* has timestamp"),
        ("csv", b",9000000", b",99999999999999999999", "line 5 of .* has due_ns"),
        ("vegeta-json", b'"seq":2,', b'"seq":2.5,', "line 5 of .* has seq"),
        ("vegeta-json", b'{"attack":"login","seq":2', b'{"attack":"login,"seq":2', "line 5 of"),
        ("vegeta-csv", b",1000000000,0,0,timeout", b",soon,0,0,timeout", "line 5 of .* latency"),
        ("vegeta-csv", b"1795255200273456000", b"1595255200273456000", "line 5 .* days off"),
        ("jtl", b"1795255200273,1000,", b"1795255200273,1s,", "line 5 of .* has elapsed '1s'"),
        ("k6-json", b'"value":12.345678', b'"value":"x"', "line 24 of .* must be a point of k6"),
        ("k6-csv", b",12.345678,", b",twelve,", "line 11 of .* has metric_value 'twelve'"),
    ],
)
def test_a_broken_row_is_named_by_its_line(
    form: str, before: bytes, after: bytes, said: str, tmp_path: pathlib.Path
) -> None:
    file = write_sample(tmp_path, form)
    text = file.read_bytes()
    assert before in text
    file.write_bytes(text.replace(before, after, 1))
    with pytest.raises(FluxError, match=said):
        read(file)


def test_a_broken_line_of_a_log_is_named(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "latency.hlog"
    histogram = Histogram()
    histogram.record(np.array([MS]))
    lines = [log_header(0.0), log_line(histogram, 0.0, 1.0), "1.0,1.0,3.0,HISTFAAAzzzz\n"]
    file.write_text("".join(lines))
    with pytest.raises(FluxError, match=r"line 5 of .* is no interval: encoded histogram must be"):
        read(file)


@pytest.mark.parametrize("extra", ["colour", "target_zone"])
def test_a_column_that_is_not_known_does_no_harm(extra: str, tmp_path: pathlib.Path) -> None:
    header, *rows = text_of("csv", sample_rows()).decode().splitlines()
    lines = [f"{extra},{header}", *(f"red,{row}" for row in rows)]
    file = tmp_path / "rows"
    file.write_text("\n".join(lines) + "\n")
    assert read(file).total.requests == 6


def test_a_column_that_older_rows_do_not_have_is_not_needed(tmp_path: pathlib.Path) -> None:
    rows = [line.split(",") for line in text_of("csv", sample_rows()).decode().splitlines()]
    plain = [row[:15] + row[17:] for row in rows if '"list' not in row]  # no retries, no target
    file = tmp_path / "rows"
    file.write_text("".join(",".join(row) + "\n" for row in plain))
    assert read(file).total.requests == 5


def test_lines_of_json_with_blanks_and_nested_values_are_the_same_rows(
    tmp_path: pathlib.Path,
) -> None:
    tight = write_sample(tmp_path, "vegeta-json")
    loose = tmp_path / "loose"
    records = [json.loads(line) for line in tight.read_text().splitlines()]
    text = "".join(json.dumps({**one, "tags": {"a": [1]}}) + "\n" for one in records)
    loose.write_text(text)
    assert read(loose).steps == read(tight).steps


def test_a_result_tells_what_its_summary_knew(tmp_path: pathlib.Path) -> None:
    summary = collect_all([stalled_rows()], planned=6000)[-1]
    write_result(tmp_path / "result.json", result_document(summary, make_context().run))
    recording = read(tmp_path)
    assert recording.format == "result"
    assert recording.sessions == summary.sessions
    for step, known in zip(recording.steps, summary.steps):
        np.testing.assert_array_equal(step.response.counts, known.response.counts)
        assert step.response.max_ns == known.response.max_ns
        assert step.statuses == known.statuses
    rows, known_rows = recording.series.rows, summary.series.rows
    np.testing.assert_array_equal(rows["requests"], known_rows["requests"])
    np.testing.assert_array_equal(rows["p99_ns"], known_rows["p99_ns"])
    assert recording.valid is True


def test_a_folder_without_a_result_is_read_by_its_rows(tmp_path: pathlib.Path) -> None:
    write_sample(tmp_path, "csv").rename(tmp_path / "my_rows.csv")
    assert read(tmp_path).total.requests == 6


def test_an_empty_folder_says_what_to_add(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FluxError, match=r'neither a result.json nor rows\n.*use = "csv"'):
        read(tmp_path)
