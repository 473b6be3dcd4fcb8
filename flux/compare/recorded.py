"""A run that is compared, whoever recorded it."""

import pathlib
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from flux.formats.origin import (
    OWN,
    is_judged_by_flux,
    provenance,
    run_of,
    summary_of,
    tool_of,
    unknowns,
)
from flux.formats.recording import TOTAL, Recording
from flux.stage import Run
from flux.summary import StepSummary, Summary

COMPARED = ("response", "service")
"""Latencies that are compared, where both runs tell them."""

Quoted = Mapping[str, Mapping[str, Mapping[str, int]]]
"""By step and latency, figures in place of a histogram, as `Recording.quoted_ns` has them."""

_NOTHING: Quoted = MappingProxyType({})


@attrs.frozen
class Recorded:
    """A run that is compared."""

    name: str
    """What to call it: its number, or its path."""
    summary: Summary
    run: Run
    is_valid: bool | None
    """None: not known, as of one that was repaired, or that flux has not made."""
    tool: str = OWN
    """Who wrote its file."""
    is_judged_by_flux: bool = True
    """Whether flux made the run, so that there must be a verdict on it."""
    latencies: tuple[str, ...] = COMPARED
    """Which of COMPARED it tells."""
    has_failures: bool = True
    """Whether it tells failed requests from others."""
    quoted_ns: Quoted = _NOTHING
    path: pathlib.Path | None = None
    """Of its file, if it has one."""
    caveats: tuple[str, ...] = ()
    """What a reader has to know before trusting it, a line each."""

    @classmethod
    def of(cls, recording: Recording, name: str) -> "Recorded":
        """The run that a file tells of, which has no verdict on it."""
        return cls(
            name=name,
            summary=summary_of(recording),
            run=run_of(recording),
            is_valid=None,
            tool=tool_of(recording),
            is_judged_by_flux=is_judged_by_flux(recording),
            latencies=tuple(one for one in COMPARED if one in recording.told),
            has_failures=recording.has_failures,
            quoted_ns=recording.quoted_ns,
            path=recording.path.resolve(),
            caveats=(provenance(recording), *unknowns(recording), *recording.warnings),
        )

    def step(self, name: str) -> StepSummary | None:
        """A step of it, or all together."""
        if name == TOTAL:
            return self.summary.total
        return next((step for step in self.summary.steps if step.name == name), None)

    def tells(self, step: str, latency: str, figure: str) -> bool:
        """Whether it can tell a figure, given enough values."""
        if figure == "errors":
            return self.has_failures
        if figure == "rate":
            return self.summary.measured_s > 0
        quoted_ns = self.quoted(step, latency)
        return latency in self.latencies and (quoted_ns is None or figure in quoted_ns)

    def quoted(self, step: str, latency: str) -> Mapping[str, int] | None:
        """Figures that it quotes; None if it has histograms."""
        return self.quoted_ns.get(step, {}).get(latency, {}) if self.quoted_ns else None
