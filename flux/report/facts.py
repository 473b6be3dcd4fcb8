"""The few figures that everybody asks for first."""

import datetime
from collections.abc import Iterator

from flux.console import format_count, format_duration, format_share
from flux.report.fields import Fields, count, main_latency, number, table, tables, text
from flux.report.sections import format_time, measured_s
from flux.thresholds.judge import samples_needed


def facts(document: Fields) -> list[tuple[str, str]]:
    """Names and values, in the order in which they are asked for."""
    return [(name, value) for name, value in _facts(document) if value]


def _facts(document: Fields) -> Iterator[tuple[str, str]]:
    run, total = table(document, "run"), count(document, "Total")
    main = main_latency(document)
    latency, lag = table(document, "latency", main), table(document, "latency", "lag")
    failures = number(document, "Failure")
    yield "requests", f"{total:,}"
    if failures is not None:
        yield "failed", f"{failures:,} ({format_share(failures, total)})" if total else "-"
    yield "rate", f"{format_count(total / measured_s(document))}/s" if measured_s(document) else "-"
    sessions = table(document, "sessions")
    planned = count(sessions, "planned") - count(sessions, "cancelled")  # those were not due yet
    if planned > 0:
        started = count(sessions, "started") - count(sessions, "repeated")
        share = format_share(started, planned) if started < planned else "all"
        yield "sessions begun", f"{started:,} of {planned:,}: {share}"
    judged = [one.get("passed") for one in tables(document, "thresholds")]
    if judged and None not in judged:
        yield "thresholds", f"{judged.count(True)} of {len(judged)} passed"
    yield f"{main} p50", _percentile(latency, 50)
    yield f"{main} p99", _percentile(latency, 99)
    yield f"{main} max", format_time(number(latency, "max"))
    if count(lag, "count") or not text(document, "recorded_by"):
        yield "lag p99", _percentile(lag, 99)
    if duration_ns := count(run, "duration_ns"):
        yield "duration", format_duration(duration_ns)
    yield "began", _moment(text(run, "started_at"))
    seed = number(run, "seed")
    yield "seed", "" if seed is None else f"{seed}"
    shard = table(run, "shard")
    if count(shard, "count") > 1:
        yield "shard", f"{count(shard, 'index')}/{count(shard, 'count')}"
    yield "users", text(table(document, "closed_model"), "text")
    if warmups := [one for one in tables(document, "phases") if one.get("warmup") is True]:
        left_out = sum(count(phase, "requests") for phase in warmups)
        yield "warm-up", f"{left_out:,} requests, not counted"


def _moment(written: str) -> str:
    """A moment of the calendar, to the second, with its offset from UTC."""
    try:
        return datetime.datetime.fromisoformat(written).strftime("%Y-%m-%d %H:%M:%S %Z")
    except ValueError:
        return written


def _percentile(latency: Fields, percent: int) -> str:
    enough = count(latency, "count") >= samples_needed(percent)
    return format_time(number(latency, f"p{percent}")) if enough else "-"
