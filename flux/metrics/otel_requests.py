"""What is told of requests, by step and by target.

Latencies are kept by step and by target, and neither by status nor by error: these are attributes
of the counters. By target there are counts where a run has several; where it has one, its address
is an attribute of the steps.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from flux.metrics.book import Counted
from flux.metrics.family import Family, Point
from flux.metrics.reading import Reading

PHASE = ("flux.phase", "flux.warmup")
"""Attributes where a run has phases."""

STEP = (
    "flux.step",
    "http.request.method",
    "url.template",
    "server.address",
    "server.port",
    *PHASE,
    "flux.tag.*",
)
"""Attributes of what is told of a step."""

TARGET = ("flux.target", "server.address", "server.port")
STATUS = "http.response.status_code"
ERROR = "error.type"

UNNAMED = "_OTHER"
"""What the convention calls a method, or an error, that has no name."""


def _step_attributes(reading: Reading, phase: str, number: int) -> dict[str, str | int]:
    step = reading.facts.steps[number]
    attributes: dict[str, str | int] = {
        "flux.step": step.name,
        "http.request.method": step.method or UNNAMED,
    }
    if step.path:
        attributes["url.template"] = step.path
    if len(reading.facts.targets) == 1:  # of several, nobody knows which it was
        attributes |= _server(reading, 0)
    attributes |= _phase_attributes(reading, phase)
    return attributes | {f"flux.tag.{name}": text for name, text in step.tags.items()}


def _phase_attributes(reading: Reading, name: str) -> dict[str, str | int]:
    """Nothing in a run without phases."""
    for phase in reading.facts.phases:
        if phase.name == name:
            return {"flux.phase": name, "flux.warmup": str(phase.is_warmup).lower()}
    return {}


def _server(reading: Reading, number: int) -> dict[str, str | int]:
    target = reading.facts.targets[number]
    if not target.host:
        return {}
    return {"server.address": target.host, "server.port": target.port}


def _by_step(reading: Reading) -> Iterator[tuple[dict[str, str | int], Counted]]:
    for (phase, number), counted in reading.page.steps.items():
        yield _step_attributes(reading, phase, number), counted


def _by_target(reading: Reading) -> Iterator[tuple[dict[str, str | int], Counted]]:
    for number, counted in reading.page.targets.items():
        name = reading.facts.targets[number].name
        yield {"flux.target": name, **_server(reading, number)}, counted


_PARTS = {"step": _by_step, "target": _by_target}


def _latencies(part: str, latency: str, reading: Reading) -> Iterator[Point]:
    for attributes, counted in _PARTS[part](reading):
        yield Point(counted.latencies[latency], attributes)


def _lags(reading: Reading) -> Iterator[Point]:
    """Over all steps, as it is the generator's own."""
    for (phase, _), counted in reading.page.steps.items():
        yield Point(counted.latencies["lag"], _phase_attributes(reading, phase))


def _statuses(part: str, reading: Reading) -> Iterator[Point]:
    for attributes, counted in _PARTS[part](reading):
        for status, count in counted.statuses.items():
            yield Point(count, {**attributes, STATUS: status} if status else attributes)


def _errors(part: str, reading: Reading) -> Iterator[Point]:
    for attributes, counted in _PARTS[part](reading):
        for error, count in errors_of(counted).items():
            yield Point(count, {**attributes, ERROR: error})


def errors_of(counted: Counted) -> Mapping[str, int]:
    """How many failed for each reason, those without one included."""
    unnamed = counted.failures - sum(counted.errors.values())
    return {**counted.errors, UNNAMED: unnamed} if unnamed else counted.errors


def _sums(field: str, reading: Reading) -> Iterator[Point]:
    for attributes, counted in _by_step(reading):
        yield Point(getattr(counted, field), attributes)


REQUEST_FAMILIES = (
    Family(
        "http.client.request.duration",
        "histogram",
        "s",
        "Service time: from the start of a request to its end, failures included.",
        partial(_latencies, "step", "service"),
        STEP,
        "service",
    ),
    Family(
        "flux.response.duration",
        "histogram",
        "s",
        "Response time: from when a request was due to its end, failures included.",
        partial(_latencies, "step", "response"),
        STEP,
        "response",
    ),
    Family(
        "flux.schedule.lag",
        "histogram",
        "s",
        "How late the generator started sessions that had a place at once.",
        _lags,
        PHASE,
        "lag",
    ),
    Family(
        "flux.requests",
        "counter",
        "{request}",
        "Requests that ended, by status; without one if there was no response.",
        partial(_statuses, "step"),
        (*STEP, STATUS),
    ),
    Family(
        "flux.requests.failed",
        "counter",
        "{request}",
        "Of these, those that failed, by the kind of error.",
        partial(_errors, "step"),
        (*STEP, ERROR),
    ),
    Family(
        "flux.request.body",
        "counter",
        "By",
        "Bytes of request bodies.",
        partial(_sums, "bytes_out"),
        STEP,
    ),
    Family(
        "flux.response.body",
        "counter",
        "By",
        "Bytes of response bodies, as received.",
        partial(_sums, "bytes_in"),
        STEP,
    ),
    Family(
        "flux.retries",
        "counter",
        "{retry}",
        "Times a request was sent again on a new connection.",
        partial(_sums, "retries"),
        STEP,
    ),
    Family(
        "flux.connections.opened",
        "counter",
        "{connection}",
        "Requests that opened their connection.",
        partial(_sums, "connections"),
        STEP,
    ),
    Family(
        "flux.target.request.duration",
        "histogram",
        "s",
        "Service time by target, where there are several; without warm-up.",
        partial(_latencies, "target", "service"),
        TARGET,
        "service",
    ),
    Family(
        "flux.target.response.duration",
        "histogram",
        "s",
        "Response time by target, where there are several; without warm-up.",
        partial(_latencies, "target", "response"),
        TARGET,
        "response",
    ),
    Family(
        "flux.target.requests",
        "counter",
        "{request}",
        "Requests by target and status, where there are several targets; without warm-up.",
        partial(_statuses, "target"),
        (*TARGET, STATUS),
    ),
    Family(
        "flux.target.requests.failed",
        "counter",
        "{request}",
        "Of these, those that failed, by the kind of error.",
        partial(_errors, "target"),
        (*TARGET, ERROR),
    ),
)
