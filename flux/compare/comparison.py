"""Two results, step by step: each figure of both, their difference, and how sure it is. Pure.

Where the series of both runs has enough rows, an interval is widened by as much as batch means are
wider than draws for the same figure of all steps together (`flux.compare.batches`). Steps have no
series of their own, so what all requests have in common is taken to hold for each. The mean, and a
percentile whose rows have too few requests, take the largest of what is known of percentiles.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import attrs

from flux.compare.batches import Batches, half_width
from flux.compare.draws import stream
from flux.compare.figures import FEWEST, FIGURES, TIMES, Sample
from flux.compare.intervals import Interval, plain_interval, relative_interval
from flux.stage import Run
from flux.summary import StepSummary, Summary

SEED = 20_000_101
"""Of all draws, unless another is given."""

TOTAL = "total"
"""What all steps together are called."""

Certainty = Literal["higher", "lower", "no difference", "too few", "unknown"]


@attrs.frozen
class Recorded:
    """A run that is compared."""

    name: str
    """What to call it: its number, or its path."""
    summary: Summary
    run: Run
    is_valid: bool | None
    """None: not known, as of one that was repaired."""

    def step(self, name: str) -> StepSummary | None:
        """A step of it, or all together."""
        if name == TOTAL:
            return self.summary.total
        return next((step for step in self.summary.steps if step.name == name), None)


@attrs.frozen
class Difference:
    """One figure of one step, in the baseline and in another run."""

    step: str
    latency: str
    """Of a time, which: response or service; else empty."""
    figure: str
    """One of FIGURES."""
    ours: float | None
    """In the baseline: nanoseconds, per second, or a share; None without any values."""
    theirs: float | None
    """In the other run."""
    our_count: int
    """How many values it stands on in the baseline."""
    their_count: int
    """How many in the other run."""
    interval: Interval | None
    """None: too few values, or nothing to compare with."""

    @property
    def fewest(self) -> int:
        """How many values each run must have."""
        return FEWEST[self.figure]

    @property
    def certainty(self) -> Certainty:
        """What may be said of the other run, against the baseline."""
        if min(self.our_count, self.their_count) < self.fewest:
            return "too few"
        if self.interval is None:
            return "unknown"
        if not self.interval.excludes_zero:
            return "no difference"
        return "higher" if self.interval.low > 0 else "lower"


@attrs.frozen
class Comparison:
    """Another run against the baseline."""

    ours: Recorded
    theirs: Recorded
    differences: tuple[Difference, ...]
    factors: Mapping[str, float]
    """By figure, by how much intervals are wider because requests are not independent; none where
    there are too few rows to tell."""
    notes: tuple[str, ...]
    """What a reader has to know before trusting them."""

    def find(self, step: str, latency: str, figure: str) -> Difference | None:
        """The difference of that name."""
        latency = latency if figure in TIMES else ""
        for one in self.differences:
            if (one.step, one.latency, one.figure) == (step, latency, figure):
                return one
        return None


def compare(ours: Recorded, theirs: Recorded, seed: int = SEED) -> Comparison:
    """Compare a run with the baseline.

    Args:
        ours: the baseline.
        theirs: the other run.
        seed: of all draws.
    """
    factors = _factors(ours, theirs, seed)
    shared = [step.name for step in ours.summary.steps if theirs.step(step.name) is not None]
    names = [*shared, TOTAL] if len(shared) != 1 or _differ(ours, theirs) else shared
    differences = [one for name in names for one in _differences(name, ours, theirs, factors, seed)]
    notes = tuple(_notes(ours, theirs, factors))
    return Comparison(ours, theirs, tuple(differences), factors, notes)


def _differ(ours: Recorded, theirs: Recorded) -> bool:
    """Whether they have other steps."""
    our, their = ({step.name for step in one.summary.steps} for one in (ours, theirs))
    return our != their


def _differences(
    name: str, ours: Recorded, theirs: Recorded, factors: Mapping[str, float], seed: int
) -> Iterator[Difference]:
    for latency in ("response", "service"):
        samples = [_sample(one, name, latency) for one in (ours, theirs)]
        for figure in FIGURES if latency == "response" else TIMES:
            interval = _interval(samples[0], samples[1], figure, seed)
            factor = factors.get(figure, 1.0)
            yield Difference(
                step=name,
                latency=latency if figure in TIMES else "",
                figure=figure,
                ours=samples[0].value(figure),
                theirs=samples[1].value(figure),
                our_count=samples[0].count(figure),
                their_count=samples[1].count(figure),
                interval=interval.widened(factor) if interval else None,
            )


def _sample(one: Recorded, name: str, latency: str) -> Sample:
    step = one.step(name)
    return Sample(step or StepSummary(name), one.summary.measured_s, latency)


def _interval(ours: Sample, theirs: Sample, figure: str, seed: int) -> Interval | None:
    our, their = ours.value(figure), theirs.value(figure)
    if our is None or their is None:
        return None
    if min(ours.count(figure), theirs.count(figure)) < FEWEST[figure]:
        return None
    names = (ours.step.name, ours.latency, figure)
    our_draws = ours.draws(figure, stream(seed, *names, "ours"))
    their_draws = theirs.draws(figure, stream(seed, *names, "theirs"))
    make = plain_interval if figure == "errors" else relative_interval
    return make(our, their, our_draws, their_draws)


def _factors(ours: Recorded, theirs: Recorded, seed: int) -> dict[str, float]:
    """By figure, how many times as wide batch means make the interval of all steps together."""
    our, their = Batches.of(ours.summary), Batches.of(theirs.summary)
    found: dict[str, float] = {}
    for figure in FIGURES:
        half = half_width(figure, our, their) if figure != "mean" else None
        interval = _interval(
            _sample(ours, TOTAL, "response"), _sample(theirs, TOTAL, "response"), figure, seed
        )
        if half is not None and interval is not None and interval.half_width > 0:
            found[figure] = max(1.0, half / interval.half_width)
    known = [found[figure] for figure in TIMES if figure in found]
    if known:
        found |= {figure: max(known) for figure in TIMES if figure not in found}
    return found


def _notes(ours: Recorded, theirs: Recorded, factors: Mapping[str, float]) -> Iterator[str]:
    for one in (ours, theirs):
        if one.is_valid is None:
            yield f"run {one.name} has no verdict: whether its numbers can be trusted is not known"
        elif not one.is_valid:
            yield f"run {one.name} is INVALID: its numbers must not be trusted"
    for only, other in ((ours, theirs), (theirs, ours)):
        missing = [step.name for step in only.summary.steps if other.step(step.name) is None]
        if missing:
            yield f"only run {only.name} has {', '.join(missing)}"
    our_s, their_s = ours.summary.measured_s, theirs.summary.measured_s
    if min(our_s, their_s) < 0.9 * max(our_s, their_s):
        yield f"the runs are not equally long: {our_s:.1f} s and {their_s:.1f} s"
    if (ours.summary.pulse is None) != (theirs.summary.pulse is None):
        yield "one has users who wait for answers, the other has not: they do not ask the same"
    if not factors:
        yield (
            "the runs are too short for batch means: intervals are those of independent requests, "
            "and may be too narrow"
        )


def differing_names(comparisons: Sequence[Comparison]) -> list[str]:
    """Steps of the comparisons, in order."""
    return list(dict.fromkeys(one.step for each in comparisons for one in each.differences))
