"""Statistics that the tests of random stages need."""

import numpy as np
import numpy.typing as npt


def exponential_distance(gaps: npt.NDArray[np.float64]) -> float:
    """Kolmogorov–Smirnov distance of gaps from the exponential distribution of mean 1, times √n.

    For true exponential gaps it exceeds 1.95 once in a thousand.
    """
    expected = -np.expm1(-np.sort(gaps))
    steps = np.arange(len(gaps) + 1) / len(gaps)
    above, below = np.abs(expected - steps[:-1]).max(), np.abs(expected - steps[1:]).max()
    return float(max(above, below) * np.sqrt(len(gaps)))


def dispersion(due_ns: npt.NDArray[np.int64], window_ns: int, duration_ns: int) -> float:
    """Variance over mean of the counts in windows: 1 for a Poisson process, 0 for a clock."""
    counts = np.bincount(due_ns // window_ns, minlength=duration_ns // window_ns)
    counts = counts[: duration_ns // window_ns]
    return float(counts.var() / counts.mean())
