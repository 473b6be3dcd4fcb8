"""Adds up what a run's summaries say, in the little that is exposed of it.

Strategy. Of each interval only a few dozen numbers are kept: counts, and how many durations are not
above each edge. Nothing that was once handed out is changed: adding makes new objects. The summary
of the whole run replaces all, so what is exposed at last is what `result.json` says.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

import attrs

from flux.conservation import Ledger
from flux.metrics.buckets import Buckets, Edges
from flux.metrics.turns import Turns
from flux.summary import StepSummary, Summary

LatencyEdges: TypeAlias = Mapping[str, Edges]
"""By the name of a latency; see `flux.summary.LATENCIES`. The others are not kept."""

Place: TypeAlias = tuple[str, int]
"""Name of a phase, empty in a run without phases, and number of a step."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

REMEMBERED_S = 60.0
"""How far back drops are remembered."""

_SUMS = ("requests", "successes", "failures", "bytes_out", "bytes_in", "retries", "connections")


@attrs.frozen
class Counted:
    """Requests of one step or to one target, from the beginning of the run."""

    requests: int = 0
    successes: int = 0
    failures: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    retries: int = 0
    connections: int = 0
    statuses: Mapping[int, int] = attrs.field(factory=dict)
    """How many responses had each status; 0: there was none."""
    errors: Mapping[str, int] = attrs.field(factory=dict)
    """How many failed for each reason."""
    latencies: Mapping[str, Buckets] = attrs.field(factory=dict)
    """By name."""

    @classmethod
    def of(cls, step: StepSummary, edges: LatencyEdges) -> "Counted":
        """What is kept of a summary."""
        return cls(
            **{name: getattr(step, name) for name in _SUMS},
            statuses=step.statuses,
            errors=step.errors,
            latencies={name: one.count(getattr(step, name)) for name, one in edges.items()},
        )

    def __add__(self, other: "Counted") -> "Counted":
        """Both together."""
        return Counted(
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMS},
            statuses=_added(self.statuses, other.statuses),
            errors=_added(self.errors, other.errors),
            latencies=_merged(self.latencies, other.latencies, Buckets.__add__),
        )


@attrs.frozen
class Page:
    """What the book says at one moment; it never changes."""

    steps: Mapping[Place, Counted] = attrs.field(factory=dict)
    """Requests by phase and step, every pair of them."""
    targets: Mapping[int, Counted] = attrs.field(factory=dict)
    """By target, without warm-up, in a run that has several."""
    sessions: Ledger = Ledger()  # noqa: RUF009  # immutable
    """What became of the sessions, warm-up included."""
    held_sessions: int = 0
    skipped_steps: int = 0
    known_until_ns: int = 0
    """Up to when all of this counts."""
    due_per_s: float = 0.0
    """Sessions per second that were due in the last interval."""
    started_per_s: float = 0.0
    """Sessions per second that began in it."""
    requests_per_s: float = 0.0
    """Requests per second that ended in it."""
    recent_drops: int = 0
    """Arrivals that were dropped in about the last minute."""
    recent_starts: int = 0
    """Sessions that began in it."""
    final: Summary | None = None
    """Of the whole run, once that is over."""


class Book:
    """What is known of a run so far."""

    def __init__(
        self, edges: LatencyEdges, *, steps: int, targets: int = 1, phases: Sequence[str] = ()
    ) -> None:
        """Begin with nothing counted.

        Args:
            edges: of the latencies that are kept.
            steps: how many the run has.
            targets: how many it has.
            phases: names of its phases.
        """
        nothing = Counted(latencies={name: one.empty() for name, one in edges.items()})
        places = ((phase, number) for phase in phases or ("",) for number in range(steps))
        self._edges = edges
        self._recent: deque[tuple[int, int, int]] = deque()
        self._first_page = Page(
            steps=dict.fromkeys(places, nothing),
            targets=dict.fromkeys(range(targets if targets > 1 else 0), nothing),
        )
        self.page = self._first_page
        """What it says now; replaced as a whole."""

    async def take(self, summary: Summary) -> None:
        """Add an interval, or replace all by the summary of the whole run."""
        steps = await self._counted(_steps_of(summary))
        targets = await self._counted(enumerate(summary.targets if _are_several(summary) else ()))
        if summary.is_final:
            self.page = self._last_page(summary, steps, targets)
            return
        page = self.page
        row, seconds = summary.series.rows, summary.duration_s or 1.0
        due, started = int(row["due"].sum()), int(row["started"].sum())
        self._remember(summary.end_ns, summary.sessions)
        self.page = Page(
            steps=_merged(page.steps, steps, Counted.__add__),
            targets=_merged(page.targets, targets, Counted.__add__),
            sessions=page.sessions + summary.sessions,
            held_sessions=page.held_sessions + summary.held_sessions,
            skipped_steps=page.skipped_steps + summary.skipped_steps,
            known_until_ns=summary.end_ns,
            due_per_s=due / seconds,
            started_per_s=started / seconds,
            requests_per_s=summary.load_per_s,
            recent_drops=sum(dropped for _, dropped, _ in self._recent),
            recent_starts=sum(begun for _, _, begun in self._recent),
        )

    def _last_page(
        self, final: Summary, steps: dict[Place, Counted], targets: dict[int, Counted]
    ) -> Page:
        return Page(
            steps={**self._first_page.steps, **steps},
            targets={**self._first_page.targets, **targets},
            sessions=final.sessions,
            held_sessions=final.held_sessions,
            skipped_steps=final.skipped_steps,
            known_until_ns=final.end_ns,
            recent_drops=self.page.recent_drops,
            recent_starts=self.page.recent_starts,
            final=final,
        )

    async def _counted(self, parts: Iterable[tuple[_Key, StepSummary]]) -> dict[_Key, Counted]:
        """Those that had requests."""
        counted: dict[_Key, Counted] = {}
        turns = Turns()
        for key, step in parts:
            if step.requests:
                counted[key] = Counted.of(step, self._edges)
                await turns.give_way()
        return counted

    def _remember(self, end_ns: int, sessions: Ledger) -> None:
        self._recent.append((end_ns, sessions.dropped, sessions.started))
        while self._recent[0][0] <= end_ns - REMEMBERED_S * 1e9:
            self._recent.popleft()


def _steps_of(summary: Summary) -> Iterator[tuple[Place, StepSummary]]:
    """The steps of each phase; warm-up is in no other place of a summary."""
    if not summary.phases:
        for number, step in enumerate(summary.steps):
            yield ("", number), step
    for phase in summary.phases:
        for number, step in enumerate(phase.steps):
            yield (phase.name, number), step


def _are_several(summary: Summary) -> bool:
    """Of one target alone, all is known by the steps."""
    return len(summary.targets) > 1


def _merged(
    ours: Mapping[_Key, _Value],
    theirs: Mapping[_Key, _Value],
    add: Callable[[_Value, _Value], _Value],
) -> dict[_Key, _Value]:
    merged = dict(ours)
    for key, value in theirs.items():
        merged[key] = add(merged[key], value) if key in merged else value
    return merged


def _added(ours: Mapping[_Key, int], theirs: Mapping[_Key, int]) -> Mapping[_Key, int]:
    return _merged(ours, theirs, int.__add__)
