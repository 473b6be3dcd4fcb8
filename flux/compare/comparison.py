"""Two results, step by step: each figure of both, their difference, and how sure it is. Pure.

Where the series of both runs has enough rows, an interval is widened by as much as batch means are
wider than draws for the same figure of all steps together (`flux.compare.batches`). Steps have no
series of their own, so what all requests have in common is taken to hold for each. The mean, and a
percentile whose rows have too few requests, take the largest of what is known of percentiles.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import attrs

from flux.compare.batches import Batches, half_width
from flux.compare.draws import stream
from flux.compare.figures import FEWEST, FIGURES, TIMES, Sample
from flux.compare.intervals import Interval, plain_interval, relative_interval
from flux.compare.recorded import COMPARED, Recorded
from flux.console import format_duration
from flux.formats.recording import TOTAL
from flux.summary import StepSummary

SEED = 20_000_101
"""Of all draws, unless another is given."""

Certainty = Literal[
    "higher", "lower", "no difference", "too few", "unknown", "no interval", "not told"
]

_COUNTED_FROM: Final = {
    "response": "from when a request was due",
    "service": "from when a request was sent",
}


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
    without: Literal["", "interval", "value"] = ""
    """What a file does not tell: how certain the figure is, or the figure itself."""

    @property
    def change(self) -> float | None:
        """The difference: a share of the baseline's figure, of shares their plain difference."""
        if self.interval is not None:
            return self.interval.difference
        if self.without != "interval" or not self.ours or self.theirs is None:
            return None
        return self.theirs / self.ours - 1

    @property
    def fewest(self) -> int:
        """How many values each run must have."""
        return FEWEST[self.figure]

    @property
    def certainty(self) -> Certainty:
        """What may be said of the other run, against the baseline."""
        if self.without == "value":
            return "not told"
        if min(self.our_count, self.their_count) < self.fewest:
            return "too few"
        if self.without == "interval":
            return "no interval"
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

    @property
    def latencies(self) -> tuple[str, ...]:
        """Which latencies both runs tell."""
        return _shared(self.ours, self.theirs)

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
    factors = _factors(ours, theirs, seed) if _shared(ours, theirs) else {}
    names = [step.name for step in ours.summary.steps if theirs.step(step.name) is not None]
    # One step alone is all steps together; and a file may quote figures of all together only.
    if len(names) != 1 or _differ(ours, theirs):
        names = [*(name for name in names if name != TOTAL), TOTAL]
    differences = [one for name in names for one in _differences(name, ours, theirs, factors, seed)]
    notes = tuple(dict.fromkeys(_notes(ours, theirs, factors)))
    return Comparison(ours, theirs, tuple(differences), factors, notes)


def _shared(ours: Recorded, theirs: Recorded) -> tuple[str, ...]:
    return tuple(one for one in COMPARED if one in ours.latencies and one in theirs.latencies)


def _differ(ours: Recorded, theirs: Recorded) -> bool:
    """Whether they have other steps."""
    our, their = ({step.name for step in one.summary.steps} for one in (ours, theirs))
    return our != their


def _differences(
    name: str, ours: Recorded, theirs: Recorded, factors: Mapping[str, float], seed: int
) -> Iterator[Difference]:
    compared = [(figure, latency) for latency in _shared(ours, theirs) for figure in TIMES]
    for figure, latency in (("rate", ""), ("errors", ""), *compared):
        samples = [_sample(one, name, latency) for one in (ours, theirs)]
        our_tells, their_tells = (one.tells(name, latency, figure) for one in (ours, theirs))
        are_told = our_tells and their_tells
        interval = _interval(samples[0], samples[1], figure, seed) if are_told else None
        factor = factors.get(figure, 1.0)
        yield Difference(
            step=name,
            latency=latency,
            figure=figure,
            ours=samples[0].value(figure) if our_tells else None,
            theirs=samples[1].value(figure) if their_tells else None,
            our_count=samples[0].count(figure),
            their_count=samples[1].count(figure),
            interval=interval.widened(factor) if interval else None,
            without=_without(samples, figure) if are_told else "value",
        )


def _without(samples: Sequence[Sample], figure: str) -> Literal["", "interval"]:
    return "interval" if any(sample.is_quoted(figure) for sample in samples) else ""


def _sample(one: Recorded, name: str, latency: str) -> Sample:
    step, quoted_ns = one.step(name), one.quoted(name, latency)
    seconds = one.summary.measured_s
    return Sample(step or StepSummary(name), seconds, latency or COMPARED[0], quoted_ns)


def _interval(ours: Sample, theirs: Sample, figure: str, seed: int) -> Interval | None:
    if _without((ours, theirs), figure):
        return None
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
    latency = _shared(ours, theirs)[0]
    found: dict[str, float] = {}
    for figure in FIGURES:
        half = half_width(figure, our, their) if figure != "mean" else None
        interval = _interval(
            _sample(ours, TOTAL, latency), _sample(theirs, TOTAL, latency), figure, seed
        )
        if half is not None and interval is not None and interval.half_width > 0:
            found[figure] = max(1.0, half / interval.half_width)
    known = [found[figure] for figure in TIMES if figure in found]
    if known:
        found |= {figure: max(known) for figure in TIMES if figure not in found}
    return found


def _notes(ours: Recorded, theirs: Recorded, factors: Mapping[str, float]) -> Iterator[str]:
    yield from _about(ours, theirs)
    for one in (ours, theirs):
        if one.caveats:
            yield f"{one.name}: {'; '.join(one.caveats)}"
        elif one.is_valid is None:
            yield f"run {one.name} has no verdict: whether its numbers can be trusted is not known"
        elif one.is_valid is False:
            yield f"run {one.name} is INVALID: its numbers must not be trusted"
    if ours.path is not None and ours.path == theirs.path:
        yield "both are the same run: there is nothing to differ"
    for only, other in ((ours, theirs), (theirs, ours)):
        missing = [
            step.name or "requests without a name"
            for step in only.summary.steps
            if step.name != TOTAL and other.step(step.name) is None
        ]
        if missing:
            yield f"only run {only.name} has {', '.join(missing)}"
    our_s, their_s = ours.summary.measured_s, theirs.summary.measured_s
    if 0 < min(our_s, their_s) < 0.9 * max(our_s, their_s):
        lengths = (format_duration(1e9 * seconds) for seconds in (our_s, their_s))
        yield f"the runs are not equally long: {' and '.join(lengths)}"
    are_own = ours.is_judged_by_flux and theirs.is_judged_by_flux
    if are_own and (ours.summary.pulse is None) != (theirs.summary.pulse is None):
        yield "one has users who wait for answers, the other has not: they do not ask the same"
    if not factors and _has_intervals(ours, theirs):
        yield (
            "the runs are too short for batch means: intervals are those of independent requests, "
            "and may be too narrow"
        )


def _about(ours: Recorded, theirs: Recorded) -> Iterator[str]:
    """Which times are compared, where one of the runs does not tell all."""
    shared = _shared(ours, theirs)
    if shared == COMPARED:
        return
    names = [" and ".join(one.latencies) or "no" for one in (ours, theirs)]
    if not shared:
        yield f"no times are compared: {ours.name} tells {names[0]} times, {theirs.name} {names[1]}"
        return
    (latency,) = shared
    yield f"only {latency} times are compared, {_COUNTED_FROM[latency]} to its end"


def _has_intervals(ours: Recorded, theirs: Recorded) -> bool:
    return not (ours.quoted_ns or theirs.quoted_ns) and bool(_shared(ours, theirs))


def differing_names(comparisons: Sequence[Comparison]) -> list[str]:
    """Steps of the comparisons, in order."""
    return list(dict.fromkeys(one.step for each in comparisons for one in each.differences))
