"""Shapers: how the demand changes over time.

A shaper multiplies the level of DEMAND (or USERS) rows; it never touches their times. As a row
holds the level at both of its ends and is linear in between, products are taken at the ends, and
shapers commute. Where a shaper jumps or bends it says so in advance (`cuts`), and the source cuts
its rows there: a row never straddles a jump.

Most shapers are a smooth function of time and write one method, `factor_at`. One that jumps, or
that carries a state from tick to tick, brings a `Profile` of its own.
"""

import datetime
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, runtime_checkable

import attrs
import numpy as np
import numpy.typing as npt

from flux.arrivals import end_of_source_ns
from flux.config.problems import Violation
from flux.errors import FluxError, WrongOutput
from flux.output_checks import checked_factors
from flux.phases import Phase, starts_of
from flux.schemas import DEMAND, SAME, USERS, Rows, Schema, read_only
from flux.stage import Context, Inbox, Outbox

Times = npt.NDArray[np.int64]
"""(n,) nanoseconds since the run began."""
Factors = npt.NDArray[np.float64]
"""(n,) multipliers of the level."""

NO_CUTS: Times = np.empty(0, np.int64)
NO_CUTS.flags.writeable = False

_FOREVER_NS = 2**62


class Profile(Protocol):
    """A shaper at work in one run; it may remember what it was asked before, as time only grows."""

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """Times in [start_ns, end_ns] where the level jumps or bends: (n,) int64, nanoseconds.

        Rows are cut there before they are shaped, so that each lies on one side. It is asked for
        one stretch of time after another, ahead of `shape` and of another profile of the stage.
        """

    def shape(self, demand: Rows) -> Rows:
        """New rows, at the same times, with `level` and `end_level` changed.

        Args:
            demand: (n,) DEMAND or USERS, read-only; `middle` tells which side of a cut each is on.

        Returns:
            (n,) of the same, as `multiplied` and `with_levels` make them.
        """


@runtime_checkable
class Spiking(Protocol):
    """A profile that can tell its spikes to whoever asks while the run goes on."""

    def next_spike_ns(self, now_ns: int) -> int | None:
        """When the next one starts; None if none will."""

    def factor_at(self, now_ns: int) -> float:
        """What the level is multiplied by at that time."""


@attrs.frozen
class Shaper:
    """Base of the shapers: write `factor_at`, or `profile` if the shaper jumps or has a state."""

    accepts: ClassVar[tuple[Schema, ...]] = (DEMAND, USERS)
    emits: ClassVar[Schema] = SAME
    phase_keys: ClassVar[tuple[str, ...] | None] = None
    """Keys that a phase can change; None: all of them."""
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Keys that say one thing in several ways: a phase that has one of them replaces the other."""

    @property
    def rises_until_ns(self) -> int | None:
        """After when this shaper never makes the level rise; None if that is not known.

        It tells when the last user has joined.
        """
        return None

    @property
    def gives_rates(self) -> bool:
        """Whether it has rates of its own, in place of the level above."""
        return False

    def factor_at(self, time_ns: Times) -> Factors:
        """What the level is multiplied by at each of these times.

        It is asked for many times at once, and again for the same ones: let it be a function of
        its argument and the keys, continuous in time.

        Args:
            time_ns: (n,) int64, nanoseconds since the run began, ascending, read-only.

        Returns:
            (n,) float64, finite and at least 0: 1 leaves the level as it is.
        """
        raise NotImplementedError

    def profile(self, context: Context) -> Profile:
        """The shaper at work in one run; `factor_at` everywhere, unless a subclass says more."""
        return SmoothProfile(self)

    def whole_profile(self, context: Context) -> Profile:
        """The shaper at work in one run, with the phases' own where they have one."""
        if any(context.stage in phase.stages for phase in context.phases):
            phased = PhasedProfile(self, context)
            return PhasedSpikes(phased) if phased.is_spiking else phased
        return self.profile(context)

    def check_source(self, source: Any, end_ns: int | None) -> Iterator[Violation]:
        """Rules between this shaper and what it shapes.

        Args:
            source: the generator above.
            end_ns: when that ends, None if only stopping or a count ends it.
        """
        yield from ()

    def require_source(self, context: Context) -> None:
        """Raise FluxError if `check_source` finds something: for profiles made without a check."""
        for found in self.check_source(context.source, end_of_source_ns(context)):
            rule = f"{found.key} {found.rule}" if found.key else found.rule
            raise FluxError(f"stage {context.stage!r}: {rule}", hint=found.hint)

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Shape batch by batch."""
        profile = self.whole_profile(context)
        if isinstance(profile, Spiking):
            clock = context.run.clock

            def now_ns() -> int:
                return max(0, clock.now_ns())

            context.report_status("next_spike_ns", lambda: profile.next_spike_ns(now_ns()))
            context.report_status("spike_factor", lambda: profile.factor_at(now_ns()))
        async for demand in inbox:
            with np.errstate(all="ignore"):  # what comes of it is looked at
                shaped = profile.shape(demand)
            await outbox.send(shaped)


@attrs.frozen
class SmoothProfile:
    """The profile of a shaper that is a continuous function of time."""

    shaper: Shaper

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """None: ticks are fine enough."""
        return NO_CUTS

    def shape(self, demand: Rows) -> Rows:
        """New rows with both levels multiplied by the factor there."""
        return multiplied(
            demand, self._factors(demand["start_ns"]), self._factors(demand["end_ns"])
        )

    def _factors(self, time_ns: Times) -> Factors:
        try:
            factors = self.shaper.factor_at(time_ns)
        except (TypeError, ValueError) as error:
            raise WrongOutput(
                f"factor_at raised {type(error).__name__}: {error}",
                hint="time_ns is a read-only array, of many times at once: "
                "np.where and np.sin take it, if and math.sin do not",
            ) from error
        return checked_factors(factors, time_ns)


@attrs.frozen
class _Part:
    """A shaper at work in one phase."""

    start_ns: int
    end_ns: int
    origin_ns: int
    """Where its time begins: with the phase if that has its own, else with the run."""
    profile: Profile


class PhasedProfile:
    """A shaper that some phases have otherwise.

    A phase's own begins when the phase does: its time is counted from there, its randomness is its
    own, and for it the run is as long as the phase. In the other phases the stage's own goes on in
    the time of the run.
    """

    def __init__(self, shaper: Shaper, context: Context) -> None:
        """Make a profile for each phase that has its own, and one for the others together."""
        self._tick_ns = context.run.tick_ns
        self._starts_ns = starts_of(context.phases)
        self.parts: list[_Part] = []
        base: Profile | None = None
        for phase in context.phases:
            own: Shaper | None = phase.stages.get(context.stage)
            end_ns = _FOREVER_NS if phase is context.phases[-1] else phase.end_ns or _FOREVER_NS
            if own is not None:
                profile = own.profile(_within(phase, context))
                self.parts.append(_Part(phase.start_ns, end_ns, phase.start_ns, profile))
            else:
                base = shaper.profile(context) if base is None else base
                self.parts.append(_Part(phase.start_ns, end_ns, 0, base))

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """Those of each phase's profile, and its ticks if they are not the run's."""
        found = [NO_CUTS]
        for part in self.parts:
            first_ns, last_ns = max(start_ns, part.start_ns), min(end_ns, part.end_ns)
            if first_ns <= last_ns:
                origin_ns = part.origin_ns
                found.append(
                    part.profile.cuts(first_ns - origin_ns, last_ns - origin_ns) + origin_ns
                )
                if origin_ns % self._tick_ns:
                    first_tick_ns = first_ns + (origin_ns - first_ns) % self._tick_ns
                    found.append(np.arange(first_tick_ns, last_ns, self._tick_ns))
        return np.concatenate(found)

    @property
    def is_spiking(self) -> bool:
        """Whether any phase has spikes."""
        return any(isinstance(part.profile, Spiking) for part in self.parts)

    def shape(self, demand: Rows) -> Rows:
        """New rows, each shaped by the phase that it begins in."""
        number = np.searchsorted(self._starts_ns, demand["start_ns"], side="right") - 1
        shaped = [
            _shaped_by(self.parts[one], demand[number == one]) for one in np.unique(number).tolist()
        ]
        return read_only(np.concatenate(shaped)) if shaped else demand


@attrs.frozen
class PhasedSpikes:
    """A shaper that some phases have otherwise, with spikes in some of them."""

    _phased: PhasedProfile

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """Those of each phase's profile."""
        return self._phased.cuts(start_ns, end_ns)

    def shape(self, demand: Rows) -> Rows:
        """New rows, each shaped by the phase that it begins in."""
        return self._phased.shape(demand)

    def next_spike_ns(self, now_ns: int) -> int | None:
        """When the next one starts, in this phase or a later one."""
        for part in self._phased.parts:
            if now_ns < part.end_ns and isinstance(part.profile, Spiking):
                since_ns = max(now_ns, part.start_ns) - part.origin_ns
                next_ns = part.profile.next_spike_ns(since_ns)
                if next_ns is not None and next_ns + part.origin_ns < part.end_ns:
                    return next_ns + part.origin_ns
        return None

    def factor_at(self, now_ns: int) -> float:
        """By the phase of that time; 1 where it has no spikes."""
        for part in self._phased.parts:
            if part.start_ns <= now_ns < part.end_ns and isinstance(part.profile, Spiking):
                return part.profile.factor_at(now_ns - part.origin_ns)
        return 1.0


def _within(phase: Phase, context: Context) -> Context:
    """What a phase's own shaper is told: of a run that begins and ends with the phase."""
    run = context.run
    started_at = run.started_at + datetime.timedelta(microseconds=phase.start_ns / 1000)
    length_ns = run.duration_ns if phase.end_ns is None else phase.end_ns - phase.start_ns
    return attrs.evolve(
        context,
        run=attrs.evolve(run, duration_ns=length_ns, started_at=started_at),
        stage=f"{context.stage}.{phase.name}",
        upstream=(phase.source(context.source_name, context.source), *context.upstream[1:]),
    )


def _shaped_by(part: _Part, demand: Rows) -> Rows:
    """The rows shaped in the time of one part."""
    if not part.origin_ns:
        return part.profile.shape(demand)
    shaped = part.profile.shape(_moved(demand, -part.origin_ns))
    return _moved(shaped, part.origin_ns)


def _moved(demand: Rows, by_ns: int) -> Rows:
    moved = demand.copy()
    moved["start_ns"] += by_ns
    moved["end_ns"] += by_ns
    return read_only(moved)


def middle(demand: Rows) -> Times:
    """A time inside each row: where to look up which side of a jump the row lies on."""
    start_ns: Times = demand["start_ns"]
    return start_ns + (demand["end_ns"] - start_ns) // 2


def multiplied(demand: Rows, start_factor: Factors, end_factor: Factors) -> Rows:
    """New rows with the level at their start and end multiplied by these."""
    return with_levels(demand, demand["level"] * start_factor, demand["end_level"] * end_factor)


def with_levels(demand: Rows, level: Factors, end_level: Factors) -> Rows:
    """New rows with these levels in place of the old ones."""
    shaped = demand.copy()
    shaped["level"], shaped["end_level"] = level, end_level
    return read_only(shaped)
