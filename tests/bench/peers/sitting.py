"""One sitting: the targets, the warm-up, the rounds."""

import contextlib
import pathlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import attrs

from tests.bench.peers.children import ChildFailed, ChildRun, run_child
from tests.bench.peers.machine import Cores, pinned
from tests.bench.peers.measure import Outcome, Reading, interleaved, reading_of
from tests.bench.peers.scenarios import Contender, Scenario
from tests.bench.peers.target import Target, open_target
from tests.bench.peers.tools import Figures, ToolMissing, Work

WARM_UP_S = 1
"""Length of the run before the rounds, whose figures are thrown away."""


@attrs.frozen
class Sitting:
    """How all scenarios of one sitting are measured."""

    cores: Cores
    seconds: int
    rounds: int
    attempts: int
    """How often a run of the closed loop is tried when neither side was busy all the time."""
    say: Callable[[str], None]
    """Progress, a line at a time."""

    def measure(self, scenario: Scenario) -> Outcome:
        """Warm up, then run the rounds; a contender that fails is left out from there on."""
        skipped = self._missing(scenario)
        readings: list[Reading] = []
        with self._targets(scenario) as targets:
            if scenario.seconds != 0:
                self._warm_up(scenario, targets, skipped)
            by_name = {each.tool.name: each for each in scenario.contenders}
            for number, name in interleaved(list(by_name), scenario.rounds or self.rounds):
                if name in skipped:
                    continue
                try:
                    reading = self._undisturbed(scenario, by_name[name], targets, number)
                except ChildFailed as error:
                    self._skip(scenario, name, str(error), skipped)
                    continue
                readings.append(reading)
        return Outcome(scenario, tuple(readings), skipped)

    def _undisturbed(
        self, scenario: Scenario, contender: Contender, targets: dict[str, Target], number: int
    ) -> Reading:
        """Run a contender; again, if something else was using its core. The last try counts."""
        seconds = self.seconds if scenario.seconds is None else scenario.seconds
        for attempt in range(1, self.attempts + 1):
            reading = self._run(scenario, contender, targets, number, seconds)
            is_disturbed = scenario.is_closed and reading.is_disturbed
            self.say(
                f"{scenario.name} {number}: {reading.contender:20} "
                f"{reading.requests_per_s:>10,.0f}/s, errors {reading.errors}"
                + (f", disturbed (try {attempt})" if is_disturbed else "")
            )
            if not is_disturbed:
                break
        return reading

    def _missing(self, scenario: Scenario) -> dict[str, str]:
        skipped: dict[str, str] = {}
        for contender in scenario.contenders:
            try:
                contender.tool.version()
            except ToolMissing as error:
                self._skip(scenario, contender.tool.name, str(error), skipped)
        return skipped

    def _skip(self, scenario: Scenario, name: str, why: str, skipped: dict[str, str]) -> None:
        skipped[name] = why
        self.say(f"{scenario.name}: {name} is left out: {why}")

    def _warm_up(
        self, scenario: Scenario, targets: dict[str, Target], skipped: dict[str, str]
    ) -> None:
        for contender in scenario.contenders:
            if contender.tool.name in skipped:
                continue
            try:
                self._run(scenario, contender, targets, 0, WARM_UP_S)
            except ChildFailed as error:
                self._skip(scenario, contender.tool.name, str(error), skipped)

    @contextlib.contextmanager
    def _targets(self, scenario: Scenario) -> Iterator[dict[str, Target]]:
        wanted = {each.target for each in scenario.contenders}
        with contextlib.ExitStack() as stack:
            targets = {"one": stack.enter_context(open_target(self.cores.target))}
            if "both" in wanted:
                cores = {self.cores.target, self.cores.generator}
                targets["both"] = stack.enter_context(open_target(*sorted(cores)))
            yield targets

    def _run(
        self,
        scenario: Scenario,
        contender: Contender,
        targets: dict[str, Target],
        number: int,
        seconds: int,
    ) -> Reading:
        target = targets[contender.target]
        job = contender.tool.job(
            Work(
                kind=scenario.kind,
                base_url=target.tls_url if scenario.tls else target.url,
                seconds=seconds,
                connections=scenario.connections,
                authority=target.authority,
            )
        )
        with tempfile.TemporaryDirectory(prefix="flux-bench-run-") as name:
            folder = pathlib.Path(name)
            for path, text in job.files.items():
                (folder / path).write_text(text)
            served_before = target.counters().requests
            run = run_child(
                pinned(job.command, *self._cores(contender)),
                folder,
                limit_s=seconds + scenario.limit_s,
                environment=job.environment,
                target_pid=target.pid,
                watch=(lambda: target.counters().connections)
                if scenario.watches_connections
                else None,
            )
            served = target.counters().requests - served_before - 1
            figures = _figures(job.read, run, folder)
        return reading_of(contender.tool.name, number, run, figures, served)

    def _cores(self, contender: Contender) -> list[int]:
        return {
            "generator": [self.cores.generator],
            "target": [self.cores.target],
            "both": sorted({self.cores.target, self.cores.generator}),
        }[contender.cores]


def _figures(
    read: Callable[[ChildRun, pathlib.Path], Figures], run: ChildRun, folder: pathlib.Path
) -> Figures:
    try:
        return read(run, folder)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        printed = (run.stdout + run.stderr)[-800:]
        raise ChildFailed(f"exit {run.exit_code}, {error!r}: {printed}") from error
