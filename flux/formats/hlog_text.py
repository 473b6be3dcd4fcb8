"""flux's own logs of intervals: a line per step, whose name is the tag.

A comment says which latency the log has, as HdrHistogram's format has no place for that.
"""

from collections.abc import Iterable
from typing import Final

from flux.histogram import Histogram, log_header, log_line
from flux.summary import LATENCIES, StepSummary

OWN_COMMENT: Final = rf"#flux (?:(?P<name>.*) )?(?P<latency>{'|'.join(LATENCIES)}) times$"
"""The comment as it stands in a file, as a regular expression."""


def own_comment(name: str, latency: str) -> str:
    """What flux says in a comment, here and in the other formats of HdrHistogram.

    Args:
        name: of the pipeline; empty if not known.
        latency: which latency it is.
    """
    return f"flux {name} {latency} times"


def own_header(name: str, latency: str, started_s: float) -> str:
    """The lines before the first interval.

    Args:
        name: of the pipeline.
        latency: which latency the log has.
        started_s: when the run began, seconds since 1970.
    """
    return log_header(started_s, own_comment(name, latency))


def interval_text(steps: Iterable[StepSummary], latency: str, start_ns: int, end_ns: int) -> str:
    """The lines of one interval: one for each step of which there is something to tell."""
    return "".join(
        log_line(histogram, start_ns / 1e9, (end_ns - start_ns) / 1e9, tag=step.name or None)
        for step in steps
        if (histogram := _histogram(step, latency)).count
    )


def _histogram(step: StepSummary, latency: str) -> Histogram:
    histogram: Histogram = getattr(step, latency)
    return histogram
