"""A report's document from what another tool has recorded. Pure.

It is what result.json would say, with null, or nothing, for what the file does not tell: tables and
charts leave that out. In place of a verdict it has who recorded the run, and what is not known.
"""

from typing import Any

from flux.formats.origin import provenance, run_of, summary_of, unknowns
from flux.formats.recording import TOTAL, Recording
from flux.result_file import Document, result_document
from flux.series import QUANTILES

_BYTES = ("bytes_out", "bytes_in")
_SESSIONS = frozenset({"due", "started", "dropped", "withheld", "cancelled", "users", "peak_users"})
"""What a row says of sessions. A file without them has each request as one, to be counted by."""


def document_of(recording: Recording) -> Document:
    """What a report can show of a recording."""
    document = result_document(summary_of(recording), run_of(recording))
    document["recorded_by"] = provenance(recording)
    document["unknown"] = [*unknowns(recording), *recording.warnings]
    document["validity"]["valid"] = None
    document["run"]["seed"] = None
    if recording.started_at is None:
        document["run"]["started_at"] = None
    if recording.sessions is None:
        document["sessions"] = {}
    for part in (document, *document["steps"]):
        name = TOTAL if part is document else part["name"]
        part.update(_unknown_counts(recording, part))
        if recording.quoted_ns:
            part["latency"] = _quoted(recording, name, int(part.get("Total", part.get("requests"))))
    document["series"] = [
        _known_only(row, recording, index) for index, row in enumerate(document["series"])
    ]
    return document


def _unknown_counts(recording: Recording, part: Document) -> Document:
    unknown: Document = {}
    if not recording.has_failures:
        unknown["Failure" if "Total" in part else "failures"] = None
    for name in _BYTES:
        if name not in recording.columns and not part[name]:
            unknown[name] = None
    return unknown


def _quoted(recording: Recording, step: str, requests: int) -> Document:
    figures = recording.quoted_ns.get(step, {})
    return {latency: {"count": requests, **known} for latency, known in figures.items()}


def _known_only(row: Document, recording: Recording, index: int) -> Document:
    """A row of the series, null where the file does not tell."""
    known: dict[str, Any] = {"start_ns": row["start_ns"], "end_ns": row["end_ns"]}
    for name in row:
        if name in recording.columns and (
            recording.peak_users is not None or name not in _SESSIONS
        ):
            value = int(recording.series.rows[name][index])
            known[name] = value if value or name not in QUANTILES else None
    return known
