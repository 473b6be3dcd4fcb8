"""From flux's own result.json to a recording."""

import pathlib
from typing import Any

import attrs

from flux.formats.recording import Recording
from flux.histogram import Histogram
from flux.result_file import read_result
from flux.result_reading import has_histograms, read_back
from flux.summary import LATENCIES, StepSummary


def read_result_recording(path: pathlib.Path) -> Recording:
    """The run that a result.json is of.

    Raises:
        FluxError: it is not one that this version can read.
    """
    document = read_result(path)
    summary, run = read_back(document, path.parent)
    is_whole = has_histograms(document)
    warning = f"{path} is of a run that was killed: it has counts, but no histograms"
    return Recording(
        path=path,
        format="result",
        name=run.name,
        started_at=run.started_at,
        duration_ns=summary.end_ns,
        steps=summary.steps if is_whole else tuple(map(_without_histograms, summary.steps)),
        series=summary.series,
        latencies=LATENCIES if is_whole else (),
        is_own=True,
        warmups_ns=summary.warmups_ns,
        sessions=summary.sessions,
        measured_sessions=summary.measured_sessions,
        peak_users=document["peak_users"],
        valid=document["validity"]["valid"],
        findings=summary.findings,
        warnings=() if is_whole else (warning,),
    )


def _without_histograms(step: StepSummary) -> StepSummary:
    """What was made up of percentiles is no histogram."""
    none: dict[str, Any] = {name: Histogram() for name in LATENCIES}
    return attrs.evolve(step, **none)
