"""Whether a run kept its own plan; if it did not, its numbers say nothing about the target.

Pure: the final summary, limits and what is known of the generator go in, findings come out. A fatal
finding makes the run invalid: `flux run` exits 96, and no threshold can pass. The laws of
conservation are held against the whole run, all else against what was measured, without warm-up.
"""

from collections.abc import Iterator, Mapping

import attrs

from flux.schemas import ErrorCode
from flux.summary import Finding, Summary
from flux.units import Duration

FEWEST_FOR_P99 = 100
"""Sessions that a p99 of the lag needs to mean more than the largest of them."""

FEWEST_SECONDS_FOR_CPU = 2.0
"""What a shorter run takes is mostly its start."""

BUSY_CORE = 0.9
"""Share of a core above which the generator may be what was measured."""

OWN_ERRORS = (ErrorCode.DESCRIPTORS, ErrorCode.PORTS)
"""Failures that are the generator's, not the target's."""


@attrs.frozen
class Limits:
    """How far a run may stray from its plan."""

    max_lag_p99_ns: int = 100_000_000
    """Most that the 99th percentile of the lag may be."""
    min_rate: float = 0.99
    """Least share of the planned arrivals that must start; 0 to 1."""


@attrs.frozen
class Generator:
    """What is known of the process that made the load."""

    cpu_s: float | None = None
    """CPU time it took, all threads; None if not known."""
    wall_s: float = 0.0
    """How long it ran."""
    held_up_s: Mapping[str, float] = attrs.field(factory=dict)
    """Seconds for which rows waited because a stage could not keep up, by that stage's name."""


def find(
    summary: Summary, limits: Limits | None = None, generator: Generator | None = None
) -> tuple[Finding, ...]:
    """Everything that speaks against trusting a run, fatal findings first."""
    limits = limits or Limits()
    findings = [
        *_broken_laws(summary),
        *_too_few_started(summary, limits),
        *_too_late(summary, limits),
        *_own_errors(summary, limits),
        *_withheld(summary),
        *_cut_short(summary),
        *_busy(generator or Generator()),
    ]
    return tuple(sorted(findings, key=lambda finding: not finding.is_fatal))


def _broken_laws(summary: Summary) -> Iterator[Finding]:
    for law in summary.sessions.check():
        yield Finding(f"sessions got lost: {law}", is_fatal=True)
    total = summary.total
    if not total.requests and not summary.measured_sessions.dropped:
        what = "made" if not summary.load.requests else "measured: all were warm-up"
        yield Finding(f"no request was {what}", is_fatal=False)
    elif total.requests and not total.successes:
        yield Finding(f"every request failed, all {total.requests} of them", is_fatal=False)


def _too_few_started(summary: Summary, limits: Limits) -> Iterator[Finding]:
    """Arrivals that their user had cancelled or withheld are left out."""
    sessions = summary.measured_sessions
    given_up = sessions.cancelled + sessions.withheld
    if sessions.planned is None or not (wanted := sessions.planned - given_up):
        return
    share = sessions.arrived / wanted
    if share < limits.min_rate:
        yield Finding(
            f"only {_percent(share)} of the planned arrivals started "
            f"({sessions.arrived} of {wanted}, {sessions.dropped} dropped); "
            f"min_rate is {_percent(limits.min_rate)}",
            is_fatal=True,
        )


def _too_late(summary: Summary, limits: Limits) -> Iterator[Finding]:
    lag = summary.total.lag
    if not lag.count:
        return
    lag_ns = lag.percentile(99)
    if lag_ns > limits.max_lag_p99_ns:
        name = "p99" if lag.count >= FEWEST_FOR_P99 else f"largest of {lag.count}"
        limit = Duration(limits.max_lag_p99_ns)
        yield Finding(
            f"sessions started late: lag {name} is {_time(lag_ns)}, max_lag_p99 is {limit}",
            is_fatal=True,
        )


def _own_errors(summary: Summary, limits: Limits) -> Iterator[Finding]:
    total = summary.total
    for code in OWN_ERRORS:
        count = total.errors.get(code.text, 0)
        if count:
            yield Finding(
                f"the generator ran out of {code.text}: {count} of {total.requests} requests",
                is_fatal=count > (1 - limits.min_rate) * total.requests,
            )


def _withheld(summary: Summary) -> Iterator[Finding]:
    """What is not sent to a target that is down makes its latencies better than the truth."""
    sessions = summary.sessions
    if sessions.withheld:
        what = "arrivals" if sessions.planned is not None else "iterations"
        of = sessions.withheld + sessions.started if sessions.planned is None else sessions.planned
        yield Finding(
            f"{sessions.withheld} of {of} {what} ({_percent(sessions.withheld / of)}) were "
            "withheld while their target was not healthy, and no latency has them",
            is_fatal=False,
        )


def _cut_short(summary: Summary) -> Iterator[Finding]:
    """Where slow requests were cut, the high percentiles are better than the truth."""
    total = summary.total
    if total.aborted:
        share = total.aborted / total.requests
        yield Finding(
            f"{total.aborted} of {total.requests} requests ({_percent(share)}) were cut by the end "
            "of the run, and no percentile of latency has them",
            is_fatal=False,
        )


def _busy(generator: Generator) -> Iterator[Finding]:
    if generator.cpu_s is not None and generator.wall_s > FEWEST_SECONDS_FOR_CPU:
        cores = generator.cpu_s / generator.wall_s
        if cores > BUSY_CORE:
            yield Finding(
                f"the generator kept {cores:.2f} cores busy: it may have slowed itself down",
                is_fatal=False,
            )
    for stage, held_s in generator.held_up_s.items():
        if held_s > 0:
            yield Finding(
                f"stage {stage!r} could not keep up: rows waited {held_s:.3g} s for it",
                is_fatal=False,
            )


def _time(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3g} s" if time_ns >= 1e9 else f"{time_ns / 1e6:.4g} ms"


def _percent(share: float) -> str:
    """A share that is not 100 % never prints as if it were."""
    percent = 100 * share
    if 99.9 < percent < 100:
        return f"{min(percent, 99.9999):.4f} %"
    return f"{percent:.4g} %"
