"""The few figures that everybody asks for first."""

from collections.abc import Iterator

from flux.console import format_count
from flux.report.fields import Fields, count, main_latency, number, table, tables, text
from flux.report.sections import format_time, measured_s
from flux.thresholds.judge import samples_needed
from flux.units import Duration


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
        yield "failed", f"{failures:,} ({100 * failures / total:.3g} %)" if total else "-"
    yield "rate", f"{format_count(total / measured_s(document))}/s" if measured_s(document) else "-"
    yield f"{main} p50", _percentile(latency, 50)
    yield f"{main} p99", _percentile(latency, 99)
    yield f"{main} max", format_time(number(latency, "max"))
    if count(lag, "count") or not text(document, "recorded_by"):
        yield "lag p99", _percentile(lag, 99)
    if duration_ns := count(run, "duration_ns"):
        yield "duration", str(Duration(round(duration_ns / 1e6) * 10**6))
    yield "began", text(run, "started_at").replace("T", " ").partition(".")[0]
    seed = number(run, "seed")
    yield "seed", "" if seed is None else f"{seed}"
    shard = table(run, "shard")
    if count(shard, "count") > 1:
        yield "shard", f"{count(shard, 'index')}/{count(shard, 'count')}"
    yield "users", text(table(document, "closed_model"), "text")
    if warmups := [one for one in tables(document, "phases") if one.get("warmup") is True]:
        left_out = sum(count(phase, "requests") for phase in warmups)
        yield "warm-up", f"{left_out:,} requests, not counted"


def _percentile(latency: Fields, percent: int) -> str:
    enough = count(latency, "count") >= samples_needed(percent)
    return format_time(number(latency, f"p{percent}")) if enough else "-"
