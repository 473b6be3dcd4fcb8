"""`flux report`: which run, which format, where to."""

import csv
import json
import pathlib
import sys
from collections import Counter
from xml.etree import ElementTree

import pytest

from flux.cli import invoke
from flux.errors import ExitCode
from flux.result_file import write_result
from flux.rows import csv_format
from tests.outcomes import STARTED_AT
from tests.report.making import HOSTILE, document_of, some_rows, verdict

STEPS = ("health", "register")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A run with rows and a session file."""
    folder = tmp_path / "results" / "result_3"
    folder.mkdir(parents=True)
    write_result(folder / "result.json", document_of())
    form = csv_format(STEPS, STARTED_AT)
    (folder / "requests.csv").write_bytes(form.header + form.lines(some_rows()))
    (folder / "session.toml").write_text('token = "${TOKEN}"\n')
    return folder


def test_a_run_is_found_by_number_and_its_page_is_put_beside_it(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["report", "3", "--results", str(folder.parent)]) == ExitCode.OK
    page = (folder / "report.html").read_text()
    assert capsys.readouterr() == (f"{folder / 'report.html'}\n", "")
    assert "VALID" in page
    assert "Response time, request by request" in page
    assert "${TOKEN}" in page


@pytest.mark.parametrize("name", ["", "result.json"])
def test_a_run_is_found_by_its_folder_and_by_its_file(
    folder: pathlib.Path, name: str, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "page.html"
    assert invoke(["report", str(folder / name), "--out", str(out)]) == ExitCode.OK
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_without_rows_it_says_what_is_missing_and_how_to_get_it(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "requests.csv").unlink()
    assert invoke(["report", str(folder)]) == ExitCode.OK
    assert 'add a stage with use = "csv"' in capsys.readouterr().err
    assert "need a row per request" in (folder / "report.html").read_text()


def test_rows_of_another_run_are_not_drawn(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = csv_format(STEPS, STARTED_AT)
    (folder / "requests.csv").write_bytes(form.header + form.lines(some_rows(500)))
    assert invoke(["report", str(folder)]) == ExitCode.OK
    assert "requests.csv has 500 requests and result.json 2,000" in capsys.readouterr().err


def test_a_folder_without_a_result_is_told_how_to_get_one(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["report", str(tmp_path)]) == ExitCode.FAILURE
    assert "if it was killed and has rows, flux results repair" in capsys.readouterr().err


def test_an_html_report_without_plotly_names_the_extra(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert invoke(["report", str(folder)]) == ExitCode.FAILURE
    assert 'pip install "userflux[report]"' in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_text_needs_no_plotly(
    folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    for form in ("md", "json"):
        assert invoke(["report", str(folder), "--format", form, "--out", "-"]) == ExitCode.OK
    assert b"# checkout: VALID" in capsysbinary.readouterr().out


def test_markdown_shows_names_as_they_are(folder: pathlib.Path) -> None:
    document = document_of(steps=("a|b", HOSTILE), verdicts=(verdict(has_failed=True),))
    write_result(folder / "result.json", document)
    assert invoke(["report", str(folder), "--format", "md"]) == ExitCode.OK
    text = (folder / "report.md").read_text()
    assert text.startswith("# checkout: FAILED\n")
    assert "| a\\|b | 1,000 |" in text
    assert "<script" not in text.replace("\\<script", "")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in lines)


def test_json_has_the_verdict_and_the_tables(folder: pathlib.Path) -> None:
    assert invoke(["report", str(folder), "--format", "json"]) == ExitCode.OK
    document = json.loads((folder / "report.json").read_text())
    assert (document["name"], document["verdict"], document["reasons"]) == ("checkout", "VALID", [])
    assert document["tables"]["Steps"][1]["name"] == "register"
    assert document["facts"]["requests"] == "2,000"


def test_csv_is_one_table_with_a_row_for_each_part(folder: pathlib.Path) -> None:
    assert invoke(["report", str(folder), "--format", "csv"]) == ExitCode.OK
    with (folder / "report.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert Counter(row["part"] for row in rows) == {"run": 1, "step": 2, "interval": 61}
    by_part = {part: [row for row in rows if row["part"] == part] for part in ("step", "interval")}
    assert [row["name"] for row in by_part["step"]] == list(STEPS)
    for part in by_part.values():
        assert sum(int(row["requests"]) for row in part) == 2000
    assert float(rows[0]["response_p99_ms"]) == pytest.approx(11, rel=0.01)


def test_a_table_beside_the_result_is_not_taken_for_its_rows(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "requests.csv").unlink()
    assert invoke(["report", str(folder), "--format", "csv"]) == ExitCode.OK
    assert invoke(["report", str(folder), "--format", "md"]) == ExitCode.OK
    assert capsys.readouterr().err.count('add a stage with use = "csv"') == 2


def test_junit_has_a_case_for_each_threshold(folder: pathlib.Path) -> None:
    write_result(folder / "result.json", document_of(verdicts=(verdict(has_failed=True),)))
    assert invoke(["report", str(folder), "--format", "junit"]) == ExitCode.OK
    suite = ElementTree.parse(folder / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
