"""Fewer points for the same picture: what stood out still does.

A chart some hundred pixels wide cannot show more points than that. Of each of many equal stretches
the lowest and the highest value stay where they are, so no spike is lost, however short.
"""

import numpy as np
import numpy.typing as npt

MOST_POINTS = 1000
"""Points of a line that are worth drawing."""


def thin(values: npt.NDArray[np.float64], most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """Which values to keep.

    Args:
        values: (n,) in order of time; NaN where there is none.
        most: how many to keep, 4 or more.

    Returns:
        (m,) indexes, ascending, m ≤ most: all if n ≤ most; else the first, the last, and of each
        of equal stretches the lowest and the highest. A stretch without values keeps one NaN, so
        that a line has a gap there.
    """
    if values.size <= most:
        return np.arange(values.size)
    edges = np.linspace(0, values.size, (most - 2) // 2 + 1).astype(np.int64)
    lows = np.where(np.isnan(values), np.inf, values)
    highs = np.where(np.isnan(values), -np.inf, values)
    kept = [0, values.size - 1]
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist()):
        kept += (start + int(lows[start:end].argmin()), start + int(highs[start:end].argmax()))
    return np.unique(np.array(kept, np.int64))


def evenly(size: int, most: int) -> npt.NDArray[np.int64]:
    """Indexes of at most so many of `size` things, evenly spread, both ends among them."""
    return np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(np.int64))
