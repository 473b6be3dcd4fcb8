"""Arrivals planned per second: `python -m tests.bench.plan`.

Runs whole plans, from the file to the last due time, as `flux plan` does, on one core; prints the
median of the repeats and their spread.
"""

import pathlib
import statistics
import tempfile
import time

from flux.pipeline import Pipeline, load
from flux.plan import make_plan

REPEATS = 5

HEAD = 'duration = "1h"\nseed = 7\n'
TAIL = '[[stage]]\nuse = "null"\n'
SHAPERS = """
[[stage]]
use = "ramp"
up = "10m"
down = "10m"
[[stage]]
use = "noise"
[[stage]]
use = "spikes"
every = "5m"
factor = 3.0
"""


def pipelines(folder: pathlib.Path) -> dict[str, Pipeline]:
    """Each generator alone, and one under three shapers, at 2000 arrivals per second."""
    found = {}
    for use in ("constant", "uniform", "normal", "exponential", "poisson"):
        found[use] = f'[[stage]]\nuse = "{use}"\nrate = "2000/s"\n'
    found["exponential, ramp, noise, spikes"] = found["exponential"] + SHAPERS
    loaded = {}
    for name, text in found.items():
        file = folder / "bench.toml"
        file.write_text(HEAD + text + TAIL)
        loaded[name] = load(file)
    return loaded


def main() -> None:
    """Measure and print."""
    print(f"{'generator':<34} {'arrivals':>10} {'M/s median':>11} {'min':>7} {'max':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, pipeline in pipelines(pathlib.Path(folder)).items():
            rates = []
            for _ in range(REPEATS):
                since_s = time.perf_counter()
                count = make_plan(pipeline, seed=7).arrivals
                rates.append(count / (time.perf_counter() - since_s) / 1e6)
            median = statistics.median(rates)
            print(f"{name:<34} {count:>10} {median:>11.1f} {min(rates):>7.1f} {max(rates):>7.1f}")


if __name__ == "__main__":
    main()
