"""`result.json`: what a run has shown, as one JSON document, and reading it back.

The first four keys are Script, Total, Success and Failure, in this order, so that what reads the
results of userflux reads these too. `flux.result_schema` says what every key means.
"""

import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from flux.conservation import Ledger
from flux.control import Ending
from flux.errors import FluxError
from flux.generator import Generator
from flux.histogram import Histogram, encode
from flux.series import COUNTS, LEVELS, PEAKS, PERCENTS, QUANTILES, Series
from flux.stage import Run
from flux.storage import write_whole
from flux.summary import LATENCIES, PhaseSummary, StepSummary, Summary, Verdict

SCHEMA_ID = "flux.result/1"
"""Name and major version of the format; the number grows when a key changes or goes."""

RESULT_FILE = "result.json"
"""Name of the file in a run's folder."""

REPORTED_PERCENTS = (50, 75, 90, 95, 99, 99.9, 99.99)
"""Which percentiles of a latency are written."""

ENCODED = LATENCIES
"""Which histograms are written."""

Document: TypeAlias = dict[str, Any]
"""What `result.json` holds, as the json module has it."""


def result_document(summary: Summary, run: Run) -> Document:
    """What `result.json` says about a run.

    Of a summary that is not final, the document is marked as not complete, and has no series, no
    histograms and no verdict: it is written again and again, and must stay cheap.
    """
    total, is_final = summary.total, summary.is_final
    return {
        "Script": run.name,
        "Total": total.requests,
        "Success": total.successes,
        "Failure": total.failures,
        "schema": SCHEMA_ID,
        "complete": is_final,
        "repaired": None,
        "run": _run(summary, run),
        "sessions": _sessions(summary),
        "validity": _validity(summary),
        "thresholds": [_verdict(verdict) for verdict in summary.verdicts],
        "rate_per_s": summary.rate_per_s,
        "peak_in_flight": summary.peak_in_flight,
        "peak_users": summary.peak_users,
        "closed_model": _closed_model(summary),
        **_counts(total),
        "latency": _latencies(total),
        "statuses": _texts(total.statuses),
        "errors": dict(total.errors),
        "steps": [_step(step) for step in summary.steps],
        "targets": [_step(target) for target in summary.targets],
        "phases": [_phase(phase) for phase in summary.phases],
        "marks": [
            {"time_ns": mark.time_ns, "kind": mark.kind, "text": mark.text}
            for mark in summary.marks
        ],
        "series": list(_series_rows(summary.series, summary.end_ns)) if is_final else [],
        "histograms": [_histograms(step) for step in summary.steps] if is_final else [],
    }


def result_text(document: Document) -> str:
    """The document as it is written: indented, but items of arrays a line each."""
    parts = (f"  {json.dumps(key)}: {_value_text(value)}" for key, value in document.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_result(path: pathlib.Path, document: Document) -> None:
    """Write the file as a whole or not at all, even if the machine loses power meanwhile.

    Raises:
        StorageFailed: the file cannot be written.
    """
    write_whole(path, result_text(document).encode())


def read_result(path: pathlib.Path) -> Document:
    """Read a `result.json`, or that of a run's folder.

    Raises:
        FluxError: there is none, or it is not one that this version can read.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FluxError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FluxError(f"{file} is not JSON: {error}") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA_ID:
        hint = "another version of flux wrote it" if found else None
        raise FluxError(f"{file} must have the schema {SCHEMA_ID!r}, got {found!r}", hint=hint)
    return dict(document)


def _run(summary: Summary, run: Run) -> Document:
    return {
        "name": run.name,
        "seed": run.seed,
        "shard": {"index": run.shard.index, "count": run.shard.count},
        "started_at": run.started_at.isoformat(),
        "duration_ns": summary.end_ns - summary.start_ns,
        "load_end_ns": summary.load_end_ns,
        "ended_by": _ending(run.control.ending),
    }


def _ending(ending: Ending | None) -> Document | None:
    return None if ending is None else {"text": ending.text, "exit_code": int(ending.code)}


def _sessions(summary: Summary) -> Document:
    held, skipped = summary.held_sessions, summary.skipped_steps
    return {**_ledger(summary.sessions), "held": held, "skipped_steps": skipped}


def _ledger(sessions: Ledger) -> Document:
    return {
        "planned": sessions.planned,
        "started": sessions.started,
        "repeated": sessions.repeated,
        "dropped": sessions.dropped,
        "withheld": sessions.withheld,
        "cancelled": sessions.cancelled,
        "lost": sessions.lost,
        "succeeded": sessions.succeeded,
        "failed": sessions.failed,
        "aborted": sessions.aborted,
    }


def _validity(summary: Summary) -> Document:
    return {
        "valid": summary.is_valid if summary.is_final else None,
        "findings": [
            {"text": finding.text, "fatal": finding.is_fatal, "remedy": finding.remedy}
            for finding in summary.findings
        ],
        "generators": [_generator(generator) for generator in summary.generators],
    }


def _generator(generator: Generator) -> Document:
    lateness = generator.lateness
    known = lateness.count > 0
    return {
        "name": generator.name,
        "cores": generator.cores,
        "stall_p99_ns": lateness.percentile(99) if known else None,
        "stall_p99.9_ns": lateness.percentile(99.9) if known else None,
        "stall_max_ns": lateness.max_ns if known else None,
        "held_up_s": dict(generator.held_up_s),
    }


def _verdict(verdict: Verdict) -> Document:
    passed = {"passed": True, "failed": False, "not judged": None}[verdict.judgement]
    return {
        "metric": verdict.metric,
        "expect": verdict.expect,
        "scope": verdict.scope,
        "passed": passed,
        "observed": verdict.observed,
        "observed_text": verdict.observed_text,
        "limit": verdict.limit,
        "unit": verdict.unit,
        "samples": verdict.samples,
        "reason": verdict.reason,
        "first_failed_ns": verdict.first_failed_ns,
    }


def _closed_model(summary: Summary) -> Document | None:
    if summary.pulse is None:
        return None
    found = summary.pulse.standstill()
    return {
        "text": summary.hidden,
        "standstill": found
        and {
            "start_ns": found.start_ns,
            "end_ns": found.end_ns,
            "waiting": found.waiting,
            "rate_per_s": found.rate_per_s,
            "unsent": found.unsent,
        },
    }


def _counts(step: StepSummary) -> Document:
    names = ("aborted", "retries", "connections", "bytes_out", "bytes_in")
    return {name: getattr(step, name) for name in names}


def _step(step: StepSummary) -> Document:
    return {
        "name": step.name,
        "requests": step.requests,
        "successes": step.successes,
        "failures": step.failures,
        **_counts(step),
        "latency": _latencies(step),
        "statuses": _texts(step.statuses),
        "errors": dict(step.errors),
    }


def _phase(phase: PhaseSummary) -> Document:
    total = phase.total
    return {
        "name": phase.name,
        "start_ns": phase.start_ns,
        "end_ns": phase.end_ns,
        "warmup": phase.is_warmup,
        "rate_per_s": phase.rate_per_s,
        "requests": total.requests,
        "successes": total.successes,
        "failures": total.failures,
        "sessions": _ledger(phase.sessions),
        "latency": _latencies(total),
        "steps": [_step(step) for step in phase.steps],
    }


def _latencies(step: StepSummary) -> Document:
    return {name: latency_document(getattr(step, name)) for name in LATENCIES}


def latency_document(histogram: Histogram) -> dict[str, int | None]:
    """Count, mean, deviation, extremes and percentiles; null where there is no value."""
    if not histogram.count:
        names = ("sum", "mean", "stdev", "min", *map(percent_name, REPORTED_PERCENTS), "max")
        return {"count": 0, **dict.fromkeys(names)}
    values_ns = histogram.percentiles(REPORTED_PERCENTS)
    return {
        "count": histogram.count,
        "sum": histogram.sum_ns,
        "mean": round(histogram.mean_ns),
        "stdev": round(histogram.standard_deviation_ns()),
        "min": histogram.min_ns,
        **{percent_name(percent): int(ns) for percent, ns in zip(REPORTED_PERCENTS, values_ns)},
        "max": histogram.max_ns,
    }


def percent_name(percent: float) -> str:
    return f"p{percent:g}"


def _texts(statuses: Any) -> dict[str, int]:
    return {str(status): count for status, count in statuses.items()}


def _series_rows(series: Series, run_end_ns: int) -> Iterator[Document]:
    """One object a row; where a row has no response time, null stands for it."""
    names = (*COUNTS, *LEVELS, *PEAKS)
    columns = [series.rows[name].tolist() for name in ("start_ns", *names)]
    ends_ns = series.ends_ns(run_end_ns).tolist()
    quantiles = [series.rows[name].tolist() for name in QUANTILES]
    for values, end_ns, times_ns, sketch in zip(
        zip(*columns), ends_ns, zip(*quantiles), series.sketches
    ):
        start_ns, *counts = values
        known = times_ns if sketch.codes.size else (None,) * (len(PERCENTS) + 1)
        yield {
            "start_ns": start_ns,
            "end_ns": end_ns,
            **dict(zip(names, counts)),
            **dict(zip(QUANTILES, known)),
        }


def _histograms(step: StepSummary) -> Document:
    return {"step": step.name, **{name: encode(getattr(step, name)) for name in ENCODED}}


def _value_text(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {_line(item)}" for item in value) + "\n  ]"
    if isinstance(value, dict) and value:
        items = (f"    {json.dumps(key)}: {_line(item)}" for key, item in value.items())
        return "{\n" + ",\n".join(items) + "\n  }"
    return _line(value)


def _line(value: object | Sequence[object]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
