"""`python -m tests.bench.accuracy`: hold every tool against the exact answer; write the page."""

import argparse
import datetime
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from tests.bench.accuracy.answer import Answer
from tests.bench.accuracy.contender import Contender, Work
from tests.bench.accuracy.flux_runs import Flux
from tests.bench.accuracy.page import Measured, write_page
from tests.bench.accuracy.peers import K6, Hey, Locust, Wrk
from tests.bench.accuracy.seen import Run, median_percentile_s
from tests.bench.accuracy.stall import stalling
from tests.bench.peers.__main__ import CACHE, PROJECT
from tests.bench.peers.children import ChildFailed, raise_on_sigterm, run_child
from tests.bench.peers.installation import (
    binaries_in,
    install_missing,
    missing_commands,
    prepare_cache,
)
from tests.bench.peers.machine import Cores, choose_cores, describe_machine, pinned
from tests.bench.peers.measure import interleaved
from tests.bench.peers.target import open_target
from tests.bench.peers.tools import ToolMissing, output_of

PAGE = PROJECT / "docs" / "accuracy.md"

RATE_PER_S = 500
SECONDS = 10
FROZEN_S = 2.0
FROZEN_AFTER_S = 4.0
USERS = 50
"""Of the closed model, as many as share 500 requests per second at ten each."""

LIMIT_S = 60.0


def contenders(binaries: pathlib.Path) -> tuple[Contender, ...]:
    """Everybody, in the order of the table.

    Args:
        binaries: where k6 and Locust are installed.
    """
    return (
        Flux("flux wire"),
        Flux("flux httpx", client="httpx"),
        Flux("flux wire, 2 processes", processes=2),
        Flux("flux wire, shards 0/2 + 1/2", comes_from="shards"),
        Flux("flux wire, from its csv rows", comes_from="csv"),
        K6(binaries, "k6, 1,500 VUs", virtual_users=1_500),
        K6(binaries, "k6, 100 VUs", virtual_users=100),
        Flux("flux, 50 users with pace", model="closed"),
        Locust(binaries),
        Hey(),
        Wrk(),
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code is 0 unless nothing could be measured."""
    options = _parse(arguments)
    raise_on_sigterm()
    prepare_cache(CACHE)
    if options.install:
        install_missing(CACHE)
    if "nginx" in missing_commands():
        _say("nginx is missing: run with --install, or apt-get install nginx-light")
        return 1
    chosen = [
        one
        for one in contenders(binaries_in(CACHE))
        if not options.only or one.name in options.only
    ]
    versions, skipped = _versions(chosen)
    runs = _measure([one for one in chosen if one.name in versions], options.repeats, skipped)
    measured = [
        Measured(one, versions[one.name], tuple(runs[one.name]))
        for one in chosen
        if runs.get(one.name)
    ]
    facts = {
        "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **describe_machine(),
        "rounds": str(options.repeats),
        "nginx": output_of(["nginx", "-v"]).strip().removeprefix("nginx version: "),
    }
    before = options.output.read_text() if options.output and options.output.exists() else ""
    page = write_page(measured, skipped, _work(""), FROZEN_S, facts, before)
    print(page)
    if options.output:
        options.output.write_text(page)
    return 0 if measured else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    names = [one.name for one in contenders(binaries_in(CACHE))]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accuracy", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="may be given repeatedly")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--install", action="store_true", help="first install what is missing")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help=f"page to write (default: docs/{PAGE.name}; with --only: none)",
    )
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    if options.output is None and not options.only:
        options.output = PAGE
    return options


def _versions(chosen: Sequence[Contender]) -> tuple[dict[str, str], dict[str, str]]:
    """Contender → version, and contender → why there is none."""
    versions: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for one in chosen:
        try:
            versions[one.name] = one.version()
        except ToolMissing as error:
            skipped[one.name] = str(error)
    return versions, skipped


def _measure(
    chosen: Sequence[Contender], rounds: int, skipped: dict[str, str]
) -> dict[str, list[Run]]:
    """Run everybody in turn; whoever fails is left out from there on."""
    cores = choose_cores()
    by_name = {one.name: one for one in chosen}
    runs: dict[str, list[Run]] = {name: [] for name in by_name}
    for number, name in interleaved(list(by_name), rounds):
        if name in skipped:
            continue
        try:
            run = _run(by_name[name], cores)
        except ChildFailed as error:
            skipped[name] = str(error)
            _say(f"{name} is left out: {error}")
            continue
        runs[name].append(run)
        p90, p99 = (median_percentile_s([run], percent) for percent in (90, 99))
        _say(f"{number}: {name:30} p90 {p90:.4f} s, p99 {p99:.4f} s, sent {run.seen.sent:,}")
    return runs


def _run(contender: Contender, cores: Cores) -> Run:
    with (
        open_target(cores.target) as target,
        tempfile.TemporaryDirectory(prefix="flux-bench-run-") as name,
    ):
        folder = pathlib.Path(name)
        job = contender.job(_work(target.url))
        for path, text in job.files.items():
            (folder / path).write_text(text)
        with stalling(target, after_s=FROZEN_AFTER_S, for_s=FROZEN_S) as stall:
            child = run_child(
                pinned(job.command, cores.generator),
                folder,
                limit_s=LIMIT_S,
                environment=job.environment,
            )
        if not stall.frozen_s:
            raise ChildFailed(f"it ended before the freeze: {(child.stdout + child.stderr)[-500:]}")
        try:
            seen = job.read(child, folder)
        except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
            printed = (child.stdout + child.stderr)[-500:]
            raise ChildFailed(f"exit {child.exit_code}, {error!r}: {printed}") from error
    return Run(seen, Answer(SECONDS, stall.frozen_s))


def _work(url: str) -> Work:
    return Work(base_url=url, rate_per_s=RATE_PER_S, seconds=SECONDS, users=USERS)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
