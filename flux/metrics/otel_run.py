"""What is told of sessions, and of the run as a whole."""

from collections.abc import Iterator
from functools import partial

from flux.metrics.family import Family, Point
from flux.metrics.reading import STATES, Reading


def _session_count(field: str, reading: Reading) -> Iterator[Point]:
    yield Point(getattr(reading.page.sessions, field))


def _planned(reading: Reading) -> Iterator[Point]:
    if reading.planned is not None:
        yield Point(reading.planned)


def _ended(reading: Reading) -> Iterator[Point]:
    for outcome in ("succeeded", "failed", "aborted"):
        yield Point(getattr(reading.page.sessions, outcome), {"flux.outcome": outcome})


def _run_info(reading: Reading) -> Iterator[Point]:
    facts = reading.facts
    shard = {"flux.shard": facts.shard} if facts.shard else {}
    seed = str(facts.seed)  # no number to count with, and too large for a double
    yield Point(
        1,
        {"flux.run.id": facts.run_id, "flux.pipeline": facts.pipeline, "flux.seed": seed, **shard},
    )


def _build_info(reading: Reading) -> Iterator[Point]:
    yield Point(1, {"version": reading.facts.version, "python": reading.facts.python})


def _states(reading: Reading) -> Iterator[Point]:
    for state in STATES:
        yield Point(int(state == reading.state), {"flux.state": state})


def _phases(reading: Reading) -> Iterator[Point]:
    for number, phase in enumerate(reading.facts.phases):
        attributes = {"flux.phase": phase.name, "flux.warmup": str(phase.is_warmup).lower()}
        yield Point(int(number == reading.phase), attributes)


def _target_rate(reading: Reading) -> Iterator[Point]:
    if reading.level_per_s is not None:
        yield Point(reading.level_per_s)


def _inflight(reading: Reading) -> Iterator[Point]:
    if reading.open_sessions is not None:
        yield Point(reading.open_sessions)


def _health(reading: Reading) -> Iterator[Point]:
    for target in reading.health:
        yield Point(int(target.is_healthy), {"flux.target": target.name})


def _breaker_open(reading: Reading) -> Iterator[Point]:
    if reading.breaker is not None:
        yield Point(int(reading.breaker.state != "closed"))


def _breaker_trips(reading: Reading) -> Iterator[Point]:
    if reading.breaker is not None:
        yield Point(reading.breaker.trips)


def _valid(reading: Reading) -> Iterator[Point]:
    if reading.is_valid is not None:
        yield Point(int(reading.is_valid))


def _thresholds(reading: Reading) -> Iterator[Point]:
    for verdict in reading.verdicts:
        if verdict.judgement != "not judged":
            passed = int(verdict.judgement == "passed")
            yield Point(passed, {"flux.threshold": verdict.title})


RUN_FAMILIES = (
    Family(
        "flux.target.healthy",
        "gauge",
        "",
        "1 if the target answers its probes, else 0; only where there are probes.",
        _health,
        ("flux.target",),
    ),
    Family(
        "flux.arrivals.planned",
        "counter",
        "{session}",
        "Arrivals released by the plan, as of now; not in the closed model.",
        _planned,
    ),
    Family(
        "flux.arrivals.started",
        "counter",
        "{session}",
        "Sessions that began, known once their first request is over.",
        partial(_session_count, "started"),
    ),
    Family(
        "flux.arrivals.repeated",
        "counter",
        "{session}",
        "Of these, iterations that a user had after its first one.",
        partial(_session_count, "repeated"),
    ),
    Family(
        "flux.arrivals.dropped",
        "counter",
        "{session}",
        "Arrivals that could not start in time and were given up.",
        partial(_session_count, "dropped"),
    ),
    Family(
        "flux.arrivals.withheld",
        "counter",
        "{session}",
        "Arrivals given up because no target that they might have gone to was healthy.",
        partial(_session_count, "withheld"),
    ),
    Family(
        "flux.arrivals.cancelled",
        "counter",
        "{session}",
        "Arrivals that were not yet due when the run was stopped.",
        partial(_session_count, "cancelled"),
    ),
    Family(
        "flux.arrivals.lost",
        "counter",
        "{session}",
        "Arrivals of a worker process that died.",
        partial(_session_count, "lost"),
    ),
    Family(
        "flux.sessions.ended",
        "counter",
        "{session}",
        "Sessions that are over, by what became of them.",
        _ended,
        ("flux.outcome",),
    ),
    Family(
        "flux.sessions.held",
        "counter",
        "{session}",
        "Sessions that waited for a place under max_in_flight.",
        lambda reading: [Point(reading.page.held_sessions)],
    ),
    Family(
        "flux.steps.skipped",
        "counter",
        "{step}",
        "Steps that sessions which are over never ran.",
        lambda reading: [Point(reading.page.skipped_steps)],
    ),
    Family(
        "flux.rate.target",
        "gauge",
        "{session}/s",
        "Sessions per second that are wanted now; not in the closed model.",
        _target_rate,
    ),
    Family(
        "flux.rate.started",
        "gauge",
        "{session}/s",
        "Sessions per second that began in the last interval.",
        lambda reading: [Point(reading.page.started_per_s)],
    ),
    Family(
        "flux.rate.requests",
        "gauge",
        "{request}/s",
        "Requests per second that ended in the last interval.",
        lambda reading: [Point(reading.page.requests_per_s)],
    ),
    Family(
        "flux.inflight",
        "gauge",
        "{session}",
        "Sessions, in the closed model users, under way now; not with worker processes.",
        _inflight,
    ),
    Family(
        "flux.control.factor",
        "gauge",
        "",
        "What people, spikes that they asked for and guards multiply the plan by.",
        lambda reading: [Point(reading.factor)],
    ),
    Family(
        "flux.guard.factor",
        "gauge",
        "",
        "What guards alone multiply it by: 0 while the breaker is open.",
        lambda reading: [Point(reading.guard)],
    ),
    Family(
        "flux.spike.active",
        "gauge",
        "",
        "1 while a spike is on, of the plan or one that somebody asked for, else 0.",
        lambda reading: [Point(int(reading.is_spiking))],
    ),
    Family(
        "flux.breaker.open",
        "gauge",
        "",
        "0 if the breaker is closed, else 1; only where there is one.",
        _breaker_open,
    ),
    Family(
        "flux.breaker.trips",
        "counter",
        "{trip}",
        "How often it has tripped; only where there is one.",
        _breaker_trips,
    ),
    Family(
        "flux.phase.active",
        "gauge",
        "",
        "1 for the phase that the run is in, 0 for the others.",
        _phases,
        ("flux.phase", "flux.warmup"),
    ),
    Family(
        "flux.run.state",
        "gauge",
        "",
        "1 for what the run is at, 0 for all else that it may be at.",
        _states,
        ("flux.state",),
    ),
    Family(
        "flux.run.elapsed",
        "gauge",
        "s",
        "How far the run has come; once it is over, how long it was.",
        lambda reading: [Point(reading.reached_ns / 1e9)],
    ),
    Family(
        "flux.run.known_until",
        "gauge",
        "s",
        "Up to when, since the run began, requests and sessions are counted.",
        lambda reading: [Point(reading.page.known_until_ns / 1e9)],
    ),
    Family(
        "flux.run.start_timestamp",
        "gauge",
        "s",
        "When the run began, since 1970.",
        lambda reading: [Point(reading.facts.started_at_s)],
    ),
    Family(
        "flux.run.valid",
        "gauge",
        "",
        "Once the run is over: 1 if its numbers can be trusted, else 0.",
        _valid,
    ),
    Family(
        "flux.threshold.passed",
        "gauge",
        "",
        "Once the run is over: 1 for a threshold that passed, 0 for one that failed.",
        _thresholds,
        ("flux.threshold",),
    ),
    Family(
        "flux.run",
        "info",
        "",
        "Which run it is.",
        _run_info,
        ("flux.run.id", "flux.pipeline", "flux.seed", "flux.shard"),
    ),
    Family(
        "flux.build",
        "info",
        "",
        "Which flux it is, on which Python.",
        _build_info,
        ("version", "python"),
    ),
)
