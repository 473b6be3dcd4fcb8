"""Readings, medians and ratios: how single runs become figures that can be compared. All pure."""

import math
import statistics
from collections.abc import Iterator, Sequence

import attrs

from tests.bench.peers.children import ChildRun, cpu_share, rss_growth
from tests.bench.peers.scenarios import BoundClaim, Claim, Figure, Scenario
from tests.bench.peers.tools import Figures

MISCOUNT = 0.02
"""How far a tool's count of requests may be from nginx's: ends of runs are cut differently."""


BUSY = 0.9
"""The share of a core from which on a process counts as busy all the time."""


@attrs.frozen
class Reading:
    """One run of one contender."""

    contender: str
    round: int
    requests_per_s: float
    errors: int
    generator_cpu: float
    """CPU seconds per second in the steady part: 1.0 is one whole core."""
    target_cpu: float
    peak_rss_bytes: int
    rss_growth: float
    watched_peak: float
    counted: int
    """Requests that the tool counted."""
    served: int
    """Requests that nginx counted meanwhile."""
    more: dict[str, float] = attrs.field(factory=dict)

    def value(self, figure: Figure) -> float:
        """A figure by its name; NaN where the tool has none."""
        if figure in self.more:
            return self.more[figure]
        own: dict[str, float] = {
            "requests_per_s": self.requests_per_s,
            "cpu_share": self.generator_cpu,
            "rss_growth": self.rss_growth,
            "watched_peak": self.watched_peak,
            "errors": self.errors,
        }
        return own.get(figure, math.nan)

    @property
    def is_miscounted(self) -> bool:
        """Whether nginx saw clearly less, or clearly more, than the tool says."""
        return abs(self.counted - self.served) > MISCOUNT * max(self.served, 1) + 500

    @property
    def is_disturbed(self) -> bool:
        """Whether neither side was busy all the time; in a closed loop one of them must be."""
        return max(self.generator_cpu, self.target_cpu) < BUSY


@attrs.frozen
class Outcome:
    """What a scenario gave."""

    scenario: Scenario
    readings: tuple[Reading, ...]
    skipped: dict[str, str]
    """Contender → why it was not measured."""

    def values(self, contender: str, figure: Figure) -> dict[int, float]:
        """Round → figure of a contender, in the order of the rounds."""
        found = {
            reading.round: reading.value(figure)
            for reading in self.readings
            if reading.contender == contender
        }
        return {number: value for number, value in found.items() if not math.isnan(value)}


@attrs.frozen
class Spread:
    """Several rounds of one figure."""

    median: float
    low: float
    high: float
    rounds: int


@attrs.frozen
class Verdict:
    """What became of a claim."""

    claim: Claim
    seen: Spread | None
    """None: not measured."""

    @property
    def is_met(self) -> bool | None:
        """None: not measured."""
        if self.seen is None:
            return None
        at_most = getattr(self.claim, "at_most", None)
        at_least = self.claim.at_least
        return (at_least is None or self.seen.median >= at_least) and (
            at_most is None or self.seen.median <= at_most
        )


def spread_of(values: Sequence[float]) -> Spread | None:
    """Median, least and greatest; None for no values."""
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values), len(values))


def round_ratios(above: dict[int, float], below: dict[int, float]) -> list[float]:
    """The ratio inside each round that has both; rounds where the lower is 0 have none."""
    return [above[number] / below[number] for number in above if below.get(number)]


def judge(claim: Claim, outcome: Outcome) -> Verdict:
    """What the rounds say about a claim."""
    values = outcome.values(claim.contender, claim.figure)
    if isinstance(claim, BoundClaim):
        return Verdict(claim, spread_of(list(values.values())))
    reference = outcome.values(claim.reference, claim.figure)
    return Verdict(claim, spread_of(round_ratios(values, reference)))


def interleaved(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """(round, name): A B C, A B C, …"""
    for number in range(1, rounds + 1):
        for name in names:
            yield number, name


def reading_of(name: str, number: int, run: ChildRun, figures: Figures, served: int) -> Reading:
    """Bring together what the tool, the kernel and nginx say about one run."""
    return Reading(
        contender=name,
        round=number,
        requests_per_s=figures.requests_per_s,
        errors=figures.errors,
        generator_cpu=cpu_share(run.samples),
        target_cpu=cpu_share(run.samples, of_target=True),
        peak_rss_bytes=max((sample.rss_bytes for sample in run.samples), default=0),
        rss_growth=rss_growth(run.samples),
        watched_peak=max((sample.watched for sample in run.samples), default=math.nan),
        counted=figures.requests,
        served=served,
        more=dict(figures.more),
    )
