"""The verdicts of a run as JUnit XML, which CI systems show beside their other tests.

A test case per threshold, and one for the validity of the run. A threshold that failed is a
failure. That a run is invalid, or did not come to its end, is an error of the validity case, and
the thresholds of an invalid run are skipped: nobody may take them for passed.
"""

import pathlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from flux.errors import ExitCode
from flux.stage import Run
from flux.storage import write_whole
from flux.summary import Summary, Verdict

_FINE = (ExitCode.OK, ExitCode.THRESHOLDS_FAILED)

# XML 1.0, section 2.2: what else is a Char there cannot be written, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(
    path: pathlib.Path,
    summary: Summary | None,
    run: Run,
    code: ExitCode,
    failures: Sequence[str] = (),
) -> None:
    """Write the report as a whole or not at all.

    Args:
        path: of the file, in a folder that is there.
        summary: of the whole run; None if there is none.
        run: for its name, its seed and when it began.
        code: the exit code that the run comes to.
        failures: what went wrong with its stages.

    Raises:
        StorageFailed: it cannot be written.
    """
    write_whole(path, junit_text(summary, run, code, failures).encode())


def junit_text(
    summary: Summary | None, run: Run, code: ExitCode, failures: Sequence[str] = ()
) -> str:
    """The report; see `write_junit`."""
    time_s = f"{summary.duration_s if summary else 0:.3f}"
    suite = ET.Element("testsuite", name=_text(run.name), time=time_s)
    suite.set("timestamp", run.started_at.replace(tzinfo=None).isoformat(timespec="seconds"))
    properties = ET.SubElement(suite, "properties")
    for name, value in (("seed", run.seed), ("shard", run.shard), ("exit_code", int(code))):
        ET.SubElement(properties, "property", name=name, value=str(value))
    ending = run.control.ending
    if ending is not None and ending.code is code is ExitCode.GUARD:
        failures = (*failures, ending.text)
    _add_validity(_case(suite, run, "validity", time_s), summary, code, failures)
    for verdict in summary.verdicts if summary else ():
        _add_threshold(_case(suite, run, verdict.title, time_s), verdict)
    top = ET.Element("testsuites", name="flux", time=time_s)
    for element in (top, suite):
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(name, str(len(suite.findall(f"testcase/{tag}"))))
        element.set("tests", str(len(suite.findall("testcase"))))
    top.append(suite)
    ET.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _case(suite: ET.Element, run: Run, name: str, time_s: str) -> ET.Element:
    classname = f"flux.{run.name.replace('.', '_')}"
    return ET.SubElement(
        suite, "testcase", classname=_text(classname), name=_text(name), time=time_s
    )


def _add_validity(
    case: ET.Element, summary: Summary | None, code: ExitCode, failures: Sequence[str]
) -> None:
    found = [one for one in (summary.findings if summary else ()) if one.is_fatal]
    lines = [*failures, *(f"{one.text}\n  {one.remedy}".rstrip() for one in found)]
    if code not in _FINE:
        reason = (lines or [f"exit code {int(code)}"])[0].splitlines()[0]
        kind = code.name.lower()
        error = ET.SubElement(case, "error", message=_text(reason), type=kind)
        error.text = _text("\n".join(lines) or reason)
    notes = [one for one in (summary.findings if summary else ()) if not one.is_fatal]
    if notes:
        said = ET.SubElement(case, "system-out")
        said.text = _text("\n".join(f"{one.text}\n  {one.remedy}".rstrip() for one in notes))


def _add_threshold(case: ET.Element, verdict: Verdict) -> None:
    told = f"{verdict.observed_text}, expected {verdict.expect}"
    if verdict.reason:
        told += f" ({verdict.reason})"
    if verdict.judgement == "failed":
        failure = ET.SubElement(case, "failure", message=_text(told), type="threshold")
        failure.text = _text(f"{verdict.title}: {told}; {verdict.samples} samples")
    elif verdict.judgement == "not judged":
        ET.SubElement(case, "skipped", message=_text(f"not judged: {verdict.reason}"))
    else:
        ET.SubElement(case, "system-out").text = _text(told)


def _text(text: str) -> str:
    return _NOT_XML.sub("�", text)
