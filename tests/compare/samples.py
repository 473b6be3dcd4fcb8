"""Runs made of random response times, for tests of what compares them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flux.collection import Collection
from flux.compare.recorded import Recorded
from flux.histogram import Histogram
from flux.schemas import OUTCOME, Flag
from flux.summary import Summary
from tests.outcomes import SECOND_NS, make_context

Times = npt.NDArray[np.float64]


def histogram_of(values_ns: Times) -> Histogram:
    """A histogram of these values."""
    histogram = Histogram()
    histogram.record(values_ns.astype(np.int64))
    return histogram


def summary_of(
    times_ns: Times, *, seconds: int = 40, failed: float = 0.0, steps: Sequence[str] = ("buy",)
) -> Summary:
    """A run with these response times, evenly over its length, steps taking turns."""
    count = len(times_ns)
    rows = OUTCOME.empty(count)
    rows["seq"] = rows["session"] = np.arange(count)
    rows["step"] = np.arange(count) % len(steps)
    rows["due_ns"] = rows["start_ns"] = np.arange(count) * seconds * SECOND_NS // count
    rows["end_ns"] = rows["start_ns"] + times_ns.astype(np.int64)
    rows["status"] = 200
    ended = int(Flag.FIRST | Flag.LAST)
    is_failed = np.arange(count) < failed * count
    rows["flags"] = np.where(is_failed, ended, ended | int(Flag.SUCCESS | Flag.SESSION_SUCCESS))
    collection = Collection(steps, SECOND_NS)
    collection.add(rows)
    return list(collection.finish(seconds * SECOND_NS, count))[-1]


def recorded(name: str, summary: Summary, *, is_valid: bool | None = True) -> Recorded:
    """The run under a name."""
    return Recorded(name, summary, make_context().run, is_valid)


def dependent_times(count: int, memory: float, random: np.random.Generator) -> Times:
    """Response times around 20 ms of which each resembles the one before it.

    They are exp of a process of order 1 whose marginal distribution is normal: lognormal times, of
    which all quantiles are known.
    """
    noise = random.standard_normal(count) * np.sqrt(1 - memory**2)
    values = np.empty(count)
    value = float(random.standard_normal())
    for index, one in enumerate(noise.tolist()):
        value = memory * value + one
        values[index] = value
    return 20e6 * np.exp(0.3 * values)
