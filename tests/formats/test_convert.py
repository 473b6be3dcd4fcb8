"""`flux convert` as a shell sees it, on a run that flux has made."""

import csv
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import attrs
import numpy as np
import pyarrow.parquet
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from flux.cli import invoke
from flux.errors import ExitCode
from flux.formats import FORMATS, read
from flux.formats.convert import TAKES_BASIS
from flux.histogram import read_log
from flux.histogram.codec import encode_inner, inflate
from flux.schemas import OUTCOME
from tests.formats.samples import GOLDEN, write_sample

PIPELINE = """
duration = "3s"
seed = 7

[[stage]]
use = "constant"
rate = "100/s"

[[stage]]
use = "null"
service = "5ms"

[[stage]]
use = "csv"

[[stage]]
use = "json"

[[stage]]
use = "hlog"
"""


@attrs.frozen
class Said:
    code: int
    out: str
    err: str


Flux = Callable[..., Said]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with one run in it."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "test.toml").write_text(PIPELINE)
    command = [sys.executable, "-m", "flux", "run", "--quiet", "test.toml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def flux(
    results: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Flux]:
    """Run the command in this process, beside that folder."""
    monkeypatch.chdir(results)

    def run(*arguments: object) -> Said:
        code = invoke([str(argument) for argument in arguments])
        return Said(code, *capfd.readouterr())

    yield run  # noqa: PT022  # the folder is left after the test


def test_help_lists_every_format(flux: Flux) -> None:
    said = flux("convert", "--help")
    assert all(f"  {name} " in said.out for name in FORMATS)


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("locust", "parquet")])
def test_a_run_is_written_in_every_format(form: str, flux: Flux) -> None:
    said = flux("convert", 1, "--to", form)
    assert (said.code, said.err) == (ExitCode.OK, "")
    assert said.out.endswith("\n")


def test_a_number_a_folder_and_a_file_are_the_same_run(flux: Flux) -> None:
    runs = (
        "1",
        "results/result_1",
        "results/result_1/requests.csv",
        "results/result_1/result.json",
    )
    texts = {flux("convert", run, "--to", "jtl").out for run in runs}
    assert len(texts) == 1


@pytest.mark.parametrize("form", ["vegeta-json", "vegeta-csv", "k6-json", "k6-csv", "jtl", "csv"])
def test_a_conversion_has_every_request(form: str, flux: Flux, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "deep" / "out"
    out.parent.mkdir()
    assert flux("convert", 1, "--to", form, "--out", out).code == ExitCode.OK
    total, known = read(out).total, read("results/result_1").total
    assert (total.requests, total.successes) == (known.requests, known.successes)
    assert total.statuses == known.statuses
    assert list(out.parent.iterdir()) == [out]


def test_rows_converted_to_rows_are_the_same_file(flux: Flux, results: pathlib.Path) -> None:
    said = flux("convert", 1, "--to", "csv")
    assert said.out == (results / "results/result_1/requests.csv").read_text()


def test_a_log_adds_up_to_the_histogram_of_the_run(flux: Flux, results: pathlib.Path) -> None:
    own = (results / "results/result_1/latency.hlog").read_text()
    made = flux("convert", 1, "--to", "hlog").out
    for text in (own, made):
        assert text.splitlines()[1] == "#flux test response times"
        intervals = list(read_log(text.splitlines()))
        counts = sum(interval.histogram.counts for interval in intervals)
        np.testing.assert_array_equal(counts, read("results/result_1").total.response.counts)
        assert len(intervals) > 1


def test_a_log_is_read_by_the_hdr_library(flux: Flux, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.hlog"
    flux("convert", 1, "--to", "hlog", "--out", out)
    reader = HistogramLogReader(str(out), HdrHistogram(1, 3_600_000_000, 3))
    total = 0
    while (histogram := reader.get_next_interval_histogram()) is not None:
        assert histogram.get_tag() == "null"
        total += histogram.get_total_count()
    reader.close()
    assert total == read("results/result_1").total.requests


def test_payloads_are_those_of_java_after_inflation(tmp_path: pathlib.Path) -> None:
    for line in (GOLDEN.parent / "golden.hlog").read_text().splitlines()[3:]:
        text = line.rpartition(",")[2]
        (interval,) = read_log([line])
        assert encode_inner(interval.histogram) == inflate(text)


def test_parquet_has_the_columns_of_csv(flux: Flux, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.parquet"
    assert flux("convert", 1, "--to", "parquet", "--out", out).code == ExitCode.OK
    table = pyarrow.parquet.read_table(out)
    assert table.column_names == [*OUTCOME.columns, "timestamp"]
    with open("results/result_1/requests.csv") as file:
        rows = list(csv.DictReader(file))
    for name in OUTCOME.columns:
        values = ["" if value is None else str(value) for value in table[name].to_pylist()]
        assert values == [row[name] for row in rows], name
    times = table["timestamp"].cast("int64").to_pylist()
    assert times[1] - times[0] == int(rows[1]["due_ns"]) - int(rows[0]["due_ns"])


def test_locust_is_three_files(flux: Flux, tmp_path: pathlib.Path) -> None:
    assert flux("convert", 1, "--to", "locust", "--out", tmp_path / "run").code == ExitCode.OK
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["run_failures.csv", "run_stats.csv", "run_stats_history.csv"]
    with (tmp_path / "run_stats.csv").open() as file:
        *_, last = csv.DictReader(file)
    assert (last["Name"], last["Request Count"]) == ("Aggregated", "300")
    assert read(tmp_path / "run_stats_history.csv").total.requests == 300


def test_a_basis_of_start_leaves_the_lag_out(flux: Flux) -> None:
    for form in TAKES_BASIS - {"jtl"}:
        due, start = (
            flux("convert", 1, "--to", form, "--basis", basis).out for basis in ("due", "start")
        )
        assert due != start


def test_summaries_of_k6_say_the_same(flux: Flux) -> None:
    summary = json.loads(flux("convert", 1, "--to", "k6-summary").out)["metrics"]
    export = json.loads(flux("convert", 1, "--to", "k6-summary-export").out)["metrics"]
    assert summary["http_reqs"]["values"]["count"] == export["http_reqs"]["count"] == 300
    assert summary["http_req_failed"]["values"]["rate"] == export["http_req_failed"]["value"] == 0
    assert summary["http_req_duration"]["values"] == export["http_req_duration"]
    assert list(export["http_req_duration"]) != []


def test_another_tools_file_is_converted_too(flux: Flux) -> None:
    said = flux("convert", GOLDEN / "other_jmeter.jtl", "--to", "hgrm")
    assert "Total count    =            3]" in said.out
    said = flux("convert", GOLDEN / "other_vegeta.json", "--to", "jtl")
    assert "Non HTTP response code: other" in said.out


def test_what_is_left_out_is_said(flux: Flux, tmp_path: pathlib.Path) -> None:
    said = flux("convert", write_sample(tmp_path, "csv"), "--to", "jtl")
    assert said.err.startswith("note: 2 rows are left out: jtl has nothing for what they stand for")
    assert said.out.count("\n") == 7


def test_a_run_without_rows_says_what_to_add(flux: Flux, tmp_path: pathlib.Path) -> None:
    result = tmp_path / "result.json"
    result.write_bytes(pathlib.Path("results/result_1/result.json").read_bytes())
    said = flux("convert", tmp_path, "--to", "k6-json")
    assert said.code == ExitCode.FAILURE
    assert said.err == (
        f"error: k6-json has a row per request, and {tmp_path} has none\n"
        '  hint: add a sink of rows to the pipeline: [[stage]] use = "csv"\n'
    )
    said = flux("convert", tmp_path, "--to", "hlog")
    (interval,) = read_log(said.out.splitlines())
    assert (interval.start_s, interval.histogram.count) == (0.0, 300)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("7", "--to", "wrk"), "error: there is no run 7 in results\n  hint: there are 1 to 1\n"),
        (("nowhere", "--to", "wrk"), "error: there is no nowhere\n  hint: give a run's number"),
        (
            ("1", "--to", "wrk", "--basis", "due"),
            "error: --basis is not for wrk\n  hint: it is for",
        ),
        (("1", "--to", "jtl", "--latency", "lag"), "error: --latency is not for jtl\n"),
        (("1", "--to", "wrk", "--step", "a"), "error: --step is not for wrk\n"),
        (
            ("1", "--to", "hgrm", "--step", "a"),
            "error: there is no step 'a'\n  hint: there are null",
        ),
        (("1", "--to", "locust"), "error: locust is three files\n  hint: --out PREFIX"),
    ],
)
def test_what_cannot_be_is_a_usage_error(arguments: tuple[str, ...], said: str, flux: Flux) -> None:
    found = flux("convert", *arguments)
    assert (found.code, found.out) == (ExitCode.USAGE, "")
    assert found.err.startswith(said)


def test_a_latency_that_is_not_known_is_an_error(flux: Flux) -> None:
    said = flux("convert", GOLDEN / "other_jmeter.jtl", "--to", "hgrm", "--latency", "response")
    assert said.code == ExitCode.FAILURE
    assert "does not tell response times\n  hint: it tells service, first_byte" in said.err


def test_a_broken_row_leaves_no_file(flux: Flux, tmp_path: pathlib.Path) -> None:
    file = write_sample(tmp_path, "csv")
    file.write_bytes(file.read_bytes().replace(b",timeout,", b",tired,"))
    out = tmp_path / "out"
    assert flux("convert", file, "--to", "jtl", "--out", out).code == ExitCode.FAILURE
    assert sorted(tmp_path.iterdir()) == [file]


def test_without_pyarrow_the_extra_is_named(
    flux: Flux, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    said = flux("convert", 1, "--to", "parquet", "--out", tmp_path / "out")
    assert said.err == (
        "error: Parquet needs the optional dependencies of the extra 'parquet'\n"
        '  hint: pip install "userflux[parquet]"\n'
    )
