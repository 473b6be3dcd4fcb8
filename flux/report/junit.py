"""A report as JUnit XML: what `flux run --junit` writes, made from result.json."""

from flux.errors import ExitCode, UsageError
from flux.junit import junit_text
from flux.report.load import Material
from flux.report.verdict import conclude
from flux.result_reading import read_back

_CODES = {
    "VALID": ExitCode.OK,
    "INVALID": ExitCode.INVALID_RUN,
    "FAILED": ExitCode.THRESHOLDS_FAILED,
    "INCOMPLETE": ExitCode.FAILURE,
}


def junit_report(material: Material) -> str:
    """The test cases: one for the validity of the run, and one for each threshold.

    A run that did not come to its end is an error.

    Raises:
        UsageError: nobody has judged this run.
        FluxError: the result lacks what it takes.
    """
    if material.is_recorded:
        raise UsageError(
            f"{material.file} has no verdicts that could be test cases",
            hint="junit is for runs of flux with a result.json; compare --fail-if takes any",
        )
    conclusion = conclude(material.document)
    summary, run = read_back(material.document)
    code, ending = _CODES[conclusion.word], run.control.ending
    if conclusion.word == "FAILED" and ending is not None and ending.code is not ExitCode.OK:
        code = ending.code
    failures = [one.text for one in conclusion.reasons if one.kind == "incomplete"]
    return junit_text(summary, run, code, failures)
