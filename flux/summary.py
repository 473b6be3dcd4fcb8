"""What a run has shown so far: counts and latency histograms, per step and overall.

A `Summary` is about one interval or about the whole run. Summaries add up: `merge` adds counts, and
histograms bucket for bucket, whether the others come from later intervals, other worker processes
or other shards. They are plain data and can be pickled.

    response    end - due            what a user would have felt
    service     end - start          what the target took
    first_byte  first_byte - start   of responses that began
    lag         start - due          of sessions that had a place at once: the generator's own delay
    connect, tls                     of requests that opened their connection

Failures are part of every histogram. Arrivals that were dropped, withheld or cancelled are not
requests and are in none. Requests that the end of the run cut are counted (`aborted`, among the
failures), but nobody knows how long they would have taken: only their lag is recorded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, reduce
from typing import Literal, TypeAlias

import attrs

from flux.conservation import Ledger
from flux.generator import Generator
from flux.histogram import Histogram
from flux.phases import titled
from flux.series import Series
from flux.standstill import Pulse, describe

LATENCIES = ("response", "service", "first_byte", "lag", "connect", "tls")
"""Names of the histograms of a step."""

MARK_KINDS = ("signal", "control", "threshold", "guard", "health", "phase", "failure")
"""What sorts of things are marked."""


@attrs.frozen
class Finding:
    """Something that a reader has to know before trusting the numbers."""

    text: str
    """One line, with the value and the limit."""
    is_fatal: bool
    """True: the numbers must not be trusted, and the run is invalid."""
    remedy: str = ""
    """One line on what to do about it; empty where there is nothing to do."""


Judgement: TypeAlias = Literal["passed", "failed", "not judged"]
Unit: TypeAlias = Literal["ns", "share", "count", "per_s"]


@attrs.frozen
class Verdict:
    """What became of one threshold; see `flux.thresholds`."""

    metric: str
    expect: str
    """As it was written: "p(95) < 250ms"."""
    scope: str
    """What of the run it is about, as in "step login"; empty: all of it."""
    judgement: Judgement
    observed: float | None
    """The value, in `unit`; None if there is none."""
    observed_text: str
    """The same for people."""
    limit: float
    """What it was compared with, in `unit`."""
    unit: Unit
    samples: int
    """How many requests or sessions stand behind the value."""
    reason: str = ""
    """One line, where the value alone does not explain the judgement."""
    first_failed_ns: int | None = None
    """When it failed for the first time, since the run began; None: never."""

    @property
    def title(self) -> str:
        """What it is called: "response p(95) < 250ms [step login]"."""
        return f"{self.metric} {self.expect}" + (f" [{self.scope}]" if self.scope else "")


@attrs.frozen
class Mark:
    """Something that happened at one moment of a run, to be shown beside its numbers."""

    time_ns: int
    """When, since the run began."""
    kind: str
    """What sort of thing: one of MARK_KINDS."""
    text: str
    """One line."""


@attrs.frozen
class StepSummary:
    """All requests of one step of a flow, of all steps together, or to one target."""

    name: str
    requests: int = 0
    """Requests that were made: successes and failures."""
    successes: int = 0
    failures: int = 0
    aborted: int = 0
    """Of the failures, those that the end of the run cut."""
    statuses: Mapping[int, int] = attrs.field(factory=dict)
    """How many responses had each status; 0: there was no response."""
    errors: Mapping[str, int] = attrs.field(factory=dict)
    """How many requests failed for each reason, by `ErrorCode.text`."""
    bytes_out: int = 0
    """Bytes of all request bodies."""
    bytes_in: int = 0
    """Bytes of all response bodies, as received."""
    retries: int = 0
    """Times a request was sent again on a new connection."""
    connections: int = 0
    """Requests that opened their connection."""
    response: Histogram = attrs.field(factory=Histogram, repr=False)
    service: Histogram = attrs.field(factory=Histogram, repr=False)
    first_byte: Histogram = attrs.field(factory=Histogram, repr=False)
    lag: Histogram = attrs.field(factory=Histogram, repr=False)
    connect: Histogram = attrs.field(factory=Histogram, repr=False)
    tls: Histogram = attrs.field(factory=Histogram, repr=False)

    def merge(self, others: Iterable["StepSummary"]) -> "StepSummary":
        """This and the others together, under this one's name; all stay as they are.

        Histograms are shared where nothing is to be added: record nothing from now on.
        """
        parts = (self, *others)
        merged = {
            field.name: _SUMS.get(field.name, sum)(getattr(part, field.name) for part in parts)
            for field in attrs.fields(StepSummary)
            if field.name != "name"
        }
        return StepSummary(name=self.name, **merged)


@attrs.frozen
class PhaseSummary:
    """One phase of a run, as far as it has come: the requests that were due in it."""

    name: str
    start_ns: int
    """Where it begins, since the run began."""
    end_ns: int
    """Where it ends, or how far the run has come in it; `start_ns` if it was never reached."""
    is_warmup: bool
    """True: these requests are left out of everything that is judged."""
    steps: tuple[StepSummary, ...]
    """Every step of the run, in the order of its step numbers."""
    sessions: Ledger = attrs.field(factory=Ledger)
    """What became of the sessions: those that began, or were to, by their arrival, and those that
    ended by their last request; so the second law need not hold for one phase."""

    @property
    def title(self) -> str:
        """Its name, marked if it is warm-up."""
        return titled(self.name, self.is_warmup)

    @cached_property
    def total(self) -> StepSummary:
        """All steps together."""
        return StepSummary("total").merge(self.steps)

    @property
    def duration_s(self) -> float:
        """How long it was, seconds."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def rate_per_s(self) -> float:
        """Requests per second over the whole of it; 0 if it has no length."""
        return self.total.requests / self.duration_s if self.duration_s > 0 else 0.0

    def merge(self, others: Iterable["PhaseSummary"]) -> "PhaseSummary":
        """This and the others together, which are about the same phase; all stay as they are."""
        parts = (self, *others)
        return attrs.evolve(
            self,
            end_ns=max(part.end_ns for part in parts),
            steps=tuple(first.merge(rest) for first, *rest in zip(*(part.steps for part in parts))),
            sessions=reduce(Ledger.__add__, (part.sessions for part in parts)),
        )


@attrs.frozen
class Summary:
    """One interval of a run, or the whole of it.

    Counts and latencies are of what is judged, without warm-up; sessions, series and what was held
    or skipped are of everything.
    """

    start_ns: int
    """Where it begins, since the run began."""
    end_ns: int
    """Where it ends."""
    is_final: bool
    """True for the last one, which is about the whole run."""
    steps: tuple[StepSummary, ...]
    """Every step of the run, in the order of its step numbers, without warm-up."""
    targets: tuple[StepSummary, ...] = ()
    """Every target of the run, in the order of its target numbers, without warm-up; of an interval,
    nothing unless there are several."""
    sessions: Ledger = attrs.field(factory=Ledger)
    """What became of the sessions; of an interval's arrivals, `planned` is not known."""
    held_sessions: int = 0
    """Sessions that waited for a place under max_in_flight before they started."""
    skipped_steps: int = 0
    """Steps that ended sessions never ran."""
    open_sessions: int | None = None
    """Sessions (in the closed model, users) under way when this was made; None if not known."""
    load_end_ns: int | None = None
    """Of a whole run, when arrivals ended: by the plan, when it was stopped, or as far as rows
    tell, with the last of them. After it there is only the drain. None if not known."""
    series: Series = attrs.field(factory=Series)
    """The run row by row of time; of an interval, its one row."""
    pulse: Pulse | None = attrs.field(default=None, repr=False, eq=False)
    """When requests began, of a whole run with users who wait for answers; else None."""
    findings: tuple[Finding, ...] = ()
    """What speaks against trusting the numbers; known in the final summary only."""
    marks: tuple[Mark, ...] = ()
    """What happened on the way, in order; known in the final summary only."""
    phases: tuple[PhaseSummary, ...] = ()
    """Of a run with phases or warm-up: each of them in order; of an interval, those in it."""
    generators: tuple[Generator, ...] = ()
    """The processes that made the load; known in the final summary only."""
    verdicts: tuple[Verdict, ...] = ()
    """What became of the thresholds, in order; known in the final summary only."""

    @cached_property
    def total(self) -> StepSummary:
        """All steps together, without warm-up."""
        return StepSummary("total").merge(self.steps)

    @cached_property
    def load(self) -> StepSummary:
        """All steps together, warm-up included: what the target was given."""
        warmup = [step for phase in self.phases if phase.is_warmup for step in phase.steps]
        return self.total.merge(warmup) if warmup else self.total

    @property
    def measured_sessions(self) -> Ledger:
        """What became of the sessions without warm-up."""
        measured = [phase.sessions for phase in self.phases if not phase.is_warmup]
        return reduce(Ledger.__add__, measured) if measured else self.sessions

    @property
    def duration_s(self) -> float:
        """Length of the interval or run, seconds."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def warmups_ns(self) -> tuple[tuple[int, int], ...]:
        """From when to when there was warm-up in it."""
        shared = (
            (max(phase.start_ns, self.start_ns), min(phase.end_ns, self.end_ns))
            for phase in self.phases
            if phase.is_warmup
        )
        return tuple((start_ns, end_ns) for start_ns, end_ns in shared if start_ns < end_ns)

    @property
    def measured_s(self) -> float:
        """Length of it without warm-up, seconds."""
        warmup_ns = sum(end_ns - start_ns for start_ns, end_ns in self.warmups_ns)
        return (self.end_ns - self.start_ns - warmup_ns) / 1e9

    @property
    def load_s(self) -> float:
        """Length of it without the drain: the time in which sessions were due, seconds."""
        end_ns = self.end_ns if self.load_end_ns is None else min(self.load_end_ns, self.end_ns)
        return (end_ns - self.start_ns) / 1e9

    @property
    def rate_per_s(self) -> float:
        """Requests per second over the whole of it, without warm-up; 0 if it has no length."""
        return self.total.requests / self.measured_s if self.measured_s > 0 else 0.0

    @property
    def load_per_s(self) -> float:
        """Requests per second over the whole of it, warm-up included; 0 if it has no length."""
        return self.load.requests / self.duration_s if self.duration_s > 0 else 0.0

    @property
    def peak_in_flight(self) -> int | None:
        """The most requests under way at once; None until the end of the run.

        A request is known once it is over, so an interval cannot tell; see `open_sessions`. Of
        merged shards it is an upper bound.
        """
        return self._peak("peak_in_flight")

    @property
    def peak_users(self) -> int | None:
        """The most sessions under way at once; None until the end, and of shards a bound, too."""
        return self._peak("peak_users")

    def _peak(self, column: str) -> int | None:
        return int(self.series.rows[column].max(initial=0)) if self.is_final else None

    @property
    def hidden(self) -> str:
        """What users who wait for answers cannot show, in one line; empty if there are none."""
        if self.pulse is None:
            return ""
        return describe(self.pulse.standstill(), do_arrive=self.sessions.planned is not None)

    @property
    def is_valid(self) -> bool:
        """True if nothing was found that makes the numbers worthless."""
        return not any(finding.is_fatal for finding in self.findings)

    def merge(self, others: Iterable["Summary"]) -> "Summary":
        """This and the others together; all stay as they are.

        It is final if all of them are. Findings are collected, each text once: a finding of one
        shard holds for the sum. Verdicts do not add up, so there are none: judge the sum.

        Raises:
            ValueError: they are not about the same steps and targets.
        """
        parts = (self, *others)
        for part in parts:
            _check_names("steps", self.steps, part.steps)
            _check_names("targets", self.targets, part.targets)
        known_ns = [part.load_end_ns for part in parts if part.load_end_ns is not None]
        return Summary(
            start_ns=min(part.start_ns for part in parts),
            end_ns=max(part.end_ns for part in parts),
            is_final=all(part.is_final for part in parts),
            steps=tuple(one.merge(rest) for one, *rest in zip(*(part.steps for part in parts))),
            targets=tuple(one.merge(rest) for one, *rest in zip(*(part.targets for part in parts))),
            sessions=reduce(Ledger.__add__, (part.sessions for part in parts)),
            held_sessions=sum(part.held_sessions for part in parts),
            skipped_steps=sum(part.skipped_steps for part in parts),
            open_sessions=_known_sum(part.open_sessions for part in parts),
            load_end_ns=max(known_ns) if known_ns else None,
            series=self.series.merge(part.series for part in parts[1:]),
            pulse=_merged_pulse([part.pulse for part in parts if part.pulse is not None]),
            findings=tuple(dict.fromkeys(one for part in parts for one in part.findings)),
            marks=tuple(
                sorted((one for part in parts for one in part.marks), key=lambda one: one.time_ns)
            ),
            phases=_merged_phases(parts),
            generators=tuple(one for part in parts for one in part.generators),
        )


def _check_names(what: str, ours: tuple[StepSummary, ...], theirs: tuple[StepSummary, ...]) -> None:
    names, others = [step.name for step in ours], [step.name for step in theirs]
    if names != others:
        raise ValueError(f"summaries must be about the same {what}, got {names} and {others}")


def _merged_phases(parts: Iterable[Summary]) -> tuple[PhaseSummary, ...]:
    """The phases of all of them, those of one name together, in order of time."""
    by_name: dict[str, list[PhaseSummary]] = {}
    for part in parts:
        for phase in part.phases:
            by_name.setdefault(phase.name, []).append(phase)
    merged = [first.merge(rest) for first, *rest in by_name.values()]
    return tuple(sorted(merged, key=lambda phase: phase.start_ns))


def _added_counts(parts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    added: dict[int, int] = {}
    for part in parts:
        for key, count in part.items():
            added[key] = added.get(key, 0) + count
    return dict(sorted(added.items()))


def _added_histograms(parts: Iterable[Histogram]) -> Histogram:
    """Their sum; of one that alone has values, that very one."""
    filled = [part for part in parts if part.count]
    if len(filled) == 1:
        return filled[0]
    added = Histogram()
    for part in filled:
        added.merge(part)
    return added


def _merged_pulse(parts: Sequence[Pulse]) -> Pulse | None:
    return parts[0].merge(parts[1:]) if parts else None


def _known_sum(parts: Iterable[int | None]) -> int | None:
    known = list(parts)
    return None if None in known else sum(part or 0 for part in known)


_SUMS: Mapping[str, Callable[..., object]] = {
    "statuses": _added_counts,
    "errors": _added_counts,
    **dict.fromkeys(LATENCIES, _added_histograms),
}
