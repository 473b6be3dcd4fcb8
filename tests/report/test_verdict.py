"""The verdict of a report: the gravest that holds, and every reason."""

from typing import Any

import pytest

from flux.report.verdict import Reason, conclude
from tests.report.making import document_of, finding, verdict


def test_a_run_with_nothing_against_it_is_valid() -> None:
    found = conclude(document_of(verdicts=(verdict(has_failed=False),)))
    assert (found.word, found.reasons) == ("VALID", ())


def test_a_note_leaves_a_run_valid_and_is_told() -> None:
    found = conclude(document_of(findings=(finding(is_fatal=False),)))
    assert found.word == "VALID"
    assert found.reasons == (Reason("note", "lag p99 is 300 ms", "use a faster machine"),)


def test_an_invalid_run_is_invalid_even_if_a_threshold_failed_too() -> None:
    document = document_of(findings=(finding(is_fatal=True),), verdicts=(verdict(has_failed=True),))
    found = conclude(document)
    assert found.word == "INVALID"
    assert [reason.kind for reason in found.reasons] == ["invalid", "failed"]


def test_a_failed_threshold_is_told_with_what_was_observed_and_when_it_first_failed() -> None:
    found = conclude(document_of(verdicts=(verdict(has_failed=True),)))
    assert found.word == "FAILED"
    assert [reason.text for reason in found.reasons] == [
        "threshold response p(95) < 250ms [step register]: 300 ms; first failed at 7s"
    ]


@pytest.mark.parametrize(("code", "word"), [(108, "FAILED"), (99, "FAILED"), (0, "VALID")])
def test_what_ended_a_run_early_fails_it_by_its_exit_code(code: int, word: str) -> None:
    document = document_of()
    document["run"]["ended_by"] = {"text": "guard breaker: half of all failed", "exit_code": code}
    found = conclude(document)
    assert found.word == word
    assert found.reasons[0].text == "guard breaker: half of all failed"


def test_a_run_that_was_killed_is_incomplete_whatever_else_is_said() -> None:
    found = conclude(document_of(is_final=False, findings=(finding(is_fatal=True),)))
    assert found.word == "INCOMPLETE"
    assert [reason.kind for reason in found.reasons] == ["incomplete", "invalid"]


def test_a_repaired_run_is_incomplete_and_says_what_it_was_made_of() -> None:
    document = document_of(is_final=False)
    document["repaired"] = {"source": "requests.csv", "rows": 2000, "cut_bytes": 3}
    assert [reason.text for reason in conclude(document).reasons] == [
        "the run was killed; this was rebuilt from 2,000 rows of requests.csv"
    ]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"complete": 1},
        {"validity": [], "thresholds": {}, "run": None},
        {"validity": {"findings": [None, 3]}, "run": {"ended_by": "no"}},
    ],
)
def test_a_result_without_its_keys_is_incomplete(document: dict[str, Any]) -> None:
    assert conclude(document).word == "INCOMPLETE"


def test_a_result_marked_as_not_valid_without_a_finding_is_invalid() -> None:
    document = document_of()
    document["validity"] = {"valid": False}
    assert conclude(document).word == "INVALID"
