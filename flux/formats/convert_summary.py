"""From a recording to a format without rows: summaries, distributions and logs of intervals."""

import pathlib
import tempfile
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import IO, Final

import attrs

from flux.errors import FluxError, UsageError
from flux.formats import locust
from flux.formats.collected import collect_rows
from flux.formats.detect import Found
from flux.formats.hlog_text import interval_text, own_comment, own_header
from flux.formats.k6_summary import k6_summary, k6_summary_export
from flux.formats.output import STANDARD_OUTPUT, open_output
from flux.formats.reading import Reading
from flux.formats.recording import Recording
from flux.formats.wrk import wrk_text
from flux.histogram import percentile_distribution
from flux.summary import LATENCIES, StepSummary, Summary

SUMMARIES: Final[Mapping[str, Callable[[Recording], str]]] = MappingProxyType(
    {"k6-summary": k6_summary, "k6-summary-export": k6_summary_export}
)
"""Formats that have every latency under a name of its own."""


def latency_of(recording: Recording, wanted: str | None) -> str:
    """The latency that a format with one latency has.

    Raises:
        FluxError: the recording does not know it.
    """
    latency = wanted or recording.latency
    if latency in recording.latencies:
        return latency
    if not recording.latencies:
        raise FluxError(
            f"{recording.path} has no histograms",
            hint="they are in the result.json of a run that has ended, and can be made from rows",
        )
    known = ", ".join(recording.latencies)
    raise FluxError(f"{recording.path} does not tell {latency} times", hint=f"it tells {known}")


def hgrm_text(recording: Recording, latency: str, step: str | None) -> str:
    """The percentile distribution of one step, or of all together.

    Raises:
        UsageError: there is no such step.
    """
    histogram = getattr(_step(recording, step), latency)
    return percentile_distribution(histogram, comment=own_comment(recording.name, latency))


def _step(recording: Recording, name: str | None) -> StepSummary:
    if name is None:
        return recording.total
    for step in recording.steps:
        if step.name == name:
            return step
    names = ", ".join(step.name for step in recording.steps)
    raise UsageError(f"there is no step {name!r}", hint=f"there are {names}")


def wrk(recording: Recording, latency: str) -> str:
    """wrk's text about the first step's URL."""
    urls = [url for _, url in recording.requests.values() if url]
    return wrk_text(recording, latency, urls[0] if urls else recording.name or "unknown")


def write_locust(recording: Recording, latency: str, out: str) -> None:
    """Write the three files that begin with this path.

    Raises:
        UsageError: it is standard output, which takes one.
    """
    if out == STANDARD_OUTPUT:
        raise UsageError(
            "locust is three files", hint="--out PREFIX makes PREFIX_stats.csv and so on"
        )
    methods = {step: method for step, (method, _) in recording.requests.items()}
    for name, text in {
        "stats": locust.stats_csv(recording, latency, methods),
        "failures": locust.failures_csv(recording, methods),
        "stats_history": locust.history_csv(recording, latency),
    }.items():
        with open_output(f"{out}_{name}.csv") as stream:
            stream.write(text.encode())


def write_whole_hlog(recording: Recording, latency: str, stream: IO[bytes]) -> None:
    """One interval as long as the run was without warm-up, up to its end."""
    start_s = recording.started_at.timestamp() if recording.started_at else 0.0
    start_s += (recording.duration_ns - recording.measured_ns) / 1e9
    text = own_header(recording.name, latency, start_s)
    text += interval_text(recording.steps, latency, 0, recording.measured_ns)
    stream.write(text.encode())


def write_hlog(
    path: pathlib.Path, found: Found, name: str, wanted: str | None, stream: IO[bytes]
) -> list[str]:
    """An interval per second of a file of rows.

    Returns:
        What a reader has to know, a line each.

    Raises:
        FluxError: a row cannot be read, or the latency is not known.
    """
    with tempfile.TemporaryFile() as lines:
        log = _IntervalLog(wanted, lines)
        recording = collect_rows(path, found, take=log.take)
        latency = latency_of(recording, wanted)
        start_s = recording.started_at.timestamp() if recording.started_at else 0.0
        stream.write(own_header(name, latency, start_s).encode())
        lines.seek(0)
        while text := lines.read(1 << 20):
            stream.write(text)
    return list(recording.warnings)


@attrs.define
class _IntervalLog:
    """Writes intervals as they are closed, and begins anew when the rows are read anew."""

    _wanted: str | None
    _stream: IO[bytes]

    def take(self, reading: Reading, summary: Summary) -> None:
        """Write an interval."""
        if summary.start_ns == 0:
            self._stream.seek(0)
            self._stream.truncate()
        latency = self._wanted or ("response" if "response" in reading.latencies else "service")
        if latency not in LATENCIES:
            return
        steps = [
            attrs.evolve(step, name=name) for name, step in zip(reading.steps.texts, summary.steps)
        ]
        text = interval_text(steps, latency, summary.start_ns, summary.end_ns)
        self._stream.write(text.encode())
