"""Which of several verdicts counts."""

import pytest

from flux.cli.run import exit_code
from flux.control import Ending
from flux.engine import RunResult
from flux.errors import ExitCode, FluxError
from flux.summary import Finding, Summary
from flux.thresholds import judge
from tests.outcomes import final_of
from tests.thresholds.making import threshold

VALID = Summary(0, 1, True, ())
INVALID = Summary(0, 1, True, (), findings=(Finding("lag", is_fatal=True),))
FAILED = Summary(0, 1, True, (), verdicts=judge([threshold("max < 1s")], final_of([])))
UNJUDGED = Summary(0, 1, True, (), findings=INVALID.findings, verdicts=FAILED.verdicts)
GUARD = Ending("budget", ExitCode.GUARD)
MISSED = Ending("p(95)", ExitCode.THRESHOLDS_FAILED)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (RunResult(VALID), ExitCode.OK),
        (RunResult(VALID, ending=MISSED), ExitCode.THRESHOLDS_FAILED),
        (RunResult(INVALID, ending=MISSED), ExitCode.INVALID_RUN),
        (RunResult(FAILED), ExitCode.THRESHOLDS_FAILED),
        (RunResult(UNJUDGED), ExitCode.INVALID_RUN),
        (RunResult(FAILED, ending=GUARD), ExitCode.GUARD),
        (RunResult(FAILED, [FluxError("x")]), ExitCode.FAILURE),
        (RunResult(None), ExitCode.INVALID_RUN),
        (RunResult(INVALID, ending=GUARD), ExitCode.GUARD),
        (RunResult(VALID, ending=GUARD, was_aborted=True), ExitCode.INTERRUPTED),
        (RunResult(VALID, [FluxError("x")], was_aborted=True), ExitCode.FAILURE),
    ],
)
def test_the_gravest_verdict_counts(result: RunResult, code: ExitCode) -> None:
    assert exit_code(result) is code
