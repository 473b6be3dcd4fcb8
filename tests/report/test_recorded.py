"""A report of what another tool has recorded: what the file tells, and who says so."""

import csv
import json
import pathlib
import shutil

import pytest

from flux.cli import invoke
from flux.errors import ExitCode, UsageError
from flux.formats.input import open_input
from flux.report.csv_table import csv_report
from flux.report.figures import charts
from flux.report.junit import junit_report
from flux.report.load import Material, load_material
from flux.report.sections import sections
from flux.report.texts import markdown_report
from flux.report.verdict import conclude
from tests.formats.samples import GOLDEN

FILES = (
    "other_vegeta.json",
    "rows.vegeta-csv",
    "other_k6.json",
    "rows.k6-csv",
    "other_jmeter.jtl",
    "response.hlog",
    "response.hgrm",
    "wrk.txt",
    "k6-summary.json",
    "k6-summary-export.json",
    "other_locust_stats_history.csv",
    "rows.csv",
)


def load(name: str) -> Material:
    with open_input(str(GOLDEN / name), pathlib.Path("results")) as source:
        return load_material(source)


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_verdict_gets_none(name: str) -> None:
    conclusion = conclude(load(name).document)
    assert conclusion.word == "UNJUDGED"
    assert {reason.kind for reason in conclusion.reasons} == {"note"}
    text = markdown_report(load(name))
    assert "VALID" not in text
    assert "kept its plan" in text or "without their result.json" in text


@pytest.mark.parametrize(
    ("name", "tool"),
    [("other_vegeta.json", "vegeta"), ("other_k6.json", "k6"), ("other_jmeter.jtl", "JMeter")],
)
def test_a_tool_that_counts_from_sending_has_no_response_times(name: str, tool: str) -> None:
    material = load(name)
    first, second, *_ = conclude(material.document).reasons
    assert first.text == f"recorded by {tool}; flux cannot tell whether this run kept its plan"
    assert second.text.endswith("coordinated omission is not visible")
    heads = [head for section in sections(material.document) for head in section.columns]
    assert not [head for head in heads if head.startswith("response")]
    titles = [chart.title for chart in charts(material.document, material.grid)]
    assert "Service time over time" in titles
    assert not [title for title in titles if "Response" in title or "Lag" in title]
    assert "Sessions" not in [section.title for section in sections(material.document)]


def test_a_log_of_response_times_has_no_service_times_and_no_failures() -> None:
    material = load("response.hlog")
    steps = next(one for one in sections(material.document) if one.title == "Steps")
    assert "failed" not in steps.columns
    assert "received" not in steps.columns
    assert not [head for head in steps.columns if head.startswith("service")]
    titles = [chart.title for chart in charts(material.document, material.grid)]
    assert titles[:2] == ["Achieved rate", "Response time over time"]
    assert "Errors over time" not in titles


def test_quoted_figures_are_shown_and_what_is_not_quoted_is_not() -> None:
    document = load("k6-summary.json").document
    assert document["latency"]["service"]["p95"] == 999_000_000
    assert "p99" not in document["latency"]["service"]
    assert charts(document, None) == []


def test_rows_of_flux_show_all_that_they_tell() -> None:
    material = load("rows.csv")
    titles = [section.title for section in sections(material.document)]
    assert {"Steps", "Latencies", "Errors", "Sessions"} <= set(titles)
    assert material.grid is not None
    assert {"response", "service", "lag"} <= set(material.grid.latencies)


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_a_report_never_takes_the_place_of_what_it_was_made_from(
    form: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "attack.json"
    shutil.copy(GOLDEN / "other_vegeta.json", file)
    before = file.read_bytes()
    assert invoke(["report", str(file), "--format", form]) == ExitCode.OK
    assert file.read_bytes() == before
    made = tmp_path / f"attack.json.report.{form}"
    assert capsys.readouterr().out == f"{made}\n"
    if form == "json":
        assert json.loads(made.read_text())["verdict"] == "UNJUDGED"
    assert "kept its plan" in made.read_text()


def test_a_table_tells_the_times_of_its_intervals_by_what_they_are() -> None:
    rows = list(csv.DictReader(csv_report(load("other_vegeta.json")).splitlines()))
    first = next(row for row in rows if row["part"] == "interval")
    assert (first["response_p50_ms"], first["service_p50_ms"]) == ("", "1.5")


def test_there_are_no_test_cases_of_a_run_that_nobody_has_judged() -> None:
    with pytest.raises(UsageError, match="has no verdicts"):
        junit_report(load("other_vegeta.json"))
