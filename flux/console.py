"""The summary for people, as plain text of at most 80 columns; it goes to stderr.

Nothing is shown that the data cannot say: a percentile needs at least one value above it, so a p99
of fewer than 100 requests is a dash, and a latency that was never measured is a dash too; a
footnote says why.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from flux.histogram import Histogram
from flux.stage import Run
from flux.summary import Judgement, PhaseSummary, StepSummary, Summary
from flux.units import INT64_MAX, Duration

WIDTH = 80
NAME_WIDTH = 20
_FEWEST = (("p50", 2), ("p95", 20), ("p99", 100))
"""How many values each percentile needs."""
_UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "µs"))


def format_summary(
    summary: Summary,
    run: Run,
    *,
    has_failed: bool = False,
    verdict: str = "",
    advice: str = "",
) -> str:
    """The whole page about a run, ending in a line break.

    That of a run of two steps with a few thresholds fits a terminal of 24 lines.

    Args:
        summary: of the whole run.
        run: for its name, seed and shard, and for where its files are.
        has_failed: a stage has failed, so that something that was asked for is missing.
        verdict: what else to call the run, of which no verdict is known.
        advice: where to look first, as `flux.attention.look_at` has it.
    """
    shown = list(summary.steps) if len(summary.steps) == 1 else [*summary.steps, summary.total]
    targets = summary.targets if len(summary.targets) > 1 else ()
    if not verdict or has_failed or not summary.is_valid:
        judged = [one.judgement for one in summary.verdicts]
        verdict = (
            "FAILED" if has_failed else verdict_text(is_valid=summary.is_valid, judgements=judged)
        )
    lines = [
        _head(verdict, summary, run),
        "",
        *_count_table(shown, summary.measured_s),
        "",
        *_latency_table(shown),
        *_footnote(shown),
        "",
        *_target_table(targets, summary.measured_s),
        *_phase_table(summary.phases),
        *_facts(summary),
        *(_field("ended by", run.control.ending.text) if run.control.ending else ()),
        *_thresholds(summary),
        *_verdict(summary),
        *_field("look at", advice),
    ]
    if run.folder is not None:
        lines += _field("files", str(run.folder))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def verdict_text(*, is_valid: bool, judgements: Sequence[Judgement]) -> str:
    """What a run comes to, in a few words: "VALID, 1 of 3 thresholds missed"."""
    if not is_valid:
        return "INVALID"
    if missed := judgements.count("failed"):
        return f"VALID, {missed} of {len(judgements)} thresholds missed"
    return "VALID, thresholds passed" if "passed" in judgements else "VALID"


def format_progress(summary: Summary) -> str:
    """One line about an interval, without a line break: the load as it is, warm-up included."""
    total = summary.load
    opened = "-" if summary.open_sessions is None else f"{summary.open_sessions:,}"
    p50, p99 = (format_percentile(total.response, percent) for percent in (50, 99))
    return (
        f"{format_duration(summary.end_ns):>7} {format_count(summary.load_per_s):>8}/s  "
        f"ok {total.successes:>6}  failed {total.failures:>4}  "
        f"p50 {p50:>7}  p99 {p99:>7}  open {opened:>4}"
    )


def format_ns(time_ns: float) -> str:
    """A time with three significant digits and its unit: "5.01 ms", "850 µs", "12.3 s"."""
    if abs(time_ns) < 999.5:
        return f"{time_ns:.0f} ns"
    for size, unit in _UNITS:
        # 999.6 µs has three digits as 1.00 ms, not as 1000 µs.
        if abs(time_ns) >= 0.9995 * size:
            return f"{_three_digits(time_ns / size)} {unit}"
    raise AssertionError("unreachable: the smallest unit fits")


def format_duration(time_ns: float) -> str:
    """A length or a moment of a run, to the millisecond: "1m5.5s", "250ms"."""
    size_ns = min(int(abs(time_ns)), INT64_MAX - 10**6)
    text = str(Duration((size_ns + 500_000) // 10**6 * 10**6))
    return f"-{text}" if time_ns < 0 and text != "0s" else text


def format_size(size_bytes: float) -> str:
    """A number of bytes with three significant digits and its unit: "7.04 kB"."""
    if size_bytes < 1000:
        return f"{size_bytes:.0f} B"
    for power, unit in ((1, "kB"), (2, "MB"), (3, "GB"), (4, "TB")):
        size = size_bytes / 1000**power
        if size < 999.5 or unit == "TB":
            return f"{_three_digits(size)} {unit}"
    raise AssertionError("unreachable: TB takes every size")


def format_share(count: float, whole: float) -> str:
    """In per cent; 0 only if it is none, and 100 only if it is all."""
    if count in (0, whole):
        return "100 %" if count else "0 %"
    percent = 100 * count / whole
    if percent >= 99:  # what is missing counts
        return f"{min(percent, 99.99):.4g} %"
    return f"{percent:.3g} %" if percent >= 0.001 else "<0.001 %"


def format_percentile(histogram: Histogram, percent: float) -> str:
    """A percentile, or a dash where too few values stand behind it."""
    # 100 - 99.9 is a little more than 0.1: without the margin, 1000 values would be too few.
    enough = histogram.count * (100 - percent) / 100 > 1 - 1e-9
    return format_ns(histogram.percentile(percent)) if enough else "-"


def format_count(value: float) -> str:
    """A rate or count: whole from 100 on, else with three significant digits."""
    return f"{value:,.0f}" if value >= 99.95 or value == int(value) else _three_digits(value)


def _phase_rate(rate_per_s: float) -> str:
    """A phase may be a nanosecond long: its rate must not break the table."""
    return format_count(rate_per_s) if rate_per_s < 1e7 else f"{rate_per_s:.1e}"


def _three_digits(value: float) -> str:
    magnitude = abs(value)
    decimals = 2 if magnitude < 9.995 else 1 if magnitude < 99.95 else 0
    return f"{value:.{decimals}f}"


def _head(verdict: str, summary: Summary, run: Run) -> str:
    shard = f"   shard {run.shard}" if run.shard.count > 1 else ""
    facts = f"   {format_duration(summary.end_ns - summary.start_ns)}   seed {run.seed}{shard}"
    return f"{verdict}   {_cut(run.name, WIDTH - len(facts) - len(verdict) - 3)}{facts}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _count_table(steps: Sequence[StepSummary], duration_s: float) -> Iterator[str]:
    heads = ("requests", "ok", "failed", "rate/s", "received")
    yield _row("", heads)
    for step in steps:
        rate_per_s = step.requests / duration_s if duration_s > 0 else 0.0
        counts = (f"{count:,}" for count in (step.requests, step.successes, step.failures))
        yield _row(step.name, (*counts, format_count(rate_per_s), format_size(step.bytes_in)))


def _target_table(targets: Sequence[StepSummary], duration_s: float) -> Iterator[str]:
    """What each of several targets did with its share."""
    if not targets:
        return
    yield _row("targets", ("requests", "failed", "rate/s", "p50", "p99"))
    for target in targets:
        rate_per_s = target.requests / duration_s if duration_s > 0 else 0.0
        cells = (f"{target.requests:,}", f"{target.failures:,}", format_count(rate_per_s))
        percentiles = (format_percentile(target.response, percent) for percent in (50, 99))
        yield _row(target.name, (*cells, *percentiles))
    yield ""


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{_cut(name, NAME_WIDTH):<{NAME_WIDTH}}" + "".join(f"{cell:>12}" for cell in cells)


def _latency_table(steps: Sequence[StepSummary]) -> Iterator[str]:
    group = f"{'response (end - due)':>36}{'service (end - start)':>24}"
    yield f"{'':{NAME_WIDTH}}{group}"
    yield _latency_row("", ("p50", "p95", "p99", "max", "p50", "p99"))
    for step in steps:
        response, service = step.response, step.service
        cells = (
            *(format_percentile(response, percent) for percent in (50, 95, 99)),
            format_ns(response.max_ns) if response.count else "-",
            *(format_percentile(service, percent) for percent in (50, 99)),
        )
        yield _latency_row(step.name, cells)


def _footnote(steps: Sequence[StepSummary]) -> Iterator[str]:
    """Why there are dashes, if there are any."""
    fewest = min(min(step.response.count, step.service.count) for step in steps)
    if fewest < _FEWEST[-1][1]:
        needs = ", ".join(f"{count} for {name}" for name, count in _FEWEST)
        yield from _field("-", f"fewer requests than it takes: {needs}")


def _latency_row(name: str, cells: Sequence[str]) -> str:
    *responses, p50, p99 = cells
    left = "".join(f"{cell:>9}" for cell in responses)
    return f"{_cut(name, NAME_WIDTH):<{NAME_WIDTH}}{left}  {p50:>11}{p99:>11}"


def _phase_table(phases: Sequence[PhaseSummary]) -> Iterator[str]:
    """A line for each phase, and an empty one; nothing if there are none."""
    if not phases:
        return
    yield _phase_row("phase", ("requests", "ok", "failed", "rate/s", "p50", "p95", "p99"))
    for phase in phases:
        total = phase.total
        counts = (f"{count:,}" for count in (total.requests, total.successes, total.failures))
        times = (format_percentile(total.response, percent) for percent in (50, 95, 99))
        yield _phase_row(phase.title, (*counts, _phase_rate(phase.rate_per_s), *times))
    if any(phase.is_warmup for phase in phases):
        yield "warm-up is in no other number of requests or latency on this page"
    yield ""


def _phase_row(name: str, cells: Sequence[str]) -> str:
    widths = (10, 10, 8, 9, 8, 8, 8)
    name = f"{_cut(name, 18):<19}"
    return name + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths))


def _facts(summary: Summary) -> Iterator[str]:
    total = summary.total
    yield from _field("plan", _plan(summary))
    yield from _field("lag", _lag(summary))
    yield from _field("sessions", _law(summary.sessions.arrivals_equation(), summary))
    yield from _field("", _law(summary.sessions.sessions_equation(), summary))
    if summary.is_final:
        requests, users = summary.peak_in_flight, summary.peak_users
        yield from _field("peak", f"{requests:,} requests and {users:,} sessions under way")
    yield from _field("users", summary.hidden)
    yield from _field("statuses", _listed(total.statuses, {0: "no response"}))
    yield from _field("errors", _listed(total.errors, {}))
    if summary.skipped_steps:
        yield from _field("skipped", f"{summary.skipped_steps:,} steps were never run")


def _plan(summary: Summary) -> str:
    """What was planned against what came of it; nothing where nothing was planned ahead."""
    planned, load_s = summary.sessions.planned, summary.load_s
    planned = planned and planned - summary.sessions.cancelled  # those were not due yet
    if not planned or load_s <= 0:
        return ""
    started = summary.sessions.started - summary.sessions.repeated
    rates = (format_count(count / load_s) for count in (planned, started))
    due, begun = rates
    return f"{due}/s sessions due, {begun}/s started: {format_share(started, planned)}"


def _lag(summary: Summary) -> str:
    lag = summary.total.lag
    if not lag.count:
        return "-"
    text = f"start - due: p50 {format_percentile(lag, 50)}, p99 {format_percentile(lag, 99)}, "
    text += f"max {format_ns(lag.max_ns)}"
    if lag.count < _FEWEST[-1][1]:
        text += f" of {lag.count} sessions, too few for a p99"
    held = summary.held_sessions
    return text + (f"; {held:,} sessions waited for a place" if held else "")


def _law(equation: str, summary: Summary) -> str:
    """An equation with a mark, which says whether it holds."""
    if not equation:
        return ""
    broken = [law for law in summary.sessions.check() if law.startswith(equation.split(" ")[0])]
    return f"{broken[0]} ✗" if broken else f"{equation} ✓"


def _listed(counts: Mapping[int, int] | Mapping[str, int], names: Mapping[object, str]) -> str:
    """The most frequent first."""
    items = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{names.get(key, str(key))}: {count:,}" for key, count in items)


_SIGNS = {"passed": "✓", "failed": "✗", "not judged": "-"}


def _thresholds(summary: Summary) -> Iterator[str]:
    for index, verdict in enumerate(summary.verdicts):
        text = f"{_SIGNS[verdict.judgement]} {verdict.title}: {verdict.observed_text}"
        if verdict.judgement == "not judged":
            text += ", not judged"
        if verdict.reason:
            text += f" ({verdict.reason})"
        if verdict.first_failed_ns is not None:
            text += f"; first failed at {format_duration(verdict.first_failed_ns)}"
        yield from _field("threshold" if not index else "", text)


def _verdict(summary: Summary) -> Iterator[str]:
    fatal = [finding for finding in summary.findings if finding.is_fatal]
    notes = [finding for finding in summary.findings if not finding.is_fatal]
    for name, findings in (("INVALID", fatal), ("note", notes)):
        for finding in findings:
            yield from _field(name, finding.text)
            yield from _field("", f"→ {finding.remedy}" if finding.remedy else "")
        if findings and findings is fatal:
            yield from _field("", "these numbers must not be trusted")


def _field(name: str, text: str) -> Iterator[str]:
    """A named value, wrapped; nothing where there is no value."""
    if text:
        indent = " " * 10
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"{name:<10}",
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
