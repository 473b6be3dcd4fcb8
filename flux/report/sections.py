"""The tables of a report, whatever it is written as: rows of text made from result.json."""

from collections.abc import Iterator, Sequence

import attrs

from flux.console import format_count, format_duration, format_ns, format_size
from flux.phases import titled
from flux.report.fields import Fields, count, main_latency, number, table, tables, text
from flux.report.verdict import observed_text, threshold_title
from flux.thresholds.judge import samples_needed

_PERCENTS = (("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9))
_JUDGED = {True: "✓ passed", False: "✗ FAILED"}


@attrs.frozen
class Section:
    """A table with a heading."""

    title: str
    columns: Sequence[str]
    """Heads of the columns; the first column names the row."""
    rows: Sequence[Sequence[str]]
    note: str = ""
    """What to know about it; maybe nothing."""
    words: int = 1
    """How many columns, from the left, are words; the others are numbers."""


def sections(document: Fields) -> list[Section]:
    """Every table that has rows."""
    return [section for section in _sections(document) if section.rows]


def _sections(document: Fields) -> Iterator[Section]:
    yield _thresholds(document)
    yield _parts("Steps", [*tables(document, "steps"), *_total(document)], document)
    targets = tables(document, "targets")
    yield _parts("Targets", targets if len(targets) > 1 else [], document)
    yield _phases(document)
    yield _latencies(document)
    yield _frequencies("Errors", "reason", table(document, "errors"))
    yield _frequencies("Statuses", "status", table(document, "statuses"))
    yield _sessions(document)
    yield _marks(document)
    yield _generators(document)


def _thresholds(document: Fields) -> Section:
    rows = [
        (
            threshold_title(one),
            _JUDGED.get(one.get("passed"), "not judged"),  # type: ignore[arg-type]  # maybe None
            observed_text(one),
            _time(number(one, "first_failed_ns")),
            f"{count(one, 'samples'):,}",
            text(one, "reason"),
        )
        for one in tables(document, "thresholds")
    ]
    heads = ("threshold", "judgement", "observed", "first failed at", "samples", "why")
    # Columns without anything in them are a riddle to the reader.
    told = [any(row[place] not in ("-", "") for row in rows) for place in range(len(heads))]
    kept = [place for place, has_any in enumerate(told) if has_any]
    chosen = [tuple(row[place] for place in kept) for row in rows]
    return Section("Thresholds", tuple(heads[place] for place in kept), chosen, words=2)


def _total(document: Fields) -> list[Fields]:
    if len(tables(document, "steps")) < 2:
        return []
    named = {"requests": "Total", "successes": "Success", "failures": "Failure"}
    return [{**document, "name": "total", **{key: document.get(k) for key, k in named.items()}}]


def _parts(title: str, parts: Sequence[Fields], document: Fields) -> Section:
    duration_s = measured_s(document)
    # Beside the response time the tail of the service time is left out, alone it is not.
    shown = len(_PERCENTS) + 1 if main_latency(document) == "service" else len(_PERCENTS) - 1
    rows = [
        (
            text(part, "name") or "-",
            f"{count(part, 'requests'):,}",
            _whole(number(part, "failures")),
            format_count(count(part, "requests") / duration_s) if duration_s else "-",
            *_percentiles(table(part, "latency", "response")),
            *_percentiles(table(part, "latency", "service"))[:shown],
            _size(number(part, "bytes_in")),
        )
        for part in parts
    ]
    names = [*(name for name, _ in _PERCENTS), "max"]
    response = [f"response {name}" for name in names]
    service = [f"service {name}" for name in names[:shown]]
    heads = ("name", "requests", "failed", "per s", *response, *service, "received")
    note = "Warm-up is in none of these numbers." if _has_warmup(document) else ""
    if text(document, "recorded_by"):
        heads, rows = _told(heads, rows)
    return Section(title, heads, rows, note)


def _told(
    heads: tuple[str, ...], rows: list[tuple[str, ...]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns of which another tool's file tells anything."""
    kept = [
        index for index in range(len(heads)) if not index or any(row[index] != "-" for row in rows)
    ]
    return tuple(heads[index] for index in kept), [tuple(row[i] for i in kept) for row in rows]


def _phases(document: Fields) -> Section:
    rows = [
        (
            titled(text(phase, "name"), phase.get("warmup") is True),
            f"{_time(number(phase, 'start_ns'))} – {_time(number(phase, 'end_ns'))}",
            f"{count(phase, 'requests'):,}",
            f"{count(phase, 'failures'):,}",
            format_count(number(phase, "rate_per_s") or 0.0),
            *_percentiles(table(phase, "latency", "response")),
        )
        for phase in tables(document, "phases")
    ]
    response = [f"response {name}" for name in (*(name for name, _ in _PERCENTS), "max")]
    return Section("Phases", ("name", "time", "requests", "failed", "per s", *response), rows)


_MEANINGS = {
    "response": "end − due: what a user would have felt",
    "service": "end − start: what the server took",
    "first_byte": "until the response began",
    "lag": "start − due: the generator's own delay",
    "connect": "to connect",
    "tls": "TLS handshake",
}


def _latencies(document: Fields) -> Section:
    latencies = table(document, "latency")
    rows = []
    for name, meaning in _MEANINGS.items():
        latency = table(latencies, name)
        if count(latency, "count"):
            mean = format_time(number(latency, "mean"))
            cells = (f"{count(latency, 'count'):,}", mean, *_percentiles(latency))
            rows.append((name.replace("_", " "), meaning, *cells))
    heads = ("latency", "meaning", "count", "mean", *(name for name, _ in _PERCENTS), "max")
    return Section("Latencies", heads, rows, words=2)


def _frequencies(title: str, head: str, counts: Fields) -> Section:
    found = sorted((-count(counts, name), name) for name in counts)
    words = {"0": "no response"} if title == "Statuses" else {}
    rows = [(words.get(name, name), f"{-times:,}") for times, name in found if times]
    return Section(title, (head, "requests"), rows)


_ALWAYS = ("planned", "started", "succeeded", "failed")


def _sessions(document: Fields) -> Section:
    sessions = table(document, "sessions")
    rows = [
        (name.replace("_", " "), f"{int(value):,}")
        for name in sessions
        if (value := number(sessions, name)) is not None and (value or name in _ALWAYS)
    ]
    law = (
        "What is not listed is 0. planned = started − repeated + dropped + withheld + cancelled "
        "+ lost, and started = succeeded + failed + aborted."
    )
    return Section("Sessions", ("what became of them", "sessions"), rows, law)


def _marks(document: Fields) -> Section:
    rows = [
        (_time(number(mark, "time_ns")), text(mark, "kind"), text(mark, "text"))
        for mark in tables(document, "marks")
    ]
    return Section("Marks", ("time", "kind", "what happened"), rows, words=3)


def _generators(document: Fields) -> Section:
    rows = []
    for one in tables(table(document, "validity"), "generators"):
        cores, held = number(one, "cores"), table(one, "held_up_s")
        waits = ", ".join(f"{name} {number(held, name) or 0:.3g} s" for name in held)
        stalls = (number(one, f"stall_{name}_ns") for name in ("p99", "p99.9", "max"))
        times = (format_time(stall_ns) for stall_ns in stalls)
        used = "-" if cores is None else f"{cores:.2f}"
        rows.append((text(one, "name") or "main process", used, *times, waits or "-"))
    heads = ("process", "cores", "stall p99", "stall p99.9", "stall max", "held up by")
    return Section("Load generator", heads, rows)


def measured_s(document: Fields) -> float:
    """How long requests were measured: without warm-up."""
    rate_per_s, duration_ns = (
        number(document, "rate_per_s"),
        count(table(document, "run"), "duration_ns"),
    )
    if rate_per_s and count(document, "Total"):
        return count(document, "Total") / rate_per_s
    return duration_ns / 1e9


def _has_warmup(document: Fields) -> bool:
    return any(phase.get("warmup") is True for phase in tables(document, "phases"))


def _percentiles(latency: Fields) -> list[str]:
    """A dash where no value is above the percentile: fewer than it takes to know it."""
    times = [
        format_time(number(latency, name))
        if count(latency, "count") >= samples_needed(percent)
        else "-"
        for name, percent in _PERCENTS
    ]
    return [*times, format_time(number(latency, "max"))]


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{int(value):,}"


def format_time(time_ns: float | None) -> str:
    """A latency with its unit; a dash if there is none."""
    return "-" if time_ns is None else format_ns(time_ns)


def _time(time_ns: float | None) -> str:
    """A moment of the run."""
    return "-" if time_ns is None else format_duration(time_ns)


def _size(size_bytes: float | None) -> str:
    return "-" if size_bytes is None else format_size(size_bytes)
