"""JUnit XML: what CI systems count as passed, failed, in error and skipped."""

import pathlib
import xml.etree.ElementTree as ET

import attrs
import pytest

from flux.errors import ExitCode, StorageFailed
from flux.junit import junit_text, write_junit
from flux.stage import Run
from flux.summary import Finding, Summary
from flux.thresholds import judge
from tests.outcomes import final_of, make_context, request
from tests.thresholds.making import threshold

GOOD, BAD = threshold("max < 1s"), threshold("max < 1ms", step="login")
LATE = Finding("sessions started late", is_fatal=True, remedy="start fewer")


def run_named(name: str = "checkout") -> Run:
    return attrs.evolve(make_context().run, name=name)


def summary_of(*findings: Finding) -> Summary:
    summary = attrs.evolve(final_of([request()]), findings=findings)
    return attrs.evolve(summary, verdicts=judge([GOOD, BAD], summary))


def report(
    summary: Summary | None, code: ExitCode, failures: tuple[str, ...] = (), name: str = "checkout"
) -> ET.Element:
    return ET.fromstring(junit_text(summary, run_named(name), code, failures))


def counts(element: ET.Element) -> dict[str, str | None]:
    return {key: element.get(key) for key in ("tests", "failures", "errors", "skipped")}


def marks(top: ET.Element) -> dict[str | None, list[str]]:
    """What stands in each test case."""
    return {
        case.get("name"): [one.tag for one in case if one.tag != "system-out"]
        for case in top.iter("testcase")
    }


def test_a_threshold_that_failed_is_a_failure() -> None:
    top = report(summary_of(), ExitCode.THRESHOLDS_FAILED)
    assert marks(top) == {
        "validity": [],
        "response max < 1s": [],
        "response max < 1ms [step login]": ["failure"],
    }
    (failure,) = top.iter("failure")
    assert failure.get("message") == "5.00 ms, expected max < 1ms"
    assert failure.get("type") == "threshold"


def test_an_invalid_run_is_an_error_and_its_thresholds_are_skipped() -> None:
    top = report(summary_of(LATE), ExitCode.INVALID_RUN)
    assert list(marks(top).values()) == [["error"], ["skipped"], ["skipped"]]
    (error,) = top.iter("error")
    assert (error.get("message"), error.get("type")) == ("sessions started late", "invalid_run")
    assert "start fewer" in (error.text or "")


@pytest.mark.parametrize("code", [ExitCode.FAILURE, ExitCode.INTERRUPTED, ExitCode.GUARD])
def test_whatever_else_went_wrong_is_an_error(code: ExitCode) -> None:
    top = report(summary_of(), code, ("stage 'csv' failed",) if code is ExitCode.FAILURE else ())
    (error,) = top.iter("error")
    assert error.get("type") == code.name.lower()
    if code is ExitCode.FAILURE:
        assert error.get("message") == "stage 'csv' failed"


def test_a_run_without_a_summary_is_an_error() -> None:
    top = report(None, ExitCode.FAILURE, ("the collector failed",))
    assert marks(top) == {"validity": ["error"]}


def test_the_suite_and_the_whole_have_the_counts() -> None:
    expected = {"tests": "3", "failures": "1", "errors": "0", "skipped": "0"}
    top = report(summary_of(), ExitCode.THRESHOLDS_FAILED)
    assert counts(top) == expected
    assert counts(top[0]) == expected
    expected = {"tests": "3", "failures": "0", "errors": "1", "skipped": "2"}
    assert counts(report(summary_of(LATE), ExitCode.INVALID_RUN)) == expected


def test_what_xml_cannot_hold_is_replaced() -> None:
    top = report(summary_of(), ExitCode.FAILURE, ("a\x00b\x1b <&> \ud800",), name="a<&\u00e9")
    (error,) = top.iter("error")
    assert error.get("message") == "a�b� <&> �"
    assert top[0].get("name") == "a<&\u00e9"


def test_notes_are_in_the_output_of_the_validity_case() -> None:
    top = report(summary_of(Finding("every request failed", False)), ExitCode.OK)
    assert top.findtext("testsuite/testcase/system-out") == "every request failed"
    assert counts(top)["errors"] == "0"


def test_the_file_is_written_whole(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(path, summary_of(), run_named(), ExitCode.THRESHOLDS_FAILED)
    assert ET.parse(path).getroot().tag == "testsuites"
    assert [one.name for one in path.parent.iterdir()] == ["junit.xml"]


def test_a_file_that_cannot_be_written_is_explained(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="cannot write"):
        write_junit(tmp_path / "file" / "junit.xml", summary_of(), run_named(), ExitCode.OK)
