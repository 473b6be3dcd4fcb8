"""`python -m tests.bench.peers`: measure flux beside its peers and write the page in docs/."""

import argparse
import datetime
import pathlib
import sys
from collections.abc import Sequence

from tests.bench.peers.children import ChildFailed, raise_on_sigterm
from tests.bench.peers.installation import (
    DEBIAN_PACKAGES,
    binaries_in,
    install_missing,
    missing_commands,
    prepare_cache,
)
from tests.bench.peers.machine import choose_cores, describe_machine
from tests.bench.peers.measure import Outcome
from tests.bench.peers.report import Circumstances, write_page
from tests.bench.peers.scenarios import Scenario, all_scenarios
from tests.bench.peers.sitting import Sitting
from tests.bench.peers.tools import ToolMissing, output_of

PROJECT = pathlib.Path(__file__).parents[3]
PAGE = PROJECT / "docs" / "benchmarks.md"
CACHE = PROJECT / ".bench"


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit code is 0 unless nothing could be measured."""
    options = _parse(arguments)
    raise_on_sigterm()
    prepare_cache(CACHE)
    if options.install:
        install_missing(CACHE)
    if "nginx" in missing_commands():
        _say(f"nginx is missing: run with --install, or apt-get install {DEBIAN_PACKAGES['nginx']}")
        return 1
    scenarios = [
        each
        for each in all_scenarios(binaries_in(CACHE))
        if not options.only or each.name in options.only
    ]
    circumstances = Circumstances(
        day=datetime.datetime.now(datetime.UTC).date(),
        machine=describe_machine(),
        versions=_versions(scenarios),
        seconds=options.seconds,
        rounds=options.repeats,
        command=" ".join(["python -m tests.bench.peers", *arguments]),
    )
    outcomes = _measure(scenarios, options)
    before = options.output.read_text() if options.output and options.output.exists() else ""
    page = write_page(circumstances, outcomes, before)
    print(page)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(page)
    return 0 if any(outcome.readings for outcome in outcomes) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    names = [each.name for each in all_scenarios(binaries_in(CACHE))]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="may be given repeatedly")
    parser.add_argument("--seconds", type=int, default=4, help="length of a run (default: 4)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--attempts", type=int, default=3, help="tries of a disturbed run (3)")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 s, for a first look")
    parser.add_argument("--install", action="store_true", help="first install what is missing")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help=f"page to write (default: docs/{PAGE.name}; with --only or --quick: none)",
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.repeats, options.attempts = 2, 2, 1
    if min(options.seconds, options.repeats, options.attempts) < 1:
        parser.error("--seconds, --repeats and --attempts must be at least 1")
    if options.output is None and not options.only and not options.quick:
        options.output = PAGE
    return options


def _versions(scenarios: Sequence[Scenario]) -> dict[str, str]:
    found = {"nginx": output_of(["nginx", "-v"]).strip().removeprefix("nginx version: ")}
    for tool in (each.tool for scenario in scenarios for each in scenario.contenders):
        label = "flux" if tool.name.startswith(("flux", "1 ", "2 ")) else tool.name
        if label in found:
            continue
        try:
            found[label] = tool.version()
        except (ToolMissing, ChildFailed) as error:
            found[label] = str(error)
    return found


def _measure(scenarios: Sequence[Scenario], options: argparse.Namespace) -> list[Outcome]:
    cores = choose_cores()
    if not cores.apart:
        _say("there is only one core: the target and the generators compete for it")
    sitting = Sitting(
        cores=cores,
        seconds=options.seconds,
        rounds=options.repeats,
        attempts=options.attempts,
        say=_say,
    )
    outcomes = []
    for scenario in scenarios:
        _say(f"{scenario.name}: {scenario.title}")
        outcomes.append(sitting.measure(scenario))
    return outcomes


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
