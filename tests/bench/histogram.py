"""Speed of histograms: `python -m tests.bench.histogram`, a few seconds, one core.

Each figure is the median of repeated runs; "spread" is the fastest and the slowest of them.
"""

import pickle
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from flux import histogram

ROUNDS = 9
SECONDS_PER_ROUND = 0.02
PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0)
STEPS = 4


def main() -> None:
    """Print the page."""
    generator = np.random.default_rng(20)
    print(f"numpy {np.__version__}; values are log-normal, median 5 ms, unless said otherwise\n")
    print(f"{'':44}{'median':>12}{'spread':>18}")
    for rows in (64, 1024, 8192, 65536):
        values_ns = _durations_ns(generator, rows)
        steps = generator.integers(0, STEPS, rows).astype(np.int32)
        print(f"\nbatches of {rows} values: million values per second")
        _rate("Histogram.record", rows, _recording(values_ns))
        _rate("  the same value throughout", rows, _recording(np.full_like(values_ns, 5_000_000)))
        _rate("  divide, shift, bincount (other way)", rows, _bincounting(values_ns))
        _rate(f"HistogramSet.record, {STEPS} steps", rows, _grouping(values_ns, steps))
        _rate("  by a mask per step (other way)", rows, _masking(values_ns, steps))
        print("million rows per second")
        _rate(f"4 columns, {STEPS} steps, as a collector", rows, _collecting(values_ns, steps))
    print("\nmillion values per second, one call each")
    values_us = (_durations_ns(generator, 1024) // 1000).tolist()
    _rate("hdrh.record_value (pure Python)", len(values_us), _oracle(values_us))
    _print_reading(generator)


def _print_reading(generator: np.random.Generator) -> None:
    whole = histogram.Histogram()
    whole.record(_durations_ns(generator, 1_000_000))
    text = histogram.encode(whole)
    pickled = pickle.dumps(whole)
    total = histogram.Histogram()
    print(
        f"\none histogram of {whole.count} values, {whole.filled()[0].size} buckets: microseconds"
    )
    _time(f"{len(PERCENTS)} percentiles", lambda: whole.percentiles(PERCENTS))
    _time("merge", lambda: total.merge(whole))
    _time("copy", whole.copy)
    _time("standard_deviation_ns", whole.standard_deviation_ns)
    _time(f"encode, {len(text)} characters", lambda: histogram.encode(whole))
    _time("decode", lambda: histogram.decode(text))
    _time(f"pickle, {len(pickled)} bytes", lambda: pickle.dumps(whole))
    _time("unpickle", lambda: pickle.loads(pickled))
    _time("percentile_distribution", lambda: histogram.percentile_distribution(whole))


def _durations_ns(generator: np.random.Generator, rows: int) -> npt.NDArray[np.int64]:
    return generator.lognormal(np.log(5e6), 1.0, rows).astype(np.int64)


def _recording(values_ns: npt.NDArray[np.int64]) -> Callable[[], object]:
    recorder = histogram.Histogram()
    return lambda: recorder.record(values_ns)


def _grouping(
    values_ns: npt.NDArray[np.int64], steps: npt.NDArray[np.int32]
) -> Callable[[], object]:
    recorders = histogram.HistogramSet(STEPS)
    return lambda: recorders.record(values_ns, steps)


def _masking(
    values_ns: npt.NDArray[np.int64], steps: npt.NDArray[np.int32]
) -> Callable[[], object]:
    recorders = [histogram.Histogram() for _ in range(STEPS)]

    def record() -> None:
        for step, recorder in enumerate(recorders):
            recorder.record(values_ns[steps == step])

    return record


def _collecting(
    values_ns: npt.NDArray[np.int64], steps: npt.NDArray[np.int32]
) -> Callable[[], object]:
    columns = [values_ns, values_ns // 2, values_ns // 4, values_ns // 1000]
    recorders = [histogram.HistogramSet(STEPS) for _ in columns]

    def record() -> None:
        for column, recorder in zip(columns, recorders):
            recorder.record(column, steps)

    return record


def _bincounting(values_ns: npt.NDArray[np.int64]) -> Callable[[], object]:
    """What record would be with integer division, a comparison and bincount."""
    counts = np.zeros(histogram.COUNTS_LENGTH, dtype=np.int64)

    def record() -> None:
        values_us = (values_ns + 500) // 1000
        shift = np.maximum(np.frexp(values_us.astype(np.float64))[1] - 11, 0)
        indexes = (values_us >> shift) + (shift << 10)
        first = int(indexes.min())
        found = np.bincount(indexes - first)
        counts[first : first + found.size] += found
        values_ns.sum(), values_ns.min(), values_ns.max()

    return record


def _oracle(values_us: list[int]) -> Callable[[], object]:
    oracle = HdrHistogram(1, 3_600_000_000, 3)

    def record() -> None:
        for value_us in values_us:
            oracle.record_value(value_us)

    return record


def _rate(name: str, rows: int, work: Callable[[], object]) -> None:
    rates = [rows / seconds / 1e6 for seconds in _seconds(work)]
    _print(name, rates)


def _time(name: str, work: Callable[[], object]) -> None:
    _print(name, [1e6 * seconds for seconds in _seconds(work)])


def _print(name: str, figures: list[float]) -> None:
    spread = f"{min(figures):.1f} … {max(figures):.1f}"
    print(f"  {name:42}{np.median(figures):12.1f}{spread:>18}")


def _seconds(work: Callable[[], object]) -> list[float]:
    """Seconds per call, once for each round."""
    started = time.perf_counter()
    work()
    repeats = max(1, int(SECONDS_PER_ROUND / (time.perf_counter() - started)))
    figures = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        figures.append((time.perf_counter() - started) / repeats)
    return figures


if __name__ == "__main__":
    main()
