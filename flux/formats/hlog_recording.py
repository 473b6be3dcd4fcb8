"""From a log of interval histograms to a recording.

flux's own logs say in their comment which latency they have, and their tags are steps. In another's
log each tag is taken as a step; lines without a tag, where there are others with one, as their sum.
"""

import pathlib
import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from flux.errors import FluxError
from flux.formats.clock_times import moment_of
from flux.formats.hlog_text import OWN_COMMENT
from flux.formats.line_blocks import BrokenFile, Notes, line_blocks
from flux.formats.reading import LATENCY_OF
from flux.formats.recording import Recording
from flux.histogram import Histogram, LogInterval, read_log
from flux.rows import Basis
from flux.series import QUANTILES, Series
from flux.summary import StepSummary
from flux.timeline import Timeline

_START: Final = re.compile(r"#\[StartTime: ([0-9.]+)")
_OWN: Final = re.compile(OWN_COMMENT)
SHORTEST_NS: Final = 10**6
_LONGEST_S: Final = 31 * 24 * 3600


def read_hlog(path: pathlib.Path, basis: Basis | None = None) -> Recording:
    """The run that a log is of.

    Args:
        path: the log.
        basis: what its times are counted from, if flux has not said so in it.

    Raises:
        BrokenFile: a line is no interval.
    """
    notes = Notes()
    warnings, log = notes.warnings, _Log(path)
    intervals = list(log.intervals(notes))
    if not intervals:
        raise BrokenFile(path, log.lines, "must have an interval before it")
    tagged = [interval for interval in intervals if interval.tag]
    if tagged and len(tagged) < len(intervals):
        warnings.append(f"{path} has lines without a tag: they are left out, as sums of the others")
    intervals = tagged or intervals
    if any(interval.unit_ns != 1000 for interval in intervals):
        units = sorted({interval.unit_ns for interval in intervals})
        warnings.append(f"{path}: by their maxima, the values are in units of {units} ns")
    if log.latency is None and basis is None:
        warnings.append(f"{path} does not say what its times count from: taken as service times")
    latency = log.latency or LATENCY_OF[basis or "start"]
    begin_s = min(interval.start_s for interval in intervals)
    end_s = max(interval.start_s + interval.length_s for interval in intervals)
    start_s = log.start_s
    if log.start_s is None or begin_s > log.start_s - 365 * 24 * 3600:  # absolute times
        start_s, origin_s = begin_s, begin_s
    else:
        origin_s = 0.0
    if end_s - origin_s > _LONGEST_S:
        raise FluxError(f"{path} must be of one run, spans {(end_s - origin_s) / 86400:.0f} days")
    steps = _steps(intervals, latency)
    return Recording(
        path=path,
        format="hlog",
        name=log.name,
        started_at=moment_of(round(start_s * 1e9)) if start_s else None,
        duration_ns=round((end_s - origin_s) * 1e9),
        steps=steps,
        series=_series(intervals, origin_s),
        latencies=(latency,),
        is_own=log.latency is not None,
        resolution_ns=1000,
        has_failures=False,
        columns=frozenset({"start_ns", "requests", *QUANTILES}),
        warnings=tuple(warnings),
    )


@attrs.define
class _Log:
    path: pathlib.Path
    start_s: float | None = None
    latency: str | None = None
    name: str = ""
    lines: int = 0

    def intervals(self, notes: Notes) -> Iterator[LogInterval]:
        """The intervals; what comments say is noted on the way."""
        for block in line_blocks(self.path, notes):
            for number, line in enumerate(block.text.decode(errors="replace").splitlines()):
                self.lines = block.line + number
                if line.startswith("#"):
                    self._note(line)
                try:
                    yield from read_log([line])
                except FluxError as error:
                    problem = error.message.partition(": ")[2]
                    raise BrokenFile(self.path, self.lines, f"is no interval: {problem}") from None

    def _note(self, line: str) -> None:
        if start := _START.match(line):
            self.start_s = float(start[1])
        if own := _OWN.match(line.rstrip()):
            self.name, self.latency = own["name"] or "", own["latency"]


def _steps(intervals: list[LogInterval], latency: str) -> tuple[StepSummary, ...]:
    by_tag: dict[str, Histogram] = {}
    for interval in intervals:
        by_tag.setdefault(interval.tag or "", Histogram()).merge(_exact(interval))
    return tuple(
        StepSummary(
            name=tag, requests=histogram.count, successes=histogram.count, **_of(latency, histogram)
        )
        for tag, histogram in by_tag.items()
    )


def _of(latency: str, histogram: Histogram) -> dict[str, Any]:
    return {latency: histogram}


def _exact(interval: LogInterval) -> Histogram:
    """The interval's histogram with the maximum that its line says, if that fits."""
    histogram, largest_ns = interval.histogram, round(interval.max_ms * 1e6)
    if 0.99 * histogram.max_ns <= largest_ns <= histogram.max_ns:
        histogram.max_ns = largest_ns
    return histogram


def _series(intervals: list[LogInterval], origin_s: float) -> Series:
    """Rows as long as most intervals are."""
    lengths_ns = sorted(round(interval.length_s * 1e9) for interval in intervals)
    timeline = Timeline(max(lengths_ns[len(lengths_ns) // 2], SHORTEST_NS))
    by_time: dict[int, Histogram] = {}
    for interval in intervals:
        middle_s = interval.start_s - origin_s + interval.length_s / 2
        time_ns = max(round(middle_s * 1e9), 0)
        by_time.setdefault(time_ns, Histogram()).merge(interval.histogram)
    for time_ns, histogram in sorted(by_time.items()):
        timeline.add(time_ns, requests=histogram.count, successes=histogram.count)
        timeline.set_response(time_ns, histogram)
    return timeline.series()
