"""HdrHistogram's `.hgrm`: the percentile distribution as text, for its plotters.

Lines get denser towards 100 %: a fixed number of ticks for each halving of the distance to it.

Source: HdrHistogram's AbstractHistogram.outputPercentileDistribution and PercentileIterator.
"""

import math
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from flux.histogram import layout
from flux.histogram.recorder import Histogram


def percentile_distribution(
    histogram: Histogram,
    *,
    ticks_per_half_distance: int = 5,
    unit_us: float = 1000.0,
    comment: str = "",
) -> str:
    """The text of a `.hgrm` file, as Java's outputPercentileDistribution prints it.

    Args:
        histogram: the values. The mean is the exact one, the values are those of `percentiles`.
        ticks_per_half_distance: lines for each halving of the distance to 100 %.
        unit_us: microseconds in the unit of the value column; 1000 gives milliseconds.
        comment: one more line at the end; plotters pass over it.
    """
    unit_ns = 1000.0 * unit_us
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for level, value_ns, count in _levels(histogram, ticks_per_half_distance):
        share = level / 100.0
        line = f"{_fixed(value_ns / unit_ns, 3):>12} {_fixed(share, 12)} {count:10d}"
        lines.append(line if level == 100.0 else f"{line} {_fixed(1.0 / (1.0 - share), 2):>14}")
    mean = _fixed(histogram.mean_ns / unit_ns, 3)
    deviation = _fixed(histogram.standard_deviation_ns() / unit_ns, 3)
    largest = _fixed(histogram.max_ns / unit_ns, 3)
    lines += [
        f"#[Mean    = {mean:>12}, StdDeviation   = {deviation:>12}]",
        f"#[Max     = {largest:>12}, Total count    = {histogram.count:12d}]",
        f"#[Buckets = {layout.BUCKETS:12d}, SubBuckets     = {layout.SUB_BUCKETS:12d}]",
    ]
    lines += [f"#{' '.join(comment.split())}"] if comment else []
    return "\n".join(lines) + "\n"


def _levels(histogram: Histogram, ticks: int) -> Iterator[tuple[float, int, int]]:
    """Percentage, value in nanoseconds and running count of each line; the last is 100 %."""
    if not histogram.count:
        return
    indexes, counts = histogram.filled()
    running = np.cumsum(counts)
    reached = 100.0 * running / histogram.count
    values_ns = np.clip(layout.highest_us(indexes) * 1000, histogram.min_ns, histogram.max_ns)
    values_ns[-1] = histogram.max_ns
    level = 0.0
    while True:
        position = int(np.searchsorted(reached, level))
        yield level, int(values_ns[position]), int(running[position])
        if position == running.size - 1:
            break
        # Whole halvings so far, plus one: twice the ticks per hundred for each. Java truncates.
        halvings = int(math.log(100.0 / (100.0 - level)) / math.log(2.0)) + 1
        level += 100.0 / (ticks * 2**halvings)
    yield 100.0, histogram.max_ns, histogram.count


def _fixed(value: float, digits: int) -> str:
    """As Java formats %.nf: the shortest decimal that is the double, rounded half up."""
    return f"{Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"
