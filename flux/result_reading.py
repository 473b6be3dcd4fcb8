"""Back from `result.json` to a `Summary` and a `Run`: the inverse of `flux.result_file`. Pure.

Of a run that came to its end, `result_document` makes the same document of them again, and
`format_summary` the same page, apart from what the file does not have:

- percentiles and deviations of targets, where there are several, and of phases: the reported
  percentiles, extremes, counts and sums are right, values between them are not known;
- how late the generator was, but for the percentiles that are written;
- sketches of the rows of the series, without which rows cannot be put together exactly;
- of a run that did not end, the histograms of steps, too.

Strategy. Where there is no histogram one is made of the percentiles that are written: each stands
for the values between its rank and that of the one before. So it answers what was asked of the
real one, and must not be asked anything else.
"""

import datetime
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import numpy as np

from flux.clock import PlannedClock
from flux.conservation import Ledger
from flux.control import Ending
from flux.errors import ExitCode, FluxError
from flux.generator import Generator
from flux.histogram import Histogram, decode
from flux.histogram.layout import COUNTS_LENGTH, index_of
from flux.result_file import ENCODED, REPORTED_PERCENTS, Document, percent_name
from flux.series import EMPTY_SKETCH, PERCENTS, QUANTILES, ROW, Series, Sketch
from flux.stage import Run, Shard
from flux.standstill import Pulse, Standstill
from flux.summary import (
    LATENCIES,
    Finding,
    Judgement,
    Mark,
    PhaseSummary,
    StepSummary,
    Summary,
    Verdict,
)


@attrs.frozen
class ReadPhase(PhaseSummary):
    """A phase whose total is as it was written: its steps do not add up to its percentiles."""

    written_total: StepSummary = attrs.field(kw_only=True)
    """All steps together."""

    @property
    def total(self) -> StepSummary:
        """All steps together."""
        return self.written_total

    def merge(self, others: Iterable[PhaseSummary]) -> PhaseSummary:
        """This and the others together."""
        others = list(others)
        total = self.written_total.merge(one.total for one in others)
        merged = super().merge(others)
        return attrs.evolve(merged, written_total=total)  # type: ignore[call-arg]  # is a ReadPhase


@attrs.frozen
class ReadSummary(Summary):
    """A run that did not end, whose total is as it was written."""

    written_total: StepSummary = attrs.field(kw_only=True)
    """All steps together."""

    @property
    def total(self) -> StepSummary:
        """All steps together."""
        return self.written_total


class ReadPulse(Pulse):
    """What is left of when requests began: the longest standstill."""

    def __init__(self, found: Standstill | None) -> None:
        super().__init__()
        self._found = found

    def standstill(self) -> Standstill | None:
        """The longest one, as it was written."""
        return self._found


def read_back(document: Document, folder: pathlib.Path | None = None) -> tuple[Summary, Run]:
    """What a document was made from, as far as it says.

    Args:
        document: as `flux.result_file.read_result` gives it.
        folder: of the run.

    Raises:
        FluxError: the document lacks a key, or has something else where it should be.
    """
    try:
        return _summary(document), _run(document, folder)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = (
            f"has no key {error}: another version of flux wrote it"
            if isinstance(error, KeyError)
            else f"is malformed: {error}"
        )
        raise FluxError(f"the result {reason}") from error


def has_histograms(document: Document) -> bool:
    """Whether a document is of a whole run: one that ended, or was repaired."""
    return bool(document["complete"] or document["repaired"])


def _summary(document: Document) -> Summary:
    is_whole = has_histograms(document)
    encoded: Sequence[Mapping[str, Any]] = document["histograms"]
    if is_whole:
        steps = tuple(
            _step(step, one) for step, one in zip(document["steps"], encoded, strict=True)
        )
    else:
        steps = tuple(map(_step, document["steps"]))
    sessions = document["sessions"]
    make = Summary if is_whole else partial(ReadSummary, written_total=_total(document))
    return make(
        start_ns=0,
        end_ns=document["run"]["duration_ns"],
        is_final=is_whole,
        steps=steps,
        targets=_targets(document["targets"], steps),
        sessions=_ledger(sessions),
        held_sessions=sessions["held"],
        skipped_steps=sessions["skipped_steps"],
        load_end_ns=document["run"]["load_end_ns"],
        series=_series(document["series"]),
        pulse=_pulse(document["closed_model"]),
        findings=tuple(
            Finding(one["text"], one["fatal"], one["remedy"])
            for one in document["validity"]["findings"]
        ),
        marks=tuple(Mark(**one) for one in document["marks"]),
        phases=tuple(map(_phase, document["phases"])),
        generators=tuple(map(_generator, document["validity"]["generators"])),
        verdicts=tuple(map(_verdict, document["thresholds"])),
    )


def _generator(table: Document) -> Generator:
    """A process of which only its share of a core and how late it was at the worst are known."""
    names = ("stall_p99_ns", "stall_p99.9_ns", "stall_max_ns")
    lateness = Histogram()
    if table["stall_max_ns"] is not None:
        values_ns = [table[name] for name in names]
        lateness = _ranked(1_000_000, (99, 99.9, 100), values_ns)
        lateness.min_ns, lateness.max_ns = values_ns[0], values_ns[-1]
    wall_s = 0.0 if table["cores"] is None else 1.0
    return Generator(
        name=table["name"],
        cpu_s=table["cores"],
        wall_s=wall_s,
        held_up_s=table["held_up_s"],
        lateness=lateness,
    )


def _verdict(table: Document) -> Verdict:
    judgements: Mapping[bool | None, Judgement] = {
        True: "passed",
        False: "failed",
        None: "not judged",
    }
    known = {key: value for key, value in table.items() if key != "passed"}
    return Verdict(judgement=judgements[table["passed"]], **known)


def _run(document: Document, folder: pathlib.Path | None) -> Run:
    table = document["run"]
    run = Run(
        name=table["name"],
        seed=table["seed"],
        duration_ns=None,
        tick_ns=0,
        drain_ns=0,
        started_at=datetime.datetime.fromisoformat(table["started_at"]),
        clock=PlannedClock(),
        shard=Shard(**table["shard"]),
        folder=folder,
    )
    ended_by = table["ended_by"]
    if ended_by is not None:
        run.control.stop(Ending(ended_by["text"], ExitCode(ended_by["exit_code"])))
    return run


def _total(document: Document) -> StepSummary:
    """All steps of the run together, by the keys at the top."""
    names = {"requests": "Total", "successes": "Success", "failures": "Failure"}
    counts = {name: document[key] for name, key in names.items()}
    return _step({**document, **counts, "name": "total"})


def _phase(table: Document) -> PhaseSummary:
    steps = tuple(map(_step, table["steps"]))
    # A phase itself has the counts that its page shows; the others are those of its steps.
    counts = {name: table[name] for name in ("requests", "successes", "failures")}
    total = attrs.evolve(
        StepSummary("total").merge(steps), **counts, **_histograms(table["latency"], {})
    )
    return ReadPhase(
        name=table["name"],
        start_ns=table["start_ns"],
        end_ns=table["end_ns"],
        is_warmup=table["warmup"],
        steps=steps,
        sessions=_ledger(table["sessions"]),
        written_total=total,
    )


def _targets(tables: Sequence[Document], steps: tuple[StepSummary, ...]) -> tuple[StepSummary, ...]:
    """The targets; one alone had everything that the steps had."""
    if len(tables) == 1 and steps:
        return (StepSummary(tables[0]["name"]).merge(steps),)
    return tuple(map(_step, tables))


def _step(table: Document, encoded: Mapping[str, Any] | None = None) -> StepSummary:
    names = ("name", "requests", "successes", "failures", "aborted", "retries", "connections")
    return StepSummary(
        **{name: table[name] for name in (*names, "bytes_out", "bytes_in")},
        statuses={int(status): count for status, count in table["statuses"].items()},
        errors=dict(table["errors"]),
        **_histograms(table["latency"], encoded or {}),
    )


def _histograms(latencies: Mapping[str, Document], encoded: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _exact(encoded[name], latencies[name])
        if name in ENCODED and name in encoded
        else _made_up(latencies[name])
        for name in LATENCIES
    }


def _exact(text: str, latency: Document) -> Histogram:
    """The histogram, with the exact moments that its encoding does not carry."""
    return _with_moments(decode(text), latency)


def _made_up(latency: Document) -> Histogram:
    """A histogram that has these percentiles, and nothing else right."""
    values_ns = [latency[percent_name(percent)] for percent in REPORTED_PERCENTS]
    histogram = _ranked(latency["count"], (*REPORTED_PERCENTS, 100), [*values_ns, latency["max"]])
    return _with_moments(histogram, latency)


def _ranked(count: int, percents: Sequence[float], values_ns: Sequence[int]) -> Histogram:
    """So many values, of which these are the ones at these percentiles, the last of them 100."""
    counts, last = np.zeros(COUNTS_LENGTH, np.int64), 0
    for percent, value_ns in zip(percents, values_ns) if count else ():
        # The rank that Histogram.percentiles looks for, with the same slack.
        rank = max(1, math.ceil(percent * count / 100 * (1 - 2.0**-51)))
        counts[index_of(value_ns)] += rank - last
        last = rank
    return Histogram.from_counts(counts)


def _with_moments(histogram: Histogram, latency: Document) -> Histogram:
    histogram.count = latency["count"]
    if histogram.count:
        histogram.min_ns, histogram.max_ns = latency["min"], latency["max"]
        histogram.sum_ns = latency["sum"]
    return histogram


def _ledger(table: Document) -> Ledger:
    return Ledger(**{field.name: table[field.name] for field in attrs.fields(Ledger)})


def _pulse(table: Document | None) -> Pulse | None:
    if table is None:
        return None
    found = table["standstill"]
    if found is None:
        return ReadPulse(None)
    return ReadPulse(Standstill(**{key: found[key] for key in found if key != "unsent"}))


def _series(tables: Sequence[Document]) -> Series:
    if not tables:
        return Series()
    rows = np.zeros(len(tables), ROW)
    for name in ROW.names or ():
        rows[name] = [table[name] or 0 for table in tables]
    # The last one may have been cut by the end of the run, and is alone only if it was short.
    width_ns = tables[0]["end_ns"] - tables[0]["start_ns"]
    return Series(width_ns, rows, tuple(map(_sketch, tables)))


def _sketch(table: Document) -> Sketch:
    """What little is known of a row's response times."""
    if table["max_ns"] is None:
        return EMPTY_SKETCH
    values_ns = [table[name] for name in QUANTILES]
    histogram = _ranked(max(1, table["requests"]), (*PERCENTS, 100), values_ns)
    histogram.min_ns, histogram.max_ns = min(values_ns), max(values_ns)
    return Sketch.of(histogram)
