"""Arrival generators: how sessions are spaced, and how many there are before shaping.

A generator says two things. Its *gaps* are a stream of inter-arrival gaps with unit mean: the
spacing, without a rate. Its *demand* is the base rate, tick by tick. Shapers change the demand and
never the gaps; the pacer brings both together (`flux.pacing`). All of it is arithmetic: a generator
never looks at a clock.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from flux.blame import raised_by
from flux.config.problems import Violation
from flux.config.rules import at_least, between
from flux.errors import WrongOutput
from flux.output_checks import checked_cuts, checked_gaps
from flux.phases import starts_of
from flux.schemas import DEMAND, Rows, Schema, read_only
from flux.stage import Context, Outbox, random_stream
from flux.units import Duration, Rate

Gaps = npt.NDArray[np.float64]
"""(n,) times from one session to the next, in units of the mean gap 1/rate."""

GAPS_PER_BLOCK = 4096
"""Gaps are drawn in blocks of this many, so that they are the same however they are asked for."""

MAX_GAPS_OF_0 = 1_000_000
"""That many in a row are a mistake: time would never pass."""

MAX_RATE_PER_S = 1e7
"""More is a slip of the pen: no executor comes near it, and the plan would fill the memory."""

TICKS_PER_BATCH = 512
"""Rows of DEMAND in one message, more or less."""


@attrs.frozen(kw_only=True)
class ArrivalGenerator:
    """Base of the generators of the open model: sessions arrive, whatever became of earlier ones.

    A subclass says how gaps are drawn, in `gaps`. Give either `rate` or `every`.
    """

    emits: ClassVar[Schema] = DEMAND
    phase_keys: ClassVar[tuple[str, ...]] = ("rate", "every")
    """Keys that a phase can change: those of the level. The gaps are one stream for all phases."""
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("rate", "every"),)
    """Keys that say one thing in several ways: a phase that has one of them replaces the other."""

    rate: Annotated[Rate, between(0, MAX_RATE_PER_S)] | None = None
    """Sessions per time before shaping, as in "20/s" or "1200/min"."""
    every: Duration | None = None
    """Mean gap between two sessions before shaping: the other way to say `rate`."""
    min: Duration | None = None
    """Shortest gap, at the base rate; shorter ones become this long, which lowers the rate."""
    max: Duration | None = None
    """Longest gap, at the base rate; longer ones become this long, which raises the rate."""
    duration: Duration | None = None
    """How long sessions arrive; the pipeline's `duration` when absent."""
    count: Annotated[int, at_least(1)] | None = None
    """How many sessions arrive at the most; no bound when absent."""

    def check(self) -> Iterator[Violation]:
        """Rules about fields taken together."""
        if (self.rate is None) == (self.every is None):
            yield Violation(
                "needs either rate or every", hint='rate = "20/s" says the same as every = "50ms"'
            )
        if self.every is not None and self.every < 1e9 / MAX_RATE_PER_S:
            yield Violation(
                f"must be at least {Duration(round(1e9 / MAX_RATE_PER_S))}", key="every"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            yield Violation("must not be longer than max", key="min")
        if self.max is not None and self.max == 0:
            yield Violation("must be longer than 0s, or everything is due at once", key="max")
        if self.rate is not None and not self.rate and not (self.min is None and self.max is None):
            yield Violation("must be greater than 0 where min or max bound the gaps", key="rate")

    @property
    def rate_per_s(self) -> float:
        """The base rate."""
        if self.every is not None:
            return 1e9 / self.every
        return float(self.rate or 0)

    @property
    def base_level(self) -> float:
        """The level before shaping; of a phase's own, the level in that phase."""
        return self.rate_per_s

    def gaps(self, random: np.random.Generator, count: int) -> Gaps:
        """Draw the next gaps: the time from each session to the next, without a rate.

        Args:
            random: the only source of randomness that a seed fixes.
            count: how many.

        Returns:
            (count,) float64, at least 0, with a mean of 1, which stands for 1/rate; infinite where
            no further session arrives.
        """
        raise NotImplementedError

    def gap_blocks(self, random: np.random.Generator) -> Iterator[Gaps]:
        """Endless blocks of gaps, clamped to `min` and `max` as fractions of the mean gap.

        A subclass whose gaps depend on those before writes this instead of `gaps`, as a generator;
        its state are locals.

        Raises:
            WrongOutput: `gaps` gave something else than it has to, or nothing but 0.
        """
        low, high = self.gap_bounds
        while True:
            yield np.clip(
                checked_gaps(self.gaps(random, GAPS_PER_BLOCK), GAPS_PER_BLOCK), low, high
            )

    @property
    def gap_bounds(self) -> tuple[float, float]:
        """`min` and `max` in units of the mean gap 1/rate, 0 and infinity where absent."""
        low = 0.0 if self.min is None else self.min * self.rate_per_s / 1e9
        high = math.inf if self.max is None else self.max * self.rate_per_s / 1e9
        return low, high

    def clamped_mean(self, low: float, high: float) -> float | None:
        """Mean of a gap after clamping to [low, high], all in units of 1/rate; None if not known.

        For any X ≥ 0 it is low + ∫ P(X > x) dx from low to high.
        """
        return None

    @property
    def mean_gap(self) -> float | None:
        """Seconds between two sessions on average at the base rate, clamping included."""
        mean = self.clamped_mean(*self.gap_bounds)
        return mean / self.rate_per_s if mean is not None and self.rate_per_s > 0 else None

    async def produce(self, context: Context, outbox: Outbox) -> None:
        """Send the base rate, tick by tick, until the duration is over."""
        for rows in demand(context, self.rate_per_s, self.duration):
            await outbox.send(rows)


def drawn_gaps(context: Context) -> Iterator[Gaps]:
    """The gaps of the source above, as they are drawn by the pacer.

    Raises:
        RaisedBy: what is wrong with them is the source's fault.
    """
    name = context.source_name
    with raised_by(name):
        blocks = context.source.gap_blocks(random_stream(context.run.seed, name, "gaps"))
    standing = 0  # gaps since time last passed
    while True:
        with raised_by(name):
            block = next(blocks, None)
            if block is None:
                raise WrongOutput("its gap_blocks ended", hint="they go on for ever: while True")
            gaps = checked_gaps(block)
            standing = 0 if gaps.any() else standing + max(1, len(gaps))
            if standing > MAX_GAPS_OF_0:
                raise WrongOutput(
                    "it draws nothing but gaps of 0", hint="their mean is 1, or time never passes"
                )
        yield gaps


def demand(context: Context, level: float, duration_ns: int | None) -> Iterator[Rows]:
    """Batches of rows at the base level, from 0 to the end of the run.

    Rows are one tick long, and cut besides where a phase begins and wherever a shaper below has a
    jump or a bend, so that within a row every shaper is smooth and their order does not matter.

    Args:
        context: of the source; its shapers say where to cut.
        level: arrivals per second, or users, where no phase has a level of its own.
        duration_ns: when to end; the run's own duration if None, without end if that is None too.
    """
    end_ns = duration_ns if duration_ns is not None else context.run.duration_ns
    tick_ns = context.run.tick_ns
    profiles = []
    for name, stage in context.shapers:
        with raised_by(name):
            told = attrs.evolve(context, stage=name, upstream=(context.source,))
            profiles.append((name, stage.whole_profile(told)))
    starts_ns = starts_of(context.phases)
    start_ns = 0
    while end_ns is None or start_ns < end_ns:
        stop_ns = start_ns + TICKS_PER_BATCH * tick_ns
        stop_ns = stop_ns if end_ns is None else min(stop_ns, end_ns)
        edges = np.append(np.arange(start_ns, stop_ns, tick_ns, dtype=np.int64), stop_ns)
        cuts = []
        for name, profile in profiles:
            with raised_by(name):
                cuts.append(checked_cuts(profile.cuts(start_ns, stop_ns)))
        edges = np.unique(np.concatenate([edges, starts_ns, *cuts]))
        edges = edges[(edges >= start_ns) & (edges <= stop_ns)]
        rows = DEMAND.empty(len(edges) - 1)
        rows["start_ns"], rows["end_ns"] = edges[:-1], edges[1:]
        rows["level"] = rows["end_level"] = _base_levels(context, level, rows["start_ns"])
        yield read_only(rows)
        start_ns = stop_ns


def _base_levels(
    context: Context, level: float, time_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The base level of the source's rows that begin at these times."""
    levels = np.full(len(time_ns), level)
    for phase in context.phases:
        if phase.start_ns <= time_ns[-1]:
            own = phase.stages.get(context.stage)
            levels[time_ns >= phase.start_ns] = level if own is None else own.base_level
    return levels


def end_of_source_ns(context: Context) -> int | None:
    """When the source above ends: its own duration, or the run's; None if only stopping ends it."""
    own: Any = getattr(context.source, "duration", None)
    return own if own is not None else context.run.duration_ns


def exponential_clamped_mean(low: float, high: float) -> float:
    """Mean of an exponential number of mean 1 clamped to [low, high]."""
    # e^(-a) - 1 in one step, so that a small bound is not lost in rounding.
    return low + 1.0 + math.expm1(-low) - math.exp(-high)
