"""Reading what a tool prints at its end: counts, and percentiles without the values behind them.

k6's summary in both of its shapes, vegeta's JSON report, the text of wrk and wrk2, and `.hgrm`.
Such a file has figures in place of histograms, so nothing can be added up, and no confidence
interval be made.

Source: k6, js/summary.go; vegeta, lib/metrics.go; wrk, src/wrk.c; wrk2, src/wrk.c;
HdrHistogram, AbstractHistogram.outputPercentileDistribution.
"""

import json
import math
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import attrs

from flux.errors import FluxError
from flux.formats.clock_times import epoch_ns, moment_of
from flux.formats.detect import Format
from flux.formats.hlog_text import OWN_COMMENT
from flux.formats.k6_points import RESPONSE_METRIC
from flux.formats.line_blocks import LONGEST_LINE_BYTES, read_head
from flux.formats.reading import LATENCY_OF
from flux.formats.recording import TOTAL, Recording
from flux.rows import Basis
from flux.series import Series
from flux.summary import LATENCIES, StepSummary

QUOTED_FORMATS: Final = frozenset({"k6-summary", "vegeta-report", "wrk", "hgrm"})
"""What this module reads."""

_K6_TRENDS: Final = {"http_req_duration": "service", RESPONSE_METRIC: "response"}
_K6_STATS: Final = {"avg": "mean", "min": "min", "med": "p50", "max": "max"}
_VEGETA_STATS: Final = {
    "mean": "mean",
    "min": "min",
    "max": "max",
    **{f"{percent}th": f"p{percent}" for percent in (50, 90, 95, 99)},
}
_TIMES_NS: Final = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_SIZES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_HGRM_OWN: Final = re.compile(OWN_COMMENT)
_HGRM_PERCENTS: Final = (50, 75, 90, 95, 99, 99.9, 99.99)

_TIME: Final = r"([0-9.]+)(us|ms|s|m|h)"
_WRK_URL: Final = re.compile(r"^Running \S+ test @ (\S+)", re.M)
_WRK_LATENCY: Final = re.compile(rf"^ +Latency +{_TIME} +{_TIME} +{_TIME} ", re.M)
_WRK_PERCENT: Final = re.compile(rf"^ +([0-9.]+)% +{_TIME}\s*$", re.M)
_WRK_DONE: Final = re.compile(rf"^ +(\d+) requests in {_TIME}, ([0-9.]+)([KMGTP]?)B read", re.M)
_WRK_OWN: Final = re.compile(
    rf"^ +Latency Distribution \(flux: ({'|'.join(LATENCIES)}) times\)", re.M
)
_WRK_ERRORS: Final = re.compile(r"^ +Socket errors: (.*)$", re.M)
_WRK_STATUSES: Final = re.compile(r"^ +Non-2xx or 3xx responses: (\d+)", re.M)


def read_quoted(path: pathlib.Path, form: Format, basis: Basis | None = None) -> Recording:
    """The run that such a file is of.

    Args:
        path: the file.
        form: its format, one of QUOTED_FORMATS.
        basis: what its times are counted from, if it does not say so; k6 and wrk always do.

    Raises:
        FluxError: it lacks a figure that there must be, or has something else in its place.
    """
    text = read_head(path, LONGEST_LINE_BYTES).decode("utf-8", errors="replace")
    readers: Mapping[str, Callable[[pathlib.Path, str], Recording]] = {
        "k6-summary": _of_k6,
        "vegeta-report": partial(_of_vegeta, basis=basis),
        "wrk": _of_wrk,
        "hgrm": partial(_of_hgrm, basis=basis),
    }
    try:
        return readers[form](path, text.lstrip("\ufeff"))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else f"is broken: {error}"
        raise FluxError(f"{path} {reason}") from error


def _of_k6(path: pathlib.Path, text: str) -> Recording:
    document = json.loads(text)
    metrics = {name: one.get("values", one) for name, one in document["metrics"].items()}
    requests = _count(metrics["http_reqs"]["count"])
    failed = metrics.get("http_req_failed")
    duration_ms = document.get("state", {}).get("testRunDurationMs")
    if duration_ms is None:
        rate_per_s = _number(metrics["http_reqs"]["rate"])
        duration_ms = 1e3 * requests / rate_per_s if rate_per_s else 0.0
    quoted = {
        latency: dict(_k6_stats(metrics[name]))
        for name, latency in _K6_TRENDS.items()
        if name in metrics
    }
    step = _step(
        requests,
        _count(failed["passes"]) if failed else 0,  # that it failed was true so often
        bytes_out=_count(metrics.get("data_sent", {}).get("count", 0)),
        bytes_in=_count(metrics.get("data_received", {}).get("count", 0)),
    )
    users = metrics.get("vus_max", {}).get("max")
    is_own = RESPONSE_METRIC in metrics  # flux's own has its service time as http_req_duration
    without = "k6's times are without connecting and TLS, which are in flux's service time"
    return attrs.evolve(
        _recording(path, "k6-summary", step, round(_number(duration_ms) * 1e6), quoted),
        has_failures=failed is not None,
        peak_users=None if users is None else _count(users),
        is_own=is_own,
        warnings=() if is_own else (without,),
    )


def _k6_stats(trend: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value_ms in trend.items():
        percent = re.fullmatch(r"p\(([0-9.]+)\)", name)
        known = f"p{float(percent[1]):g}" if percent else _K6_STATS.get(name)
        if known:
            yield known, round(_number(value_ms) * 1e6)


def _of_vegeta(path: pathlib.Path, text: str, basis: Basis | None) -> Recording:
    document = json.loads(text)
    requests = _count(document["requests"])
    failures = requests - round(_number(document["success"]) * requests)
    latencies = document["latencies"]
    quoted = {
        known: round(_number(latencies[name]))
        for name, known in _VEGETA_STATS.items()
        if name in latencies
    }
    step = _step(
        requests,
        failures,
        bytes_out=_count(document["bytes_out"]["total"]),
        bytes_in=_count(document["bytes_in"]["total"]),
        statuses={int(status): _count(times) for status, times in document["status_codes"].items()},
    )
    duration_ns = _count(document["duration"]) + _count(document["wait"])
    latency = LATENCY_OF[basis or "start"]
    recording = _recording(path, "vegeta-report", step, duration_ns, {latency: quoted})
    return attrs.evolve(recording, started_at=moment_of(epoch_ns(document["earliest"])))


def _of_wrk(path: pathlib.Path, text: str) -> Recording:
    done, latency = _WRK_DONE.search(text), _WRK_LATENCY.search(text)
    if done is None or latency is None:
        raise ValueError("it must have lines of `Latency` and `requests in`")
    mean, _, largest = (_time_ns(*latency.group(one, one + 1)) for one in (1, 3, 5))
    quoted = {"mean": mean, "max": largest}
    for found in _WRK_PERCENT.finditer(text):
        quoted[f"p{float(found[1]):g}"] = _time_ns(found[2], found[3])
    broken, refused = _WRK_ERRORS.search(text), _WRK_STATUSES.search(text)
    unanswered = sum(map(int, re.findall(r"\d+", broken[1]))) if broken else 0
    requests = int(done[1])
    step = _step(
        requests,
        min(requests, unanswered + (int(refused[1]) if refused else 0)),
        bytes_in=round(float(done[4]) * _SIZES[done[5]]),
    )
    own = _WRK_OWN.search(text)
    # wrk2 counts from when a request was due; only it writes so.
    name = own[1] if own else "response" if "Recorded Latency" in text else "service"
    warnings = ["wrk's socket errors are taken for failed requests"] if unanswered else []
    if name == "service" and not own:
        warnings.append("wrk waits for each answer before it sends again: a stall hides requests")
    recording = _recording(path, "wrk", step, _time_ns(done[2], done[3]), {name: quoted})
    url = _WRK_URL.search(text)
    requested = {TOTAL: ("", url[1])} if url else {}
    return attrs.evolve(
        recording, is_own=own is not None, requests=requested, warnings=tuple(warnings)
    )


def _of_hgrm(path: pathlib.Path, text: str, basis: Basis | None) -> Recording:
    quoted: dict[str, int] = {}
    lines: list[tuple[float, int]] = []
    count, name, own_latency = 0, "", None
    for line in text.splitlines()[1:]:
        if own := _HGRM_OWN.match(line.rstrip()):
            name, own_latency = own["name"] or "", own["latency"]
        elif line.startswith("#"):
            for name, value in re.findall(r"(Mean|Max|Total count) *= *([0-9.]+)", line):
                if name == "Total count":
                    count = int(value)
                else:
                    quoted[name.lower()] = round(float(value) * 1e6)
        elif line.strip():
            value_ms, _, reached = (_number(float(one)) for one in line.split()[:3])
            lines.append((value_ms, int(reached)))
    for percent in _HGRM_PERCENTS if lines else ():
        # There is a line for some percentiles only, but each says how many values it reaches.
        rank = math.ceil(percent / 100 * lines[-1][1] - 1e-9)
        value_ms = next(value_ms for value_ms, reached in lines if reached >= rank)
        quoted[f"p{percent:g}"] = round(value_ms * 1e6)
    latency = own_latency or LATENCY_OF[basis or "start"]
    guess = "what its times count from is not told: taken as service times, milliseconds"
    return attrs.evolve(
        _recording(path, "hgrm", _step(count, 0), 0, {latency: quoted}),
        name=name,
        has_failures=False,
        is_own=own_latency is not None,
        warnings=() if own_latency or basis else (guess,),
    )


def _step(requests: int, failures: int, **others: Any) -> StepSummary:
    return StepSummary(
        TOTAL, requests=requests, successes=requests - failures, failures=failures, **others
    )


def _recording(
    path: pathlib.Path,
    form: Format,
    step: StepSummary,
    duration_ns: int,
    quoted_ns: Mapping[str, Mapping[str, int]],
) -> Recording:
    return Recording(
        path=path,
        format=form,
        name="",
        started_at=None,
        duration_ns=duration_ns,
        steps=(step,),
        series=Series(),
        latencies=(),
        quoted_ns={TOTAL: quoted_ns},
        columns=frozenset(),
    )


def _number(value: Any) -> float:
    """Raises ValueError unless it is a number from 0 on."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise ValueError(f"a figure must be a number, 0 or more, got {value!r}")
    return float(value)


def _count(value: Any) -> int:
    return int(_number(value))


def _time_ns(text: str, unit: str) -> int:
    return round(float(text) * _TIMES_NS[unit])
