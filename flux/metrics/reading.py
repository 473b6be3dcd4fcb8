"""All that is known of a run at one moment, as metrics are read from.

Counts are those of the book: of whole intervals of the collector. What the run tells of itself,
such as its level and how many sessions are under way, is of the moment.
"""

import platform
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

import flux
from flux.metrics.book import Counted, Page
from flux.phases import Phase
from flux.screen.standing import state_of
from flux.stage import Context, Run
from flux.summary import Verdict

ENDED: Final = "ended"
STATES: Final = ("running", "paused", "draining", "stopping", "giving up", ENDED)
"""What a run may be at."""

_PROTOCOLS: Mapping[str, str] = {"http": "http", "https": "http", "grpc": "grpc", "grpcs": "grpc"}
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


@attrs.frozen
class StepFacts:
    """What is known of a step before the run."""

    name: str
    method: str
    """Empty if it has none."""
    path: str
    """Placeholders unfilled; empty if it has none."""
    tags: Mapping[str, str]


@attrs.frozen
class TargetFacts:
    """What is known of a target before the run."""

    name: str
    protocol: str = ""
    """"http" or "grpc"; empty if not known."""
    host: str = ""
    """Empty if not known."""
    port: int = 0
    """0 if not known."""


@attrs.frozen
class Facts:
    """What does not change while a run goes on."""

    pipeline: str
    run_id: str
    """Name of its folder; without one, when it began."""
    seed: int
    shard: str
    """As in "0/2"; empty if it is the whole run."""
    started_at_s: float
    """Seconds since 1970."""
    steps: tuple[StepFacts, ...]
    targets: tuple[TargetFacts, ...]
    phases: tuple[Phase, ...]
    has_users: bool
    version: str = flux.__version__
    python: str = platform.python_version()

    @classmethod
    def of(cls, context: Context) -> "Facts":
        """Those of the run that a sink is in."""
        run = context.run
        shard = run.shard
        return cls(
            pipeline=run.name,
            run_id=run.folder.name if run.folder else run.started_at.isoformat(),
            seed=run.seed,
            shard=str(shard) if shard.count > 1 else "",
            started_at_s=run.started_at.timestamp(),
            steps=tuple(_steps(context)),
            targets=tuple(_targets(context)),
            phases=context.phases,
            has_users=context.has_users,
        )


def _steps(context: Context) -> Iterator[StepFacts]:
    for number, name in enumerate(context.steps):
        known = number < len(context.requests)
        method, path = context.requests[number] if known else ("", "")
        tags = context.step_tags[number] if number < len(context.step_tags) else {}
        yield StepFacts(name, method, path, tags)


def _targets(context: Context) -> Iterator[TargetFacts]:
    for number, name in enumerate(context.targets):
        url = context.target_urls[number] if number < len(context.target_urls) else ""
        parts = urlsplit(url)
        yield TargetFacts(
            name,
            protocol=_PROTOCOLS.get(parts.scheme, ""),
            host=parts.hostname or "",
            port=parts.port or _PORTS.get(parts.scheme, 0),
        )


@attrs.frozen
class TargetHealth:
    """How a target stands, by its last probe."""

    name: str
    is_healthy: bool


@attrs.frozen
class BreakerFacts:
    """How the breaker stands."""

    state: str
    """closed, open, half_open or stopped."""
    trips: int


@attrs.frozen
class Reading:
    """A run at one moment."""

    facts: Facts
    page: Page
    """Its counts."""
    now_ns: int
    """Since it began."""
    state: str
    """One of STATES."""
    planned: int | None
    """Arrivals released so far; None where nothing is planned ahead."""
    level_per_s: float | None
    """What the plan wants just now, sessions per second; None in the closed model."""
    open_sessions: int | None
    """Sessions, or users, under way; None if not known."""
    factor: float
    """What people, spikes and guards together multiply the plan by."""
    guard: float
    """What guards do."""
    is_spiking: bool
    """Whether a spike is on, of the plan or one that somebody asked for."""
    phase: int | None
    """Number of the phase that it is in, from 0; None: in none."""
    breaker: BreakerFacts | None
    """None if it has none."""
    health: tuple[TargetHealth, ...]
    """Of the targets that are asked."""
    is_valid: bool | None
    """None until it is over."""
    verdicts: tuple[Verdict, ...]
    """On its thresholds; none until it is over."""

    @property
    def has_ended(self) -> bool:
        """Whether the counts are those of the whole run."""
        return self.state == ENDED

    @property
    def reached_ns(self) -> int:
        """How far the run has come, or how long it was."""
        return self.page.known_until_ns if self.has_ended else self.now_ns

    def measured(self, step: int) -> Counted:
        """What is counted of a step over all phases that are not warm-up."""
        warmups = {phase.name for phase in self.facts.phases if phase.is_warmup}
        parts = (
            counted
            for (phase, number), counted in self.page.steps.items()
            if number == step and phase not in warmups
        )
        return reduce(Counted.__add__, parts)


def take_reading(facts: Facts, page: Page, run: Run) -> Reading:
    """Look at a run."""
    now_ns, final, control = max(0, run.clock.now_ns()), page.final, run.control
    state = ENDED if final is not None else state_of(run)
    told = [what for stage in run.status().values() for what in stage.items()]
    return Reading(
        facts=facts,
        page=page,
        now_ns=now_ns,
        state=state,
        planned=run.planned() if final is None else page.sessions.planned,
        level_per_s=_level(told, state),
        open_sessions=run.open_sessions(),
        factor=control.factor_at(now_ns),
        guard=control.guard,
        is_spiking=state != ENDED and _is_spiking(told, run, now_ns),
        phase=None if final is not None else _phase(facts.phases, now_ns),
        breaker=_breaker(told),
        health=tuple(_health(told)),
        is_valid=None if final is None else final.is_valid,
        verdicts=() if final is None else final.verdicts,
    )


def _level(told: list[tuple[str, Any]], state: str) -> float | None:
    """The sum over all pacers; nothing is wanted any more once arrivals have ended."""
    levels = [value for what, value in told if what == "level_per_s" and value is not None]
    if not levels:
        return None
    return float(sum(levels)) if state in ("running", "paused") else 0.0


def _is_spiking(told: list[tuple[str, Any]], run: Run, now_ns: int) -> bool:
    spike = run.control.spike
    if spike is not None and 0 <= now_ns - spike.start_ns < spike.duration_ns:
        return True
    return any(what == "spike_factor" and value != 1 for what, value in told)


def _phase(phases: tuple[Phase, ...], now_ns: int) -> int | None:
    begun = [number for number, phase in enumerate(phases) if phase.start_ns <= now_ns]
    if not begun:
        return None
    end_ns = phases[begun[-1]].end_ns
    return begun[-1] if end_ns is None or now_ns < end_ns else None


def _breaker(told: list[tuple[str, Any]]) -> BreakerFacts | None:
    for what, value in told:
        if what == "breaker":
            return BreakerFacts(value["state"], value["trips"])
    return None


def _health(told: list[tuple[str, Any]]) -> Iterator[TargetHealth]:
    """Where nobody asks a target, nobody knows."""
    for what, value in told:
        for target in value or () if what == "targets" else ():
            if target["last_probe_ms"] is not None:
                yield TargetHealth(target["name"], target["healthy"])
