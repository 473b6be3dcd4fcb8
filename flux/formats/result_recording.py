"""From flux's own result.json to a recording."""

import datetime
import pathlib
from typing import Any, Final

import attrs
import numpy as np

from flux.conservation import Ledger
from flux.formats.recording import Recording
from flux.histogram import Histogram, decode
from flux.result_file import ENCODED, Document, read_result
from flux.series import EMPTY_SKETCH, ROW, Series
from flux.summary import Finding, StepSummary

_COUNTS: Final = (
    *("requests", "successes", "failures", "aborted", "bytes_out", "bytes_in"),
    *("retries", "connections"),
)


def read_result_recording(path: pathlib.Path) -> Recording:
    """The run that a result.json is of.

    Times to connect are not in it as histograms, and are not known here.

    Raises:
        FluxError: it is not one that this version can read.
    """
    document = read_result(path)
    run, warnings = document["run"], []
    if not document["complete"]:
        warnings.append(f"{path} is of a run that was killed: it has counts, but no histograms")
    sessions = document["sessions"]
    fields = [field.name for field in attrs.fields(Ledger)]
    return Recording(
        path=path,
        format="result",
        name=run["name"],
        started_at=datetime.datetime.fromisoformat(run["started_at"]),
        duration_ns=run["duration_ns"],
        steps=_steps(document),
        series=_series(document),
        latencies=ENCODED if document["complete"] else (),
        sessions=Ledger(**{name: sessions[name] for name in fields if name in sessions}),
        peak_users=document["peak_users"],
        document=document,
        valid=document["validity"]["valid"],
        findings=tuple(
            Finding(finding["text"], finding["fatal"])
            for finding in document["validity"]["findings"]
        ),
        warnings=tuple(warnings),
    )


def _steps(document: Document) -> tuple[StepSummary, ...]:
    encoded = document["histograms"] or [{}] * len(document["steps"])
    return tuple(_step(step, texts) for step, texts in zip(document["steps"], encoded))


def _step(step: Document, encoded: Document) -> StepSummary:
    histograms: dict[str, Any] = {
        name: _histogram(encoded[name], step["latency"][name])
        for name in ENCODED
        if name in encoded
    }
    return StepSummary(
        name=step["name"],
        **{name: step[name] for name in _COUNTS},
        statuses={int(status): count for status, count in step["statuses"].items()},
        errors=dict(step["errors"]),
        **histograms,
    )


def _histogram(text: str, said: Document) -> Histogram:
    """The buckets as encoded; the exact extremes and the mean as written beside them."""
    histogram = decode(text)
    if said["count"]:
        histogram.min_ns, histogram.max_ns = said["min"], said["max"]
        histogram.sum_ns = said["mean"] * said["count"]
    return histogram


def _series(document: Document) -> Series:
    rows: list[dict[str, Any]] = document["series"]
    if not rows:
        return Series()
    array = np.zeros(len(rows), ROW)
    names = [name for name in ROW.names or () if name in rows[0]]
    for name in names:
        array[name] = [row[name] or 0 for row in rows]
    sketches = (EMPTY_SKETCH,) * len(rows)
    return Series(rows[0]["end_ns"] - rows[0]["start_ns"], array, sketches)
