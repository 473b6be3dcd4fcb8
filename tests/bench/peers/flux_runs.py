"""flux as a contender: the pipelines it is given, its command line, and its result.json.

This is the only module of the harness that knows what flux's files look like.
"""

import json
import math
import os
import pathlib
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import attrs

import flux
from tests.bench.peers.children import ChildFailed, ChildRun
from tests.bench.peers.tools import Figures, Job, ToolMissing, Work, output_of

PROJECT = pathlib.Path(flux.__file__).parent.parent

ACCEPTABLE_EXITS = (0, 96)
"""96: flux itself says that the run is not valid; the figures are shown, with that mark."""

_HEALTH = """\
[[stage.step]]
name = "health"
get = "/health"
expect = { status = 200 }
"""

_REGISTER = """\
[[stage.step]]
name = "register"
post = "/auth/register"
json = { username = "{{random.hex(12)}}", password = "{{random.hex(12)}}" }
expect = { status = 201, body = { json = { created = true } } }
"""


@attrs.frozen
class Flux:
    """One configuration of flux."""

    name: str
    """How it is called in the tables."""
    client: str = "wire"
    """`wire` or `httpx`."""
    rate_per_s: int | None = None
    """Open model with exponential gaps at this rate; None: closed, a user per connection."""
    count: int | None = None
    """Sessions after which it ends; None: it ends by time."""
    outputs: bool = False
    """Whether a csv row is written for every request; result.json is written in any case."""
    processes: int = 1
    commands: int = 1
    """How many of it run at once, knowing nothing of each other; connections are shared out."""

    def version(self) -> str:
        """As in `0.1.0`.

        Raises:
            ToolMissing: `python -m flux` does not run.
        """
        environment = {**os.environ, **self._environment()}
        return read_version(output_of([*_command(), "--version"], environment))

    def job(self, work: Work) -> Job:
        """The pipeline is written out in full; its results land in the folder of the job."""
        one = [*_command(), "run", "pipeline.toml", "--quiet"]
        several = ["sh", "-c", f"{f'{shlex.join(one)} & ' * self.commands} wait"]
        return Job(
            command=one if self.commands == 1 else several,
            read=lambda run, folder: read_runs(run, folder, self.commands),
            files={"pipeline.toml": self.pipeline(work)},
            environment=self._environment(),
        )

    def pipeline(self, work: Work) -> str:
        """The pipeline file for a piece of work."""
        return "\n".join(
            [self._head(work), self._source(work), self._executor(work), self._sinks()]
        )

    def _head(self, work: Work) -> str:
        duration = "" if self.count else f'duration = "{work.seconds}s"\n'
        return f'name = "bench"\nseed = 1\n{duration}'

    def _source(self, work: Work) -> str:
        count = f"count = {self.count}\n" if self.count else ""
        if self.rate_per_s is None:
            return f'[[stage]]\nuse = "users"\nusers = {work.connections // self.commands}\n{count}'
        return f'[[stage]]\nuse = "exponential"\nrate = "{self.rate_per_s}/s"\n{count}'

    def _executor(self, work: Work) -> str:
        trust = (
            f'tls = {{ ca = "{work.authority}" }}\n' if work.base_url.startswith("https") else ""
        )
        steps = _HEALTH + (_REGISTER if work.kind == "register" else "")
        return (
            f'[[stage]]\nuse = "http"\ntarget = "{work.base_url}"\nclient = "{self.client}"\n'
            f"processes = {self.processes}\n{trust}\n{steps}"
        )

    def _sinks(self) -> str:
        rows = '[[stage]]\nuse = "csv"\n' if self.outputs else ""
        return f'[[stage]]\nuse = "json"\n{rows}'

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(PROJECT)}


def _command() -> list[str]:
    return [sys.executable, "-m", "flux"]


def read_version(text: str) -> str:
    """The last word of what `flux --version` prints.

    Raises:
        ToolMissing: it printed something else.
    """
    words = text.split()
    if len(words) not in (1, 2, 3) or not words[-1][:1].isdigit():
        raise ToolMissing(f"flux does not run: {_last_line(text)}")
    return words[-1]


def _last_line(text: str) -> str:
    """Where a traceback or a report says what it is about."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def read_runs(run: ChildRun, folder: pathlib.Path, count: int = 1) -> Figures:
    """The figures of the runs that were made in this folder, all at once."""
    if run.exit_code not in ACCEPTABLE_EXITS:
        raise ChildFailed(f"flux ended with exit code {run.exit_code}: {_last_line(run.stderr)}")
    results = sorted(folder.glob("results/result_*/result.json"))
    if len(results) != count:
        raise ChildFailed(
            f"flux left {len(results)} results, not {count}: {_last_line(run.stderr)}"
        )
    each = [read_result(json.loads(result.read_text())) for result in results]
    return Figures(
        requests=sum(one.requests for one in each),
        requests_per_s=sum(one.requests_per_s for one in each),
        errors=sum(one.errors for one in each),
        more={
            **{name: max(one.more[name] for one in each) for name in each[0].more},
            "invalid": float(run.exit_code == 96),
        },
    )


def read_result(result: Mapping[str, Any]) -> Figures:
    """THE ADAPTER: what this harness wants, from where result.json keeps it.

    `result.json` begins with Script, Total, Success and Failure; everything else is looked up here
    and nowhere else.
    """
    lag, sessions = result["latency"]["lag"], result["sessions"]
    planned, started = sessions["planned"], sessions["started"]
    return Figures(
        requests=int(result["Total"]),
        requests_per_s=float(result["rate_per_s"]),
        errors=int(result["Failure"]),
        more={
            "lag_p50_ms": _milliseconds(lag["p50"]),
            "lag_p99_ms": _milliseconds(lag["p99"]),
            "plan_error": abs(started / planned - 1) if planned else math.nan,
        },
    )


def _milliseconds(time_ns: int | None) -> float:
    return math.nan if time_ns is None else time_ns / 1e6
