"""What the schema of `result.json` says of figures: counts, latencies, rows of time, histograms."""

from flux.json_schema import Node, array, count, or_null, record, reference, whole
from flux.result_file import ENCODED, REPORTED_PERCENTS
from flux.schemas import ERROR_TEXTS


def definitions() -> dict[str, Node]:
    """What stands in several places, by the name that `reference` has for it."""
    return {
        "latency": _latency(),
        "latencies": _latencies(),
        "statuses": _statuses(),
        "errors": _errors(),
    }


def step_counts() -> dict[str, Node]:
    """Counts of a step, and at the top of all of them."""
    return {
        "aborted": count("Of the failures, those that the end of the run cut."),
        "retries": count("Times a request was sent again on a new connection."),
        "connections": count("Requests that opened their connection."),
        "bytes_out": count("Bytes of all request bodies."),
        "bytes_in": count("Bytes of all response bodies, as received."),
    }


def step_figures(what: str, name: str) -> Node:
    """One step, or one target."""
    return record(
        f"All requests of one {what}.",
        {
            "name": {"type": "string", "description": name},
            "requests": count("Requests that were made."),
            "successes": count("Those that succeeded."),
            "failures": count("Those that did not."),
            **step_counts(),
            "latency": reference("latencies"),
            "statuses": reference("statuses"),
            "errors": reference("errors"),
        },
    )


def phase_figures() -> Node:
    """One phase."""
    return record(
        "The requests that were due in one phase: start_ns < due_ns, and due_ns not above end_ns; "
        "the last phase has all that follows.",
        {
            "name": {"type": "string", "description": "Of the phase."},
            "start_ns": count("Where it begins, nanoseconds."),
            "end_ns": count("Where it ends; start_ns if the run ended before."),
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
            "requests": count("Requests that were made."),
            "successes": count("Those that succeeded."),
            "failures": count("Those that did not."),
            "sessions": record(
                "What became of the sessions. One that ends in a later phase than it began in is "
                "counted where it began and, by its last request, where it ended.",
                ledger(),
            ),
            "latency": reference("latencies"),
            "steps": array(
                "Each step of each flow, in order.", step_figures("step", "Of the step.")
            ),
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
    return record(
        "Latencies, failures among them, requests that were cut not. Percentiles are right to "
        "three significant digits, the rest is exact.",
        {name: {**reference("latency"), "description": text} for name, text in names.items()},
    )


def _latency() -> Node:
    percents = {
        f"p{percent:g}": or_null(whole(f"{percent:g} % were not longer, nanoseconds."))
        for percent in REPORTED_PERCENTS
    }
    return record(
        "One latency, nanoseconds; null where count is 0.",
        {
            "count": count("How many were measured."),
            "sum": or_null(whole("Of all of them, nanoseconds.")),
            "mean": or_null(whole("Arithmetic mean, nanoseconds.")),
            "stdev": or_null(whole("Standard deviation, nanoseconds.")),
            "min": or_null(whole("The shortest, nanoseconds.")),
            **percents,
            "max": or_null(whole("The longest, nanoseconds.")),
        },
    )


def series_row() -> Node:
    """One row of time."""
    return record(
        "One row of time. Requests count where they ended, sessions where they were due or "
        "started.",
        {
            "start_ns": count("Where the row begins, nanoseconds."),
            "end_ns": count("Where it ends: with the run, if that ended within it."),
            "due": count("Sessions that were to start."),
            "started": count("Sessions that did."),
            "dropped": count("Of those due, given up."),
            "withheld": count("Of those due, given up because no target was healthy."),
            "cancelled": count("Of those due, not started because the run was stopped."),
            "requests": count("Requests that ended."),
            "successes": count("Those that succeeded."),
            "failures": count("Those that did not."),
            "bytes_out": count("Bytes of their request bodies."),
            "bytes_in": count("Bytes of their response bodies, as received."),
            "in_flight": count("Requests under way at the end of the row."),
            "users": count("Sessions under way at the end of the row."),
            "peak_in_flight": count("Most requests under way at once."),
            "peak_users": count("Most sessions under way at once."),
            "p50_ns": or_null(whole("Response time that 50 % did not exceed, nanoseconds.")),
            "p95_ns": or_null(whole("Response time that 95 % did not exceed, nanoseconds.")),
            "p99_ns": or_null(whole("Response time that 99 % did not exceed, nanoseconds.")),
            "max_ns": or_null(whole("The longest response time, nanoseconds.")),
        },
    )


def step_histograms() -> Node:
    """The histograms of one step."""
    encoded = {
        "type": "string",
        "pattern": "^HISTFAAA",
        "contentEncoding": "base64",
        "description": "HdrHistogram V2, compressed: 1 µs to 1 h with 3 digits, microseconds.",
    }
    step = {"type": "string", "description": "Name of the step."}
    return record("Of one step.", {"step": step, **dict.fromkeys(ENCODED, encoded)})


def _statuses() -> Node:
    return {
        "type": "object",
        "description": "How many responses had each status; 0: there was no response.",
        "propertyNames": {"pattern": "^[0-9]+$"},
        "additionalProperties": count("Requests."),
    }


def _errors() -> Node:
    return {
        "type": "object",
        "description": "How many requests failed, by reason.",
        "propertyNames": {"enum": [text for text in ERROR_TEXTS if text]},
        "additionalProperties": count("Requests."),
    }


def ledger() -> dict[str, Node]:
    """What became of sessions: the terms of both laws of conservation."""
    return {
        "planned": or_null(count("Arrivals that were due; null in the closed model.")),
        "started": count("Sessions that began."),
        "repeated": count("Iterations, begun or withheld, that a user had after its first."),
        "dropped": count("Arrivals that could not start in time."),
        "withheld": count("Arrivals given up because no target was healthy."),
        "cancelled": count("Arrivals that were not due yet when the run was stopped."),
        "lost": count("Arrivals of a worker process that died."),
        "succeeded": count("Sessions with every step as it should be."),
        "failed": count("Sessions that ended in any other way."),
        "aborted": count("Sessions that the end of the run cut."),
    }
