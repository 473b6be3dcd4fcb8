"""CSV and JUnit: as they stand in the golden files, and as the run itself writes them."""

import pathlib
from typing import Any

import attrs
import pytest

from flux.control import Ending
from flux.errors import ExitCode
from flux.junit import junit_text
from flux.report.csv_table import COLUMNS, csv_report
from flux.report.junit import junit_report
from flux.report.load import Material
from flux.result_file import Document, result_document
from flux.summary import Summary
from flux.thresholds import judge
from tests.outcomes import SECOND_NS, collect_all, make_context
from tests.report.making import document_of, finding, some_rows, verdict
from tests.thresholds.making import threshold

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "report"


def material_of(document: Document) -> Material:
    return Material(document, pathlib.Path("result.json"))


def small_document() -> Document:
    """Of 300 requests of two steps to two targets in three seconds, with a phase."""
    rows = some_rows(300, 3)
    rows["target"] = rows["seq"] % 2
    document = document_of(rows, targets=("old", "new"), verdicts=(verdict(has_failed=True),))
    phase = {"name": "warm-up", "start_ns": 0, "end_ns": SECOND_NS, "warmup": True}
    document["phases"] = [{**phase, "requests": 99, "successes": 98, "failures": 1}]
    return document


@pytest.mark.parametrize(
    ("make", "name"), [(csv_report, "report.csv"), (junit_report, "junit.xml")]
)
def test_a_report_is_what_it_was(make: Any, name: str) -> None:
    document = small_document()
    if make is junit_report:
        document["phases"] = []
    assert make(material_of(document)) == (GOLDEN / name).read_text()


def test_a_percentile_of_too_few_requests_is_empty() -> None:
    head, run, *_ = csv_report(material_of(document_of(some_rows(50)))).splitlines()
    row = dict(zip(head.split(","), run.split(",")))
    assert tuple(row) == COLUMNS
    assert row["response_p95_ms"] != ""
    assert row["response_p99_ms"] == ""
    assert row["response_max_ms"] != ""


@pytest.mark.parametrize("document", [{}, {"steps": [{}], "series": [{}], "phases": [{}]}])
def test_a_result_without_its_keys_is_a_table_with_gaps(document: dict[str, Any]) -> None:
    lines = csv_report(material_of(document)).splitlines()
    assert {line.count(",") for line in lines} == {len(COLUMNS) - 1}


def final(*findings: Any) -> Summary:
    summary = attrs.evolve(collect_all([some_rows(200)], planned=200)[-1], findings=findings)
    asked = [threshold("max < 1ms"), threshold("p(50) < 1s", step="login")]
    return attrs.evolve(summary, verdicts=judge(asked, summary))


@pytest.mark.parametrize(
    ("findings", "ending", "code"),
    [
        ((), None, ExitCode.THRESHOLDS_FAILED),
        ((finding(is_fatal=True), finding(is_fatal=False)), None, ExitCode.INVALID_RUN),
        ((), Ending("budget: 10 requests", ExitCode.GUARD), ExitCode.GUARD),
        ((), Ending("it took too long", ExitCode.THRESHOLDS_FAILED), ExitCode.THRESHOLDS_FAILED),
    ],
)
def test_junit_is_what_the_run_itself_writes(
    findings: Any, ending: Ending | None, code: ExitCode
) -> None:
    run, summary = make_context().run, final(*findings)
    if ending is not None:
        run.control.stop(ending)
    document = result_document(summary, run)
    assert junit_report(material_of(document)) == junit_text(summary, run, code)


def test_a_run_that_did_not_end_is_an_error() -> None:
    text = junit_report(material_of(document_of(is_final=False)))
    assert 'errors="1"' in text
    assert "the result was never finished" in text
