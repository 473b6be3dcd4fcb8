"""Who recorded a file, what it cannot tell, and the summary that it stands for. Pure."""

import datetime
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from flux.clock import PlannedClock
from flux.conservation import Ledger
from flux.formats.recording import Recording
from flux.stage import Run
from flux.summary import Summary

OWN: Final = "flux"
"""What flux is called among the tools."""

_TOOLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("result", "csv", "ndjson"), OWN),
        **dict.fromkeys(("vegeta-json", "vegeta-csv", "vegeta-report"), "vegeta"),
        **dict.fromkeys(("k6-json", "k6-csv", "k6-summary"), "k6"),
        "jtl": "JMeter",
        "locust-history": "Locust",
        "wrk": "wrk",
        **dict.fromkeys(("hlog", "hgrm"), "an unnamed tool"),
    }
)


def tool_of(recording: Recording) -> str:
    """Who has written it, as far as the file tells."""
    return OWN if recording.is_own else _TOOLS[recording.format]


def is_judged_by_flux(recording: Recording) -> bool:
    """Whether it is of a run for which there must be a verdict: its result, or its own rows."""
    return _TOOLS[recording.format] == OWN


def provenance(recording: Recording) -> str:
    """Why there is no verdict on the run, in one line."""
    tool = tool_of(recording)
    if is_judged_by_flux(recording):
        return (
            "rows of flux without their result.json, which has the verdict and leaves out warm-up"
        )
    if tool == OWN:
        return "written by flux; whether this run kept its plan is told by its result.json only"
    return f"recorded by {tool}; flux cannot tell whether this run kept its plan"


def unknowns(recording: Recording) -> Iterator[str]:
    """What the file cannot tell, a line each."""
    told = recording.told
    if not told:
        yield "no times are told"
    elif "response" in told and "service" not in told:
        yield "response time only: what the target took of it is not told"
    elif "service" in told and "response" not in told:
        yield (
            "service time only: when a request was due is not told, so coordinated omission is "
            "not visible"
        )
    elif "response" not in told:
        yield f"{' and '.join(told)} time only: neither response nor service time is told"
    if told and not recording.latencies:
        yield "figures without the values behind them: there are no confidence intervals"
    if not recording.has_failures:
        yield "failed requests are not told from others"
    if not recording.total.requests:
        yield "there are no requests in it"
    elif not recording.duration_ns:
        yield "the length of the run is not told, so there is no rate"
    if recording.resolution_ns >= 10**6:
        yield "times are in whole milliseconds"


def summary_of(recording: Recording) -> Summary:
    """What a run has shown, as far as the file tells; what it does not is empty, or 0."""
    return Summary(
        start_ns=0,
        end_ns=recording.duration_ns,
        is_final=True,
        steps=recording.steps,
        sessions=recording.sessions or Ledger(),
        series=recording.series,
        findings=recording.findings,
    )


def run_of(recording: Recording) -> Run:
    """What was run, as far as the file tells; a start that it does not tell is 1970."""
    unknown = datetime.datetime.fromtimestamp(0, datetime.UTC)
    return Run(
        name=recording.name or recording.path.name,
        seed=0,
        duration_ns=None,
        tick_ns=0,
        drain_ns=0,
        started_at=recording.started_at or unknown,
        clock=PlannedClock(),
    )
