"""A result from the rows of a run that was killed before it could write one.

Rows go through the very `Collection` that the run had, in pieces of a few intervals, so memory is
bounded however long the file is. What no row tells is null: what was planned, what ended the run,
and whether its numbers can be trusted. What was under way when it was killed has no rows.
"""

import datetime
import pathlib
import re
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from flux.clock import PlannedClock
from flux.collection import Collection
from flux.config.problems import Violation
from flux.conservation import Ledger
from flux.errors import FluxError, UsageError
from flux.formats.detect import Found
from flux.formats.fields import TextCodes
from flux.formats.reading import Reading
from flux.formats.row_files import read_rows
from flux.formats.run_files import find_rows
from flux.graph import Pipeline, ShardText
from flux.live.protocol import SOCKET_FILE
from flux.parts import Parts
from flux.pipeline import load
from flux.result_file import Document, result_document, write_result
from flux.run_folder import SESSION_FILE
from flux.runs.folders import RunFolder, State
from flux.schemas import ROSTER, Rows
from flux.stage import Run, Shard
from flux.stages.collect import Collect
from flux.storage import storing
from flux.summary import Finding, Summary
from flux.validity import find

INTERVALS_AT_ONCE = 8
"""Rows that ended in so many intervals are counted before the oldest are closed."""

_VARIABLE = re.compile(r"\$\{(\w+)")


def repair(folder: RunFolder) -> Document:
    """Make the result of a run that was killed, and write it into its folder.

    What else the run left behind as it died is taken away, even if there is nothing to be made.

    Raises:
        UsageError: the run goes on, or has its whole result.
        FluxError: there are no rows, or they cannot be read.
    """
    if folder.state is State.RUNNING:
        raise UsageError(f"{folder.title} goes on, and must not be repaired")
    _clear(folder)
    if folder.result is not None and folder.result["complete"]:
        raise UsageError(f"{folder.title} has its whole result, and needs no repair")
    rows = find_rows(folder.path)
    if rows is None:
        hint = "a pipeline with a csv or ndjson stage keeps its rows"
        raise FluxError(f"{folder.title} has no file of rows", hint=hint)
    pipeline = _pipeline(folder)
    reading, summary = _collected(*rows, pipeline)
    document = _document(folder, reading, summary, pipeline)
    write_result(folder.result_file, document)
    return document


def _clear(folder: RunFolder) -> None:
    """Take away what was only for the run's lifetime: its socket, and files not written wholly."""
    for left in (folder.path / SOCKET_FILE, *folder.path.glob(".*.part")):
        with storing(left, "remove"):
            left.unlink(missing_ok=True)


def _pipeline(folder: RunFolder) -> Pipeline | None:
    """The pipeline as it ran; None if that cannot be told any more."""
    # Secrets were left out of it, and what they were does not matter here.
    environment = dict.fromkeys(_VARIABLE.findall(folder.session_text), "secret")
    try:
        return load(folder.path / SESSION_FILE, environment=environment)
    except FluxError:
        return None


def _collected(
    path: pathlib.Path, found: Found, pipeline: Pipeline | None
) -> tuple[Reading, Summary]:
    """Count all rows; begin again whenever a name turns up that was not known."""
    parts = Parts.of(pipeline) if pipeline else None
    steps = list(parts.steps) if parts else []
    targets = list(parts.targets) if parts else []
    while True:
        reading = Reading(path, steps=TextCodes(steps), targets=TextCodes(targets))
        collection, interval_ns = _new_collection(steps, targets, pipeline)
        for rows in read_rows(reading, found):
            if (reading.steps.texts, reading.targets.texts) != (steps, targets):
                steps, targets = list(reading.steps.texts), list(reading.targets.texts)
                break
            _add(collection, rows, interval_ns)
        else:
            *_, final = collection.finish(0, None)
            return reading, final


def _new_collection(
    steps: Sequence[str], targets: Sequence[str], pipeline: Pipeline | None
) -> tuple[Collection, int]:
    interval_ns = int(_collector(pipeline).interval)
    collection = Collection(
        steps,
        interval_ns,
        targets=targets,
        phases=pipeline.phases if pipeline else (),
        has_users=pipeline is not None and any(one.accepts is ROSTER for one in pipeline.executors),
    )
    return collection, interval_ns


def _collector(pipeline: Pipeline | None) -> Collect:
    found = [node.stage for node in pipeline.nodes] if pipeline else []
    return next((one for one in found if isinstance(one, Collect)), Collect())


def _add(collection: Collection, rows: Rows, interval_ns: int) -> None:
    for part in _pieces(rows, INTERVALS_AT_ONCE * interval_ns):
        collection.add(part)
        # Rows are in the order in which requests ended, but for a fraction of a second.
        for _ in collection.close(collection.newest_ns - INTERVALS_AT_ONCE * interval_ns):
            pass


def _pieces(rows: Rows, length_ns: int) -> Iterator[Rows]:
    """The rows in pieces, each of which goes on in time by no more than that."""
    reached = np.maximum.accumulate(rows["end_ns"]) // length_ns
    yield from np.split(rows, np.flatnonzero(np.diff(reached)) + 1)


def _document(
    folder: RunFolder, reading: Reading, summary: Summary, pipeline: Pipeline | None
) -> Document:
    findings = _findings(summary, reading, pipeline)
    document = result_document(
        attrs.evolve(summary, findings=findings), _run(folder, reading, pipeline)
    )
    is_invalid = any(finding.is_fatal for finding in findings)
    document["validity"]["valid"] = False if is_invalid else None
    repaired = {
        "source": reading.path.name,
        "rows": reading.rows,
        "cut_bytes": reading.notes.cut_bytes,
    }
    return {**document, "complete": False, "repaired": repaired}


def _findings(summary: Summary, reading: Reading, pipeline: Pipeline | None) -> tuple[Finding, ...]:
    limits = pipeline.settings.validity if pipeline else None
    # Sessions that were under way have no last row: that the laws do not hold is no news.
    found = find(attrs.evolve(summary, sessions=Ledger()), limits)
    told = Finding(
        f"the run was killed, and this was made from {reading.rows} rows of {reading.path.name}: "
        "what was under way is not in it, and what was planned is not known",
        is_fatal=False,
    )
    return (*found, told)


def _run(folder: RunFolder, reading: Reading, pipeline: Pipeline | None) -> Run:
    session = folder.session
    started_at = reading.facts().started_at
    if reading.start_ns is None:
        text = folder.started_at or "1970-01-01T00:00:00+00:00"
        started_at = datetime.datetime.fromisoformat(text)
    try:
        shard = ShardText.from_toml(session.get("shard")).shard
    except Violation:
        shard = Shard()
    return Run(
        name=str(session.get("name", pipeline.name if pipeline else folder.path.name)),
        seed=int(session.get("seed", 0)),
        duration_ns=None,
        tick_ns=0,
        drain_ns=0,
        started_at=started_at,
        clock=PlannedClock(),
        shard=shard,
    )
