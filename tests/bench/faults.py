"""More random pipelines under random faults than the tests have: which of them break a law?

    python -m tests.bench.faults [--first SEED] [--cases N] [--at-once N] [--show]

`--show` prints each case before it is run. See `tests.faults`.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

import trio

from tests.faults.case import make_case
from tests.faults.running import run_cases


def main(arguments: Sequence[str]) -> int:
    """Run the cases; the exit code is 1 if one of them broke a law."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--cases", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--at-once", type=int, default=6, help="how many at a time (default: 6)")
    parser.add_argument("--show", action="store_true", help="print each case first")
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.cases)
    if options.show:
        for seed in seeds:
            print(make_case(seed))
    began_s = time.monotonic()
    reports = trio.run(lambda: run_cases(seeds, at_once=options.at_once))
    broken = [report for report in reports if report.problems]
    for report in broken:
        print(report.case, *report.problems, sep="\n", end="\n\n")
    sessions = sum((Counter(_known(report.sessions)) for report in reports), Counter[str]())
    print(f"{len(reports)} cases in {time.monotonic() - began_s:.0f} s, {len(broken)} broke a law")
    print(", ".join(f"{name} {count:,}" for name, count in sessions.items()))
    return 1 if broken else 0


def _known(sessions: dict[str, int | None]) -> dict[str, int]:
    return {name: count or 0 for name, count in sessions.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
