"""From a file of rows to a recording: by the very collector that a run has."""

import pathlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import attrs

from flux.collection import Collection
from flux.formats.detect import Found
from flux.formats.fields import OTHERS
from flux.formats.reading import MOST_STEPS, Reading
from flux.formats.recording import Recording
from flux.formats.row_files import open_rows
from flux.histogram import Histogram
from flux.rows import Basis
from flux.schemas import ERROR_TEXTS, Rows
from flux.summary import LATENCIES, StepSummary, Summary

INTERVAL_NS: Final = 10**9
"""How long a row of the series is."""

OPEN_INTERVALS: Final = 5
"""How long an interval waits for rows that come late; those that come even later count in the
oldest that is still open."""

_FEW_STEPS: Final = 8

Watch: TypeAlias = Callable[[], Callable[[Rows], None]]
"""Gives what is called with each batch of rows."""


def collect_rows(
    path: pathlib.Path,
    found: Found,
    *,
    basis: Basis | None = None,
    take: Callable[[Reading, Summary], None] = lambda *_: None,
    watch: Watch | None = None,
) -> Recording:
    """Count all rows of a file.

    The collector has to know how many steps there are before it counts the first row. So it is told
    of a few more than are known; if there turn out to be more, all is read again.

    Args:
        path: the file.
        found: what it is.
        basis: what its latencies are counted from, if it does not say so.
        take: is given the summary of each interval, in order. Where a file is read again, they come
            again, the first of them with `start_ns` 0.
        watch: is asked for something to show all rows to, again where the file is read again.

    Raises:
        FluxError: a row cannot be read.
    """
    room = _FEW_STEPS
    while True:
        reading, batches = open_rows(path, found, basis=basis)
        if watch is not None:
            batches = _shown(batches, watch())
        final = _collect(reading, batches, room, take)
        if final is not None:
            return _recording(found, reading, final)
        room = MOST_STEPS + 1


def _shown(batches: Iterator[Rows], show: Callable[[Rows], None]) -> Iterator[Rows]:
    for rows in batches:
        show(rows)
        yield rows


def _collect(
    reading: Reading,
    batches: Iterator[Rows],
    room: int,
    take: Callable[[Reading, Summary], None],
) -> Summary | None:
    """The final summary, with nameless steps; None if there is no room for all steps."""
    names = [str(number) for number in range(room)]
    collection = Collection(names, INTERVAL_NS)
    for rows in batches:
        if len(reading.steps.texts) > room:
            return None
        collection.add(rows)
        for summary in collection.close(collection.newest_ns - OPEN_INTERVALS * INTERVAL_NS):
            take(reading, summary)
    *rest, final = collection.finish(0, None)
    for summary in rest:
        take(reading, summary)
    return final


def _recording(found: Found, reading: Reading, final: Summary) -> Recording:
    warnings = list(reading.notes.warnings)
    if reading.steps.has_others:
        warnings.append(
            f"{reading.path} has more than {MOST_STEPS} names of requests: "
            f"those after the first {MOST_STEPS} are {OTHERS!r}"
        )
    facts = reading.facts()
    return Recording(
        path=reading.path,
        format=found.format,
        name=facts.name,
        started_at=None if reading.start_ns is None else facts.started_at,
        duration_ns=final.end_ns,
        steps=named_steps(reading, final),
        series=final.series,
        latencies=reading.latencies,
        is_own=reading.is_own,
        resolution_ns=reading.resolution_ns,
        requests={
            name: (facts.method(number), facts.url(number, 0))
            for number, name in enumerate(facts.steps)
            if number in reading.requests
        },
        sessions=final.sessions if reading.has_sessions else None,
        measured_sessions=final.sessions if reading.has_sessions else None,
        peak_users=final.peak_users if reading.has_sessions else None,
        warnings=tuple(warnings),
    )


def named_steps(reading: Reading, summary: Summary) -> tuple[StepSummary, ...]:
    """A summary's steps with their names, the file's words for errors, and known latencies only."""
    return tuple(
        _named(reading, number, name, step)
        for number, (name, step) in enumerate(zip(reading.steps.texts, summary.steps))
    )


def _named(reading: Reading, number: int, name: str, step: StepSummary) -> StepSummary:
    unknown: dict[str, Any] = {
        latency: Histogram() for latency in LATENCIES if latency not in reading.latencies
    }
    step = attrs.evolve(step, name=name, **unknown)
    errors = Counter(step.errors)
    for (of, code, text), count in reading.errors.items():
        if of == number:
            errors[ERROR_TEXTS[code]] -= count
            errors[text] += count
    return attrs.evolve(step, errors={text: count for text, count in errors.items() if count})
