"""Speed of the collector: `python -m tests.bench.collector`, a few seconds, one core.

Rows are those of a run at 100,000 requests per second, so intervals are closed and what is under
way is settled as in real life. Each figure is the median of repeated runs; "spread" is the slowest
and the fastest of them. With phases a warm-up comes first and then phases of 10 s; where two meet,
an interval has rows of both.
"""

import time
from collections.abc import Sequence

import numpy as np

from flux.collection import Collection
from flux.phases import Phase
from flux.schemas import OUTCOME, ErrorCode, Flag, Rows, read_only

ROUNDS = 5
RATE_PER_S = 100_000
SECOND_NS = 10**9


def main() -> None:
    """Print the page."""
    print(f"numpy {np.__version__}; {RATE_PER_S} requests per second, 1 % failures, median 5 ms\n")
    print(f"{'steps':>6}{'batch':>8}{'M rows/s':>10}{'spread':>16}{'µs/batch':>10}{'worst ms':>10}")
    for steps in (1, 2, 4):
        for size in (64, 1024, 8192):
            _print_rate(steps, size)
    print("\nwith phases")
    for size in (64, 1024, 8192):
        _print_rate(1, size, warmup_and_phases())


def warmup_and_phases() -> tuple[Phase, ...]:
    """A warm-up of 1.5 s, so that the shortest run has two phases, and then one every 10 s."""
    starts_ns = [0, *range(SECOND_NS * 3 // 2, 40 * SECOND_NS, 10 * SECOND_NS)]
    return tuple(
        Phase(f"phase-{number}", start_ns, None, is_warmup=not number)
        for number, start_ns in enumerate(starts_ns)
    )


def outcome_rows(count: int, steps: int) -> Rows:
    """Requests in order of completion; sessions of `steps` requests each."""
    generator = np.random.default_rng(20)
    rows = OUTCOME.empty(count)
    numbers = np.arange(count)
    service_ns = generator.lognormal(np.log(5e6), 1.0, count).astype(np.int64)
    rows["seq"] = rows["session"] = numbers // steps
    rows["step"] = numbers % steps
    rows["end_ns"] = SECOND_NS + numbers * SECOND_NS // RATE_PER_S
    rows["start_ns"] = rows["end_ns"] - np.minimum(service_ns, SECOND_NS // 2)
    rows["due_ns"] = rows["start_ns"] - generator.integers(0, 200_000, count)
    rows["first_byte_ns"] = rows["end_ns"] - 100_000
    rows["status"], rows["bytes_out"], rows["bytes_in"] = 200, 100, 500
    is_failure = generator.random(count) < 0.01
    rows["status"][is_failure] = 503
    rows["error"][is_failure] = ErrorCode.STATUS
    rows["flags"] = np.where(is_failure, 0, int(Flag.SUCCESS))
    rows["flags"][rows["step"] == 0] |= int(Flag.FIRST)
    rows["flags"][rows["step"] == steps - 1] |= int(Flag.LAST | Flag.SESSION_SUCCESS)
    return rows


def _print_rate(steps: int, size: int, phases: Sequence[Phase] = ()) -> None:
    rows = outcome_rows(400 * max(size, 512), steps)
    batches = [read_only(rows[at : at + size]) for at in range(0, len(rows), size)]
    rates, worst_s = [], []
    for _ in range(ROUNDS):
        whole, worst = _seconds(steps, batches, phases)
        rates.append(len(rows) / whole / 1e6)
        worst_s.append(worst)
    spread = f"{min(rates):.2f} … {max(rates):.2f}"
    rate = float(np.median(rates))
    print(
        f"{steps:>6}{size:>8}{rate:>10.2f}{spread:>16}{size / rate:>10.0f}"
        f"{1000 * float(np.median(worst_s)):>10.2f}"
    )


def _seconds(steps: int, batches: Sequence[Rows], phases: Sequence[Phase]) -> tuple[float, float]:
    """How long all of them take, intervals closed as they end, and the longest single batch."""
    collection = Collection([str(step) for step in range(steps)], SECOND_NS, phases=phases)
    worst_s = 0.0
    began_s = time.perf_counter()
    for batch in batches:
        before_s = time.perf_counter()
        collection.add(batch)
        for _ in collection.close(collection.newest_ns - SECOND_NS // 4):
            pass
        worst_s = max(worst_s, time.perf_counter() - before_s)
    for _ in collection.finish(0, None):
        pass
    return time.perf_counter() - began_s, worst_s


if __name__ == "__main__":
    main()
