"""The JSON Schema (draft 2020-12) of `result.json`: what every key means, and its unit.

Nothing may stand in the file that is not described here: `additionalProperties` is false at every
depth. `flux schema result` prints it.
"""

from collections.abc import Mapping
from typing import Any, get_args

from flux.result_file import ENCODED, REPORTED_PERCENTS, SCHEMA_ID
from flux.schemas import ERROR_TEXTS
from flux.summary import MARK_KINDS, Unit
from flux.thresholds.metrics import METRICS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

Node = dict[str, Any]


def result_schema() -> Node:
    """The schema, as the json module has it."""
    return {
        "$schema": _DIALECT,
        "$id": "urn:flux:schema:result:1",
        "title": "result.json of flux",
        **_object("What a run has shown. All times count from when the run began.", _top()),
        "$defs": {
            "latency": _latency(),
            "latencies": _latencies(),
            "statuses": _statuses(),
            "errors": _errors(),
        },
    }


def _top() -> dict[str, Node]:
    return {
        "Script": {"type": "string", "description": "Name of the pipeline."},
        "Total": _count("Requests, without warm-up: Success + Failure."),
        "Success": _count("Requests that succeeded by the flow's rule and its expectations."),
        "Failure": _count("Requests that did not."),
        "schema": {"const": SCHEMA_ID, "description": "Name and major version of this format."},
        "complete": {
            "type": "boolean",
            "description": "False while the run goes on, and for ever if flux was killed: then "
            "there are no series, histograms, peaks or verdict, unless it was repaired.",
        },
        "repaired": _or_null(_repair()),
        "run": _run(),
        "sessions": _sessions(),
        "validity": _validity(),
        "thresholds": _array("What became of each, in order; empty until the end.", _threshold()),
        "rate_per_s": {
            "type": "number",
            "minimum": 0,
            "description": "Requests per second over duration_ns, both without warm-up.",
        },
        "peak_in_flight": _or_null(_count("Most requests under way at once; null: not known yet.")),
        "peak_users": _or_null(_count("Most sessions under way at once; null: not known yet.")),
        "closed_model": _or_null(_closed_model()),
        **_step_counts(),
        "latency": _ref("latencies"),
        "statuses": _ref("statuses"),
        "errors": _ref("errors"),
        "steps": _array(
            "Each step of each flow, in order, without warm-up.", _step("step", "Of the step.")
        ),
        "targets": _array(
            "Each target, in order, without warm-up; while complete is false, none if there is "
            "only one.",
            _step("target", "Of the target."),
        ),
        "phases": _array(
            "Each phase, in order; none in a run without phases or warm-up.", _phase()
        ),
        "marks": _array("What happened on the way, in order.", _mark()),
        "series": _array("The run row by row of time, without gaps.", _row()),
        "histograms": _array("HdrHistograms of each step, in the order of steps.", _histograms()),
    }


def _repair() -> Node:
    return _object(
        "Of a run that was killed, from what this was rebuilt; null: it is as the run wrote it.",
        {
            "source": {"type": "string", "description": "Name of the file with its rows."},
            "rows": _count("Rows that it has."),
            "cut_bytes": _count("Bytes of a last line that was cut, and left out."),
        },
    )


def _run() -> Node:
    shard = {
        "index": _count("Which part of the run this process drove."),
        "count": {**_count("Into how many parts the run was split."), "minimum": 1},
    }
    return _object(
        "What was run.",
        {
            "name": {"type": "string", "description": "Name of the pipeline."},
            "seed": {"type": "integer", "description": "Fixes everything that is random."},
            "shard": _object("Arrivals whose number leaves index when divided by count.", shard),
            "started_at": {
                "type": "string",
                "format": "date-time",
                "description": "Wall-clock time of 0 ns (RFC 3339).",
            },
            "duration_ns": _count("How long the run was, nanoseconds."),
            "load_end_ns": _or_null(
                _count(
                    "When arrivals ended: by the plan, when the run was stopped, or as far as rows "
                    "tell, with the last of them; null until the end."
                )
            ),
            "ended_by": _ending(),
        },
    )


def _ending() -> Node:
    return _or_null(
        _object(
            "What ended the run early, if neither a signal nor a failure did; null: nothing.",
            {
                "text": {"type": "string", "description": "One line, beginning with what it was."},
                "exit_code": _count("What it makes the exit code, if nothing worse is found."),
            },
        )
    )


def _sessions() -> Node:
    return _object(
        "What became of the sessions: planned = started - repeated + dropped + withheld + "
        "cancelled + lost, and started = succeeded + failed + aborted. In the closed model a "
        "session is one iteration.",
        {
            **_ledger(),
            "held": _count("Sessions that first waited for a place under max_in_flight."),
            "skipped_steps": _count("Steps that ended sessions never ran."),
        },
    )


def _ledger() -> dict[str, Node]:
    return {
        "planned": _or_null(_count("Arrivals that were due; null in the closed model.")),
        "started": _count("Sessions that began."),
        "repeated": _count("Iterations, begun or withheld, that a user had after its first."),
        "dropped": _count("Arrivals that could not start in time."),
        "withheld": _count("Arrivals given up because no target was healthy."),
        "cancelled": _count("Arrivals that were not due yet when the run was stopped."),
        "lost": _count("Arrivals of a worker process that died."),
        "succeeded": _count("Sessions with every step as it should be."),
        "failed": _count("Sessions that ended in any other way."),
        "aborted": _count("Sessions that the end of the run cut."),
    }


def _validity() -> Node:
    finding = {
        "text": {"type": "string", "description": "One line."},
        "fatal": {"type": "boolean", "description": "True: it makes the run invalid."},
        "remedy": {"type": "string", "description": "What to do about it, one line or nothing."},
    }
    return _object(
        "Whether the generator kept its own plan.",
        {
            "valid": {
                "type": ["boolean", "null"],
                "description": "False: the numbers must not be trusted. Null: not known yet.",
            },
            "findings": _array("What speaks against them.", _object("A reason.", finding)),
            "generators": _array("The processes that made the load.", _generator()),
        },
    )


def _generator() -> Node:
    late = "of the time the event loop ran what was due no later, nanoseconds."
    return _object(
        "A process, over the time in which sessions ran.",
        {
            "name": {"type": "string", "description": "Empty for the one that was started first."},
            "cores": {
                "type": ["number", "null"],
                "minimum": 0,
                "description": "CPU time over time, all threads: 1 is one core, all of the time.",
            },
            "stall_p99_ns": _or_null(_time(f"For 99 % {late}")),
            "stall_p99.9_ns": _or_null(_time(f"For 99.9 % {late}")),
            "stall_max_ns": _or_null(_time("The latest that it ever ran it, nanoseconds.")),
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
    return _object(
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
            "samples": _count("Requests, sessions or arrivals that stand behind the value."),
            "reason": {
                "type": "string",
                "description": "Why, where the value alone does not tell; else empty.",
            },
            "first_failed_ns": _or_null(
                _count("When it failed for the first time, nanoseconds; null: never.")
            ),
        },
    )


def _closed_model() -> Node:
    standstill = {
        "start_ns": _count("When the last request before it began, nanoseconds."),
        "end_ns": _count("When the next one did."),
        "waiting": _count("Requests that were under way until shortly before its end."),
        "rate_per_s": {
            "type": "number",
            "minimum": 0,
            "description": "Requests that began per second, by the median of the seconds besides.",
        },
        "unsent": _count("Requests that would have begun in it at that rate."),
    }
    return _object(
        "What users who wait for answers cannot show; null in the open model and until the end.",
        {
            "text": {"type": "string", "description": "One line."},
            "standstill": _or_null(
                _object("Longest time in which no request began and some waited.", standstill)
            ),
        },
    )


def _mark() -> Node:
    return _object(
        "Something that happened at one moment.",
        {
            "time_ns": _time("When, nanoseconds; below 0: before the first arrival could be due."),
            "kind": {"enum": list(MARK_KINDS), "description": "What sort of thing."},
            "text": {"type": "string", "description": "One line."},
        },
    )


def _step_counts() -> dict[str, Node]:
    return {
        "aborted": _count("Of the failures, those that the end of the run cut."),
        "retries": _count("Times a request was sent again on a new connection."),
        "connections": _count("Requests that opened their connection."),
        "bytes_out": _count("Bytes of all request bodies."),
        "bytes_in": _count("Bytes of all response bodies, as received."),
    }


def _step(what: str, name: str) -> Node:
    return _object(
        f"All requests of one {what}.",
        {
            "name": {"type": "string", "description": name},
            "requests": _count("Requests that were made."),
            "successes": _count("Those that succeeded."),
            "failures": _count("Those that did not."),
            **_step_counts(),
            "latency": _ref("latencies"),
            "statuses": _ref("statuses"),
            "errors": _ref("errors"),
        },
    )


def _phase() -> Node:
    return _object(
        "The requests that were due in one phase: start_ns < due_ns, and due_ns not above end_ns; "
        "the last phase has all that follows.",
        {
            "name": {"type": "string", "description": "Of the phase."},
            "start_ns": _count("Where it begins, nanoseconds."),
            "end_ns": _count("Where it ends; start_ns if the run ended before."),
            "warmup": {
                "type": "boolean",
                "description": "True: these requests are in no number outside phases but those of "
                "sessions, series and peaks.",
            },
            "rate_per_s": {
                "type": "number",
                "minimum": 0,
                "description": "Requests per second from start_ns to end_ns.",
            },
            "requests": _count("Requests that were made."),
            "successes": _count("Those that succeeded."),
            "failures": _count("Those that did not."),
            "sessions": _object(
                "What became of the sessions. One that ends in a later phase than it began in is "
                "counted where it began and, by its last request, where it ended.",
                _ledger(),
            ),
            "latency": _ref("latencies"),
            "steps": _array("Each step of each flow, in order.", _step("step", "Of the step.")),
        },
    )


def _latencies() -> Node:
    names = {
        "response": "From when the request was due until its end: what a user would have felt.",
        "service": "From when the request started until its end.",
        "first_byte": "From when the request started until its response began.",
        "lag": "From when a session was due until it started, if it had a place at once: the "
        "generator's own delay.",
        "connect": "Time to connect, of requests that opened their connection.",
        "tls": "Time for the TLS handshake, of requests that opened their connection.",
    }
    return _object(
        "Latencies, failures among them, requests that were cut not. Percentiles are right to "
        "three significant digits, the rest is exact.",
        {name: {**_ref("latency"), "description": text} for name, text in names.items()},
    )


def _latency() -> Node:
    percents = {
        f"p{percent:g}": _or_null(_time(f"{percent:g} % were not longer, nanoseconds."))
        for percent in REPORTED_PERCENTS
    }
    return _object(
        "One latency, nanoseconds; null where count is 0.",
        {
            "count": _count("How many were measured."),
            "sum": _or_null(_time("Of all of them, nanoseconds.")),
            "mean": _or_null(_time("Arithmetic mean, nanoseconds.")),
            "stdev": _or_null(_time("Standard deviation, nanoseconds.")),
            "min": _or_null(_time("The shortest, nanoseconds.")),
            **percents,
            "max": _or_null(_time("The longest, nanoseconds.")),
        },
    )


def _row() -> Node:
    return _object(
        "One row of time. Requests count where they ended, sessions where they were due or "
        "started.",
        {
            "start_ns": _count("Where the row begins, nanoseconds."),
            "end_ns": _count("Where it ends: with the run, if that ended within it."),
            "due": _count("Sessions that were to start."),
            "started": _count("Sessions that did."),
            "dropped": _count("Of those due, given up."),
            "withheld": _count("Of those due, given up because no target was healthy."),
            "cancelled": _count("Of those due, not started because the run was stopped."),
            "requests": _count("Requests that ended."),
            "successes": _count("Those that succeeded."),
            "failures": _count("Those that did not."),
            "bytes_out": _count("Bytes of their request bodies."),
            "bytes_in": _count("Bytes of their response bodies, as received."),
            "in_flight": _count("Requests under way at the end of the row."),
            "users": _count("Sessions under way at the end of the row."),
            "peak_in_flight": _count("Most requests under way at once."),
            "peak_users": _count("Most sessions under way at once."),
            "p50_ns": _or_null(_time("Response time that 50 % did not exceed, nanoseconds.")),
            "p95_ns": _or_null(_time("Response time that 95 % did not exceed, nanoseconds.")),
            "p99_ns": _or_null(_time("Response time that 99 % did not exceed, nanoseconds.")),
            "max_ns": _or_null(_time("The longest response time, nanoseconds.")),
        },
    )


def _histograms() -> Node:
    encoded = {
        "type": "string",
        "pattern": "^HISTFAAA",
        "contentEncoding": "base64",
        "description": "HdrHistogram V2, compressed: 1 µs to 1 h with 3 digits, microseconds.",
    }
    step = {"type": "string", "description": "Name of the step."}
    return _object("Of one step.", {"step": step, **dict.fromkeys(ENCODED, encoded)})


def _statuses() -> Node:
    return {
        "type": "object",
        "description": "How many responses had each status; 0: there was no response.",
        "propertyNames": {"pattern": "^[0-9]+$"},
        "additionalProperties": _count("Requests."),
    }


def _errors() -> Node:
    return {
        "type": "object",
        "description": "How many requests failed, by reason.",
        "propertyNames": {"enum": [text for text in ERROR_TEXTS if text]},
        "additionalProperties": _count("Requests."),
    }


def _object(description: str, properties: Mapping[str, Node]) -> Node:
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(description: str, items: Node) -> Node:
    return {"type": "array", "description": description, "items": items}


def _count(description: str) -> Node:
    return {"type": "integer", "minimum": 0, "description": description}


def _time(description: str) -> Node:
    return {"type": "integer", "description": description}


def _or_null(node: Node) -> Node:
    return {**node, "type": [node["type"], "null"]}


def _ref(name: str) -> Node:
    return {"$ref": f"#/$defs/{name}"}
