"""What is known of a run afterwards, from whatever file there is of it: flux's own or another's."""

import datetime
import pathlib
from collections.abc import Mapping
from functools import cached_property
from typing import Final

import attrs

from flux.conservation import Ledger
from flux.series import ROW, Series
from flux.summary import LATENCIES, Finding, StepSummary

TOTAL: Final = "total"
"""What all steps together are called."""


@attrs.frozen
class Recording:
    """A run as a file tells it: counts, latencies, and rows of time."""

    path: pathlib.Path
    """What was read."""
    format: str
    """Its format, as `flux.formats.detect.Format` has it."""
    name: str
    """Of the pipeline; empty if not known."""
    started_at: datetime.datetime | None
    """Wall-clock time of 0 ns, as far as known; of another tool's run, of the first request."""
    duration_ns: int
    """Length of the run; of another tool's, from the first request to the end of the last."""
    steps: tuple[StepSummary, ...]
    """Every step; without warm-up if they come from result.json. A latency that is not in
    `latencies` has an empty histogram."""
    series: Series
    """The run row by row of time; what is not known of a row is 0."""
    latencies: tuple[str, ...]
    """Which latencies are known: names of `flux.summary.LATENCIES`. A tool that counts from when it
    sent a request knows "service", not "response"."""
    warmups_ns: tuple[tuple[int, int], ...] = ()
    """From when to when there was warm-up, whose requests are in none of the steps: in order."""
    is_own: bool = False
    """Whether flux wrote it, as far as the file tells."""
    resolution_ns: int = 1
    """To how many nanoseconds latencies were written; histograms themselves have three digits."""
    has_failures: bool = True
    """Whether the file tells failed requests from others; if not, all count as successes."""
    sessions: Ledger | None = None
    """What became of the sessions, warm-up included; None if the file does not tell."""
    measured_sessions: Ledger | None = None
    """The same without those of warm-up."""
    peak_users: int | None = None
    """Most sessions under way at once; None if not known."""
    requests: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)
    """Method and URL of each step, as far as known."""
    quoted_ns: Mapping[str, Mapping[str, Mapping[str, int]]] = attrs.field(factory=dict)
    """By step (TOTAL: all together) and latency, figures that the file quotes in place of a
    histogram: mean, min, p50 and so on, max."""
    columns: frozenset[str] = frozenset(ROW.names or ())
    """Which columns of the series the file tells; others are 0."""
    valid: bool | None = None
    """Whether the run kept its own plan; None if nobody has judged it."""
    findings: tuple[Finding, ...] = ()
    """What speaks against trusting the numbers."""
    warnings: tuple[str, ...] = ()
    """What could not be read, or had to be guessed."""

    @cached_property
    def total(self) -> StepSummary:
        """All steps together."""
        return StepSummary(TOTAL).merge(self.steps)

    @property
    def told(self) -> tuple[str, ...]:
        """Latencies of which there are histograms, or at least quoted figures."""
        return self.latencies or tuple(self.quoted_ns.get(TOTAL, ()))

    @property
    def latency(self) -> str:
        """The latency to look at first: the response time, if it is known."""
        known = (one for one in LATENCIES if one in self.told)
        return next(known, "response")

    @property
    def duration_s(self) -> float:
        """Length of the run, seconds."""
        return self.duration_ns / 1e9

    @property
    def measured_ns(self) -> int:
        """Length of the run without warm-up: the time in which the requests of `steps` were due."""
        return self.duration_ns - sum(end_ns - start_ns for start_ns, end_ns in self.warmups_ns)

    @property
    def measured_s(self) -> float:
        """The same, seconds."""
        return self.measured_ns / 1e9

    @property
    def rate_per_s(self) -> float:
        """Requests per second over the whole run, without warm-up; 0 if it has no length."""
        return self.total.requests / self.measured_s if self.measured_ns else 0.0
