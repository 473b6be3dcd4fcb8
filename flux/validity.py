"""Whether a run kept its own plan; if it did not, its numbers say nothing about the target.

Pure: the final summary, limits and what is known of the generator go in, findings come out. A fatal
finding makes the run invalid: `flux run` exits 96, and no threshold can pass. Every finding is one
line with the value and the limit, and one line on what to do. The laws of conservation are held
against the whole run, all else against what was measured, without warm-up.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import attrs

from flux.config.rules import above, between
from flux.generator import Generator
from flux.schemas import ErrorCode
from flux.summary import Finding, Summary
from flux.units import Duration

FEWEST_FOR_P99 = 100
"""Sessions that a p99 of the lag needs to mean more than the largest of them."""

FEWEST_SECONDS_FOR_CPU = 2.0
"""What a shorter run takes is mostly its start."""

BUSY_CORE = 0.9
"""Share of a core above which the generator may be what was measured."""

STALL_PERCENT = 99.9
"""A run is invalid if its event loop was later than the limit for more than what is above this."""

OWN_ERRORS = (ErrorCode.DESCRIPTORS, ErrorCode.PORTS)
"""Failures that are the generator's, not the target's."""

_SPREAD = 'start fewer sessions per second, or share them: processes = "auto", or --shard'

_JOIN = 'let users join over some seconds, by a stage with use = "ramp" below theirs'

_OWN_ERROR_REMEDIES = {
    ErrorCode.DESCRIPTORS: "raise the limit (ulimit -n), or lower max_connections",
    ErrorCode.PORTS: "widen net.ipv4.ip_local_port_range, keep connections open, or use more "
    "addresses: source_address, --shard",
}


@attrs.frozen(kw_only=True)
class Validity:
    """How far a run may stray from its plan."""

    max_lag_p99: Duration = Duration.parse("100ms")
    """The longest that the 99th percentile of the generator's own lag may be."""
    min_rate: Annotated[float, between(0, 1)] = 0.99
    """The least share of the planned arrivals that must start; cancelled ones are left out."""
    max_dropped: Annotated[float, between(0, 1)] | None = None
    """The largest share of the planned arrivals that may be dropped; what `min_rate` leaves if
    absent."""
    max_own_errors: Annotated[float, between(0, 1)] = 0.01
    """The largest share of requests that may fail because the generator ran out of file
    descriptors, and the same for local ports."""
    max_stall: Duration = Duration.parse("100ms")
    """The latest that the event loop may run what is due, except in a thousandth of the time."""
    max_cpu: Annotated[float, above(0)] | None = None
    """The most CPU that a process of the generator may take, in cores: 0.9 is nine tenths of one.
    Absent: more than 0.9 is only noted."""
    max_held_up: Duration | None = None
    """The longest that rows may wait for a stage that cannot keep up. Absent: it is only noted."""


def find(
    summary: Summary,
    limits: Validity | None = None,
    generators: Sequence[Generator] | None = None,
    *,
    ending: str = "",
) -> tuple[Finding, ...]:
    """Everything that speaks against trusting a run, fatal findings first.

    Args:
        summary: of the whole run.
        limits: the defaults if None.
        generators: the processes that made the load; those of the summary if None.
        ending: what ended the run early, if anything did.
    """
    limits = limits or Validity()
    findings = [
        *_broken_laws(summary),
        *_no_success(summary, ending),
        *_too_few_started(summary, limits),
        *_dropped(summary, limits),
        *_too_late(summary, limits),
        *_own_errors(summary, limits),
        *_withheld(summary),
        *_cut_short(summary),
    ]
    for generator in summary.generators if generators is None else generators:
        findings += _stalled(generator, limits)
        findings += _busy(generator, limits)
        findings += _held_up(generator, limits)
    return tuple(sorted(findings, key=lambda finding: not finding.is_fatal))


def _broken_laws(summary: Summary) -> Iterator[Finding]:
    for law in summary.sessions.check():
        remedy = (
            "a worker that died, a plug-in that sends wrong rows, or a bug of flux: see the log"
        )
        yield Finding(f"sessions got lost: {law}", is_fatal=True, remedy=remedy)


def _no_success(summary: Summary, ending: str) -> Iterator[Finding]:
    total, sessions = summary.total, summary.measured_sessions
    if not total.requests and not sessions.dropped:
        what = "made" if not summary.load.requests else "measured: all were warm-up"
        remedy = "look at `flux plan`: a rate, count or duration may be too small"
        if sessions.withheld:
            remedy = "see what the health checks got: in the log, and in the result's marks"
        elif ending:
            remedy = f"the run was ended by {ending}"
        yield Finding(f"no request was {what}", is_fatal=False, remedy=remedy)
    elif total.requests and not total.successes:
        text = f"every request failed, all {total.requests} of them"
        remedy = "see the errors: the target may be down, or not the one that was meant"
        yield Finding(text, is_fatal=False, remedy=remedy)


def _too_few_started(summary: Summary, limits: Validity) -> Iterator[Finding]:
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
            remedy=f"raise max_in_flight or max_lag if sessions waited for a place; else {_SPREAD}",
        )


def _dropped(summary: Summary, limits: Validity) -> Iterator[Finding]:
    sessions = summary.measured_sessions
    if not sessions.dropped:
        return
    wanted = sessions.arrived + sessions.dropped + sessions.lost
    share = sessions.dropped / wanted
    text = (
        f"{_percent(share)} of the planned arrivals were dropped ({sessions.dropped} of {wanted})"
    )
    is_fatal = limits.max_dropped is not None and share > limits.max_dropped
    if is_fatal:
        text += f"; max_dropped is {_percent(limits.max_dropped or 0)}"
    elif sessions.started < limits.min_rate * wanted:
        return  # that too few started tells of the drops already
    yield Finding(text, is_fatal, remedy="raise max_in_flight or max_lag, or start fewer sessions")


def _too_late(summary: Summary, limits: Validity) -> Iterator[Finding]:
    lag = summary.total.lag
    if not lag.count:
        return
    lag_ns = lag.percentile(99)
    if lag_ns > limits.max_lag_p99:
        name = "p99" if lag.count >= FEWEST_FOR_P99 else f"largest of {lag.count}"
        are_users = summary.pulse is not None and summary.sessions.planned is None
        spread = _JOIN if are_users else _SPREAD
        yield Finding(
            f"sessions started late: lag {name} is {_time(lag_ns)}, "
            f"max_lag_p99 is {limits.max_lag_p99}",
            is_fatal=True,
            remedy=f"{spread}; or find what else is busy on this machine",
        )


def _own_errors(summary: Summary, limits: Validity) -> Iterator[Finding]:
    total = summary.total
    for code in OWN_ERRORS:
        count = total.errors.get(code.text, 0)
        if count:
            yield Finding(
                f"the generator ran out of {code.text}: {count} of {total.requests} requests",
                is_fatal=count > limits.max_own_errors * total.requests,
                remedy=_OWN_ERROR_REMEDIES[code],
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
            remedy="give them more time to end: a longer drain, or a shorter timeout",
        )


def _stalled(generator: Generator, limits: Validity) -> Iterator[Finding]:
    """Percentiles are over time: beyond the 99.9th is one stall of 150 ms in less than 50 s."""
    lateness = generator.lateness
    if lateness.max_ns <= limits.max_stall:
        return
    share = 1 - lateness.count_at_or_below(limits.max_stall) / lateness.count
    is_fatal = lateness.percentile(STALL_PERCENT) > limits.max_stall
    yield Finding(
        f"{_loop(generator)} stood still: what was due ran up to {_time(lateness.max_ns)} late, "
        f"and for {_percent(share)} of the time more than max_stall, "
        f"which is {limits.max_stall}",
        is_fatal,
        remedy="find what blocks it: a stage that computes or waits without trio, swapping, or "
        "other programs on this machine",
    )


def _busy(generator: Generator, limits: Validity) -> Iterator[Finding]:
    cores = generator.cores
    if cores is None:
        return
    if generator.wall_s <= FEWEST_SECONDS_FOR_CPU:
        if limits.max_cpu is not None:
            text = f"the run was too short to hold its CPU time against max_cpu ({_who(generator)})"
            limit_s = f"{FEWEST_SECONDS_FOR_CPU:g} s"
            yield Finding(text, is_fatal=False, remedy=f"let it go on for more than {limit_s}")
        return
    is_fatal = limits.max_cpu is not None and cores > limits.max_cpu
    if is_fatal or cores > BUSY_CORE:
        limit = f"; max_cpu is {limits.max_cpu:g}" if is_fatal else ""
        yield Finding(
            f"{_who(generator)} kept {cores:.2f} cores busy: it may have slowed itself down{limit}",
            is_fatal,
            remedy=_SPREAD,
        )


def _held_up(generator: Generator, limits: Validity) -> Iterator[Finding]:
    for stage, held_s in generator.held_up_s.items():
        is_fatal = limits.max_held_up is not None and held_s > limits.max_held_up.seconds
        limit = f"; max_held_up is {limits.max_held_up}" if is_fatal else ""
        if held_s > 0:
            yield Finding(
                f"stage {stage!r} could not keep up: rows waited {held_s:.3g} s for it{limit}",
                is_fatal,
                remedy="have it written to a faster disk or reader, or leave it out",
            )


def _who(generator: Generator) -> str:
    return generator.name or "the generator"


def _loop(generator: Generator) -> str:
    return f"the event loop of {generator.name}" if generator.name else "the event loop"


def _time(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3g} s" if time_ns >= 1e9 else f"{time_ns / 1e6:.4g} ms"


def _percent(share: float) -> str:
    """A share that is not 100 % never prints as if it were."""
    percent = 100 * share
    if 99.9 < percent < 100:
        return f"{min(percent, 99.9999):.4f} %"
    return f"{percent:.4g} %"
