"""wrk's text, from a recording, for scripts that look for `Requests/sec:` and the like.

Threads and connections are not known: there is one of the former, and as many of the latter as
there were users at once. The figures per second are those of the whole rows of the series, without
warm-up. Behind the words "Latency Distribution", where wrk2 says how it counts, stands which
latency it is.

Source: wrk, src/wrk.c and src/units.c; the layout of its lines is kept to the column.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from flux.formats.recording import Recording
from flux.histogram import Histogram

_PERCENTS: Final = (50, 75, 90, 99)
TIMES: Final = (1000.0, ("us", "ms", "s"))
"""Scale and names of the units of time."""
COUNTS: Final = (1000.0, ("", "k", "M", "G", "T", "P"))
"""Scale and names of the units of counts."""
_BYTES: Final = (1024.0, ("", "K", "M", "G", "T", "P"))
_NEXT_UNIT: Final = 0.85  # of the next unit is enough for wrk to use it

_SOCKET_ERRORS: Final = {
    "connect": ("refused", "unreachable", "connect_timeout", "dns", "tls", "proxy"),
    "read": ("reset", "closed", "protocol", "decode"),
    "write": ("request",),
    "timeout": ("timeout",),
}


def wrk_text(recording: Recording, latency: str, url: str) -> str:
    """The text.

    Args:
        recording: of the run.
        latency: which latency the times are.
        url: where the requests went.
    """
    return "\n".join(_lines(recording, latency, url)) + "\n"


def _lines(recording: Recording, latency: str, url: str) -> Iterator[str]:
    total = recording.total
    histogram: Histogram = getattr(total, latency)
    seconds = recording.measured_s
    yield f"Running {seconds:.0f}s test @ {url}"
    yield f"  1 threads and {recording.peak_users or 0} connections"
    yield f"  Thread Stats{'Avg':>6}{'Stdev':>11}{'Max':>8}{'+/- Stdev':>12}"
    yield stats_line("Latency", _moments(histogram), TIMES)
    yield stats_line("Req/Sec", _rates(recording), COUNTS)
    yield f"  Latency Distribution (flux: {latency} times)"
    for percent in _PERCENTS:
        yield f"{percent:7.0f}%{_padded(_scaled(histogram.percentile(percent) / 1e3, TIMES), 10)}"
    length = _scaled(seconds * 1e6, TIMES)
    yield f"  {total.requests} requests in {length}, {_scaled(total.bytes_in, _BYTES)}B read"
    errors = {
        name: sum(total.errors.get(error, 0) for error in kinds)
        for name, kinds in _SOCKET_ERRORS.items()
    }
    if any(errors.values()):
        yield "  Socket errors: " + ", ".join(f"{name} {count}" for name, count in errors.items())
    others = sum(count for status, count in total.statuses.items() if status >= 400)
    if others:
        yield f"  Non-2xx or 3xx responses: {others}"
    per_s = total.requests / seconds if seconds else 0.0
    bytes_per_s = total.bytes_in / seconds if seconds else 0.0
    yield f"Requests/sec: {per_s:9.2f}"
    yield f"Transfer/sec: {_scaled(bytes_per_s, _BYTES):>10}B"


def _moments(histogram: Histogram) -> tuple[float, float, float, float]:
    """Mean, deviation and maximum in microseconds, and the share within one deviation."""
    mean_ns, deviation_ns = histogram.mean_ns, histogram.standard_deviation_ns()
    inside = histogram.count_at_or_below(round(mean_ns + deviation_ns))
    below_ns = round(mean_ns - deviation_ns) - 1
    inside -= histogram.count_at_or_below(below_ns) if below_ns >= 0 else 0
    share = 100 * inside / histogram.count if histogram.count else 0.0
    return mean_ns / 1e3, deviation_ns / 1e3, histogram.max_ns / 1e3, share


def _rates(recording: Recording) -> tuple[float, float, float, float]:
    """The same of requests per second, by the whole rows of the series without warm-up."""
    series = recording.series
    rows = series.rows[series.whole_rows(recording.duration_ns, recording.warmups_ns)]
    if not len(rows):
        return recording.rate_per_s, 0.0, recording.rate_per_s, 100.0
    rates = rows["requests"] / (series.width_ns / 1e9)
    mean, deviation = float(rates.mean()), float(rates.std())
    share = 100 * float((np.abs(rates - mean) <= deviation).mean())
    return mean, deviation, float(rates.max()), share


def stats_line(
    name: str, figures: tuple[float, float, float, float], units: tuple[float, Sequence[str]]
) -> str:
    """The line of one figure: mean, deviation, maximum, and the share within one deviation."""
    mean, deviation, largest, share = figures
    texts = (
        _padded(_scaled(mean, units), 8),
        _padded(_scaled(deviation, units), 10),
        _padded(_scaled(largest, units), 9),
    )
    return f"    {name:<10}{''.join(texts)}{share:8.2f}%"


def _scaled(value: float, units: tuple[float, Sequence[str]]) -> str:
    scale, names = units
    name, *bigger = names
    for one in bigger:
        if value < scale * _NEXT_UNIT:
            break
        value, name = value / scale, one
    return f"{value:.2f}{name}"


def _padded(text: str, width: int) -> str:
    """Digits end in one column: a unit of one letter is followed by a blank, none by two."""
    letters = len(text) - len(text.rstrip("abcdefghijklmnopqrstuvwxyzGKMPT"))
    return text.rjust(width - (2 - letters)) + " " * (2 - letters)
