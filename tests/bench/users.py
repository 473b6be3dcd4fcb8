"""Ten thousand users on one machine: what each takes of memory, and how late it is.

    python -m tests.bench.users [--users 10000] [--seconds 15] [--identity user]

About 40 seconds, needs nginx. The whole pipeline runs: users join over five seconds, think for two
seconds in the mean (exponential), and ask over the wire client, whose results are collected. nginx
has one core and the generator another. Memory is the largest resident set of the run less that of
the same run with ten users, each in a process of its own; connections are the pool's, which users
share. Lag counts from when a user was to join, or its think time was over.
"""

import argparse
import datetime
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import trio

from flux.clock import LiveClock
from flux.engine import prepare_stages, run_pipeline
from flux.garbage import seldom_collected
from flux.histogram import Histogram
from flux.pipeline import load
from flux.stage import Run
from tests.bench.peers.machine import choose_cores, describe_machine, pinned
from tests.bench.peers.target import open_target

FEW = 10

PIPELINE = """
    duration = "{seconds}s"
    seed = 7
    [[stage]]
    use = "users"
    users = {users}
    think = {{ use = "exponential", every = "2s" }}
    [[stage]]
    use = "ramp"
    up = "5s"
    [[stage]]
    use = "http"
    target = "{url}"
    identity = "{identity}"
    let = {{ name = "user-{{{{random.text(8)}}}}" }}
    [[stage.step]]
    get = "/health"
    headers = {{ x-user = "{{{{name}}}}" }}
"""


def main() -> None:
    """Measure and print, or as a child make one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--identity", choices=["iteration", "user"], default="user")
    parser.add_argument("--url", help="make one run against this, as a child")
    options = parser.parse_args()
    if options.url:
        print(json.dumps(trio.run(_run, PIPELINE.format(**vars(options)))))
        return
    for fact, text in describe_machine().items():
        print(f"{fact}: {text}")
    cores = choose_cores()
    with open_target(cores.target) as target:
        few, many = (
            _run_child(users, options.seconds, options.identity, target.url, cores.generator)
            for users in (FEW, options.users)
        )
    grown_kb = many["largest resident set, kB"] - few["largest resident set, kB"]
    print(f"\n{options.users:,} users, identity = {options.identity!r}, think 2 s on average")
    for figure, value in many.items():
        print(f"  {figure:36}{value:14,.2f}")
    print(f"  {'kB per user':36}{grown_kb / (options.users - FEW):14,.2f}")


def _run_child(users: int, seconds: int, identity: str, url: str, core: int) -> dict[str, float]:
    arguments = ["--users", str(users), "--seconds", str(seconds), "--identity", identity]
    command = [sys.executable, "-m", "tests.bench.users", *arguments, "--url", url]
    limit_s = seconds + 60
    done = subprocess.run(
        pinned(command, core), capture_output=True, text=True, check=True, timeout=limit_s
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def _run(text: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "users.toml"
        file.write_text(text)
        pipeline = load(file, environment={})
    prepared = await prepare_stages(pipeline)
    run = Run(
        name="users",
        seed=7,
        duration_ns=pipeline.settings.duration,
        tick_ns=pipeline.settings.tick,
        drain_ns=pipeline.settings.drain,
        started_at=datetime.datetime.now(datetime.UTC),
        clock=LiveClock(trio.current_time() + 0.1),
    )
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    with seldom_collected():
        result = await run_pipeline(pipeline, run, prepared=prepared)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    if result.summary is None or result.failures:
        raise SystemExit(f"the run failed: {result.failures}")
    total = result.summary.total
    return {
        "iterations": result.summary.sessions.started,
        "failures": total.failures,
        "connections opened": total.connections,
        "is valid": float(result.summary.is_valid),
        "core used, %": 100 * cpu_s / wall_s,
        **_milliseconds("lag", total.lag),
        **_milliseconds("service", total.service),
        "largest resident set, kB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def _milliseconds(name: str, histogram: Histogram) -> dict[str, float]:
    figures = {f"{name} p{p}, ms": histogram.percentile(p) / 1e6 for p in (50, 99)}
    return figures | {f"{name} max, ms": histogram.max_ns / 1e6}


if __name__ == "__main__":
    main()
