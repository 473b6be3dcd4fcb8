"""The JSON Schema (draft 2020-12) of `result.json`: what every key means, and its unit.

Nothing may stand in the file that is not described here: `additionalProperties` is false at every
depth. `flux schema result` prints it.
"""

from typing import get_args

from flux.figures_schema import (
    definitions,
    ledger,
    phase_figures,
    series_row,
    step_counts,
    step_figures,
    step_histograms,
)
from flux.json_schema import Node, array, count, or_null, record, reference, whole
from flux.result_file import SCHEMA_ID
from flux.summary import MARK_KINDS, Unit
from flux.thresholds.metrics import METRICS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def result_schema() -> Node:
    """The schema, as the json module has it."""
    return {
        "$schema": _DIALECT,
        "$id": "urn:flux:schema:result:1",
        "title": "result.json of flux",
        **record("What a run has shown. All times count from when the run began.", _top()),
        "$defs": definitions(),
    }


def _top() -> dict[str, Node]:
    return {
        "Script": {"type": "string", "description": "Name of the pipeline."},
        "Total": count("Requests, without warm-up: Success + Failure."),
        "Success": count("Requests that succeeded by the flow's rule and its expectations."),
        "Failure": count("Requests that did not."),
        "schema": {"const": SCHEMA_ID, "description": "Name and major version of this format."},
        "complete": {
            "type": "boolean",
            "description": "False while the run goes on, and for ever if flux was killed: then "
            "there are no series, histograms, peaks or verdict, unless it was repaired.",
        },
        "repaired": or_null(_repair()),
        "run": _run(),
        "sessions": _sessions(),
        "validity": _validity(),
        "thresholds": array("What became of each, in order; empty until the end.", _threshold()),
        "rate_per_s": {
            "type": "number",
            "minimum": 0,
            "description": "Requests per second over duration_ns, both without warm-up.",
        },
        "peak_in_flight": or_null(count("Most requests under way at once; null: not known yet.")),
        "peak_users": or_null(count("Most sessions under way at once; null: not known yet.")),
        "closed_model": or_null(_closed_model()),
        **step_counts(),
        "latency": reference("latencies"),
        "statuses": reference("statuses"),
        "errors": reference("errors"),
        "steps": array(
            "Each step of each flow, in order, without warm-up.",
            step_figures("step", "Of the step."),
        ),
        "targets": array(
            "Each target, in order, without warm-up; while complete is false, none if there is "
            "only one.",
            step_figures("target", "Of the target."),
        ),
        "phases": array(
            "Each phase, in order; none in a run without phases or warm-up.", phase_figures()
        ),
        "marks": array("What happened on the way, in order.", _mark()),
        "series": array("The run row by row of time, without gaps.", series_row()),
        "histograms": array(
            "HdrHistograms of each step, in the order of steps.",
            step_histograms(),
        ),
    }


def _repair() -> Node:
    return record(
        "Of a run that was killed, from what this was rebuilt; null: it is as the run wrote it.",
        {
            "source": {"type": "string", "description": "Name of the file with its rows."},
            "rows": count("Rows that it has."),
            "cut_bytes": count("Bytes of a last line that was cut, and left out."),
        },
    )


def _run() -> Node:
    shard = {
        "index": count("Which part of the run this process drove."),
        "count": {**count("Into how many parts the run was split."), "minimum": 1},
    }
    return record(
        "What was run.",
        {
            "name": {"type": "string", "description": "Name of the pipeline."},
            "seed": {"type": "integer", "description": "Fixes everything that is random."},
            "shard": record("Arrivals whose number leaves index when divided by count.", shard),
            "started_at": {
                "type": "string",
                "format": "date-time",
                "description": "Wall-clock time of 0 ns (RFC 3339).",
            },
            "duration_ns": count("How long the run was, nanoseconds."),
            "load_end_ns": or_null(
                count(
                    "When arrivals ended: by the plan, when the run was stopped, or as far as rows "
                    "tell, with the last of them; null until the end."
                )
            ),
            "ended_by": _ending(),
        },
    )


def _ending() -> Node:
    return or_null(
        record(
            "What ended the run early, if neither a signal nor a failure did; null: nothing.",
            {
                "text": {"type": "string", "description": "One line, beginning with what it was."},
                "exit_code": count("What it makes the exit code, if nothing worse is found."),
            },
        )
    )


def _sessions() -> Node:
    return record(
        "What became of the sessions: planned = started - repeated + dropped + withheld + "
        "cancelled + lost, and started = succeeded + failed + aborted. In the closed model a "
        "session is one iteration.",
        {
            **ledger(),
            "held": count("Sessions that first waited for a place under max_in_flight."),
            "skipped_steps": count("Steps that ended sessions never ran."),
        },
    )


def _validity() -> Node:
    finding = {
        "text": {"type": "string", "description": "One line."},
        "fatal": {"type": "boolean", "description": "True: it makes the run invalid."},
        "remedy": {"type": "string", "description": "What to do about it, one line or nothing."},
    }
    return record(
        "Whether the generator kept its own plan.",
        {
            "valid": {
                "type": ["boolean", "null"],
                "description": "False: the numbers must not be trusted. Null: not known yet.",
            },
            "findings": array("What speaks against them.", record("A reason.", finding)),
            "generators": array("The processes that made the load.", _generator()),
        },
    )


def _generator() -> Node:
    late = "of the time the event loop ran what was due no later, nanoseconds."
    return record(
        "A process, over the time in which sessions ran.",
        {
            "name": {"type": "string", "description": "Empty for the one that was started first."},
            "cores": {
                "type": ["number", "null"],
                "minimum": 0,
                "description": "CPU time over time, all threads: 1 is one core, all of the time.",
            },
            "stall_p99_ns": or_null(whole(f"For 99 % {late}")),
            "stall_p99.9_ns": or_null(whole(f"For 99.9 % {late}")),
            "stall_max_ns": or_null(whole("The latest that it ever ran it, nanoseconds.")),
            "held_up_s": {
                "type": "object",
                "description": "Seconds that rows waited for stages that could not keep up, by "
                "the name of the stage.",
                "additionalProperties": {"type": "number", "minimum": 0},
            },
        },
    )


def _threshold() -> Node:
    number = {"type": "number", "description": "What it was compared with, in unit."}
    return record(
        "What became of a threshold.",
        {
            "metric": {"enum": list(METRICS), "description": "What was looked at."},
            "expect": {"type": "string", "description": "What it had to fulfil."},
            "scope": {
                "type": "string",
                "description": 'What of the run it is about, as in "step login"; empty: all.',
            },
            "passed": {
                "type": ["boolean", "null"],
                "description": "Null: not judged, for the run is invalid.",
            },
            "observed": {
                "type": ["number", "null"],
                "description": "The value, in unit; null if it is not known.",
            },
            "observed_text": {"type": "string", "description": "The same for people."},
            "limit": number,
            "unit": {
                "enum": list(get_args(Unit)),
                "description": "Nanoseconds, a share from 0 to 1, a number, or per second.",
            },
            "samples": count("Requests, sessions or arrivals that stand behind the value."),
            "reason": {
                "type": "string",
                "description": "Why, where the value alone does not tell; else empty.",
            },
            "first_failed_ns": or_null(
                count("When it failed for the first time, nanoseconds; null: never.")
            ),
        },
    )


def _closed_model() -> Node:
    standstill = {
        "start_ns": count("When the last request before it began, nanoseconds."),
        "end_ns": count("When the next one did."),
        "waiting": count("Requests that were under way until shortly before its end."),
        "rate_per_s": {
            "type": "number",
            "minimum": 0,
            "description": "Requests that began per second, by the median of the seconds besides.",
        },
        "unsent": count("Requests that would have begun in it at that rate."),
    }
    return record(
        "What users who wait for answers cannot show; null in the open model and until the end.",
        {
            "text": {"type": "string", "description": "One line."},
            "standstill": or_null(
                record("Longest time in which no request began and some waited.", standstill)
            ),
        },
    )


def _mark() -> Node:
    return record(
        "Something that happened at one moment.",
        {
            "time_ns": whole("When, nanoseconds; below 0: before the first arrival could be due."),
            "kind": {"enum": list(MARK_KINDS), "description": "What sort of thing."},
            "text": {"type": "string", "description": "One line."},
        },
    )
