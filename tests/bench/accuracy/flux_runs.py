"""flux as a contender: its two clients, processes, shards, rows, and its closed model."""

import csv
import json
import os
import pathlib
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Literal, TypeAlias

import attrs

from flux.histogram import Histogram, decode
from tests.bench.accuracy.answer import PERCENTS
from tests.bench.accuracy.contender import Job, Work
from tests.bench.accuracy.seen import Model, Seen, nearest_ranks
from tests.bench.peers.children import ChildFailed, ChildRun
from tests.bench.peers.flux_runs import ACCEPTABLE_EXITS, PROJECT
from tests.bench.peers.flux_runs import Flux as FluxTool

From: TypeAlias = Literal["result.json", "shards", "csv"]

_PIPELINE = """\
name = "frozen"
seed = 1
duration = "{seconds}s"

[[stage]]
{source}

[[stage]]
use = "http"
target = "{url}"
client = "{client}"
processes = {processes}
step = [{{ get = "/health", expect = {{ status = 200 }} }}]

[[stage]]
use = "json"

[[stage]]
use = "csv"
"""


@attrs.frozen
class Flux:
    """One configuration of flux."""

    name: str
    model: Model = "open"
    client: str = "wire"
    processes: int = 1
    comes_from: From = "result.json"
    """Where the figures are read: two shards are run side by side, and their files merged."""

    def version(self) -> str:
        """As in `0.1.0`."""
        return FluxTool("flux").version()

    def job(self, work: Work) -> Job:
        """The pipeline is written out in full; its results land in the folder of the job."""
        run = [sys.executable, "-m", "flux", "run", "pipeline.toml", "--quiet"]
        if self.comes_from == "shards":
            shards = [shlex.join([*run, "--shard", f"{index}/2"]) for index in range(2)]
            run = ["sh", "-c", f"{shards[0]} & {shards[1]}; code=$?; wait $! && exit $code"]
        return Job(
            command=run,
            read=self._read,
            files={"pipeline.toml": self.pipeline(work)},
            environment={
                "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
            },
        )

    def pipeline(self, work: Work) -> str:
        """The pipeline file for the work."""
        source = f'use = "constant"\nrate = "{work.rate_per_s}/s"'
        if self.model == "closed":
            pace_ms = 1000 // work.each_per_s
            source = f'use = "users"\nusers = {work.users}\npace = "{pace_ms}ms"'
        return _PIPELINE.format(
            seconds=work.seconds,
            source=source,
            url=work.base_url,
            client=self.client,
            processes=self.processes,
        )

    def _read(self, run: ChildRun, folder: pathlib.Path) -> Seen:
        if run.exit_code not in ACCEPTABLE_EXITS:
            raise ChildFailed(f"flux ended with exit code {run.exit_code}: {run.stderr[-500:]}")
        folders = sorted(folder.glob("results/result_*"))
        results = [json.loads((one / "result.json").read_text()) for one in folders]
        read: Callable[[Sequence[Any]], Seen] = {
            "result.json": read_results,
            "shards": read_results,
            "csv": lambda results: read_rows(results, folders),
        }[self.comes_from]
        return read(results)


def read_results(results: Sequence[Any]) -> Seen:
    """Read one result.json, or several: histograms are added up, bucket for bucket."""
    histograms = [decode(step["response"]) for result in results for step in result["histograms"]]
    merged = reduce(_added, histograms, Histogram())
    values = merged.percentiles(PERCENTS)
    return attrs.evolve(
        _counted(results),
        percentiles_s={percent: int(ns) / 1e9 for percent, ns in zip(PERCENTS, values)},
        max_s=max(result["latency"]["response"]["max"] for result in results) / 1e9,
    )


def read_rows(results: Sequence[Any], folders: Sequence[pathlib.Path]) -> Seen:
    """Compute the percentiles again, from due and end of every row."""
    responses_s: list[float] = []
    for folder in folders:
        with (folder / "requests.csv").open() as stream:
            responses_s += [
                (int(row["end_ns"]) - int(row["due_ns"])) / 1e9 for row in csv.DictReader(stream)
            ]
    seen = attrs.evolve(_counted(results), percentiles_s=nearest_ranks(responses_s))
    return attrs.evolve(seen, max_s=max(responses_s), sent=len(responses_s))


def _counted(results: Sequence[Any]) -> Seen:
    findings = [one["text"] for result in results for one in result["validity"]["findings"]]
    return Seen(
        percentiles_s={},
        max_s=0.0,
        sent=sum(int(result["Total"]) for result in results),
        dropped=sum(int(result["sessions"]["dropped"]) for result in results),
        says=tuple(dict.fromkeys(findings)),
    )


def _added(whole: Histogram, part: Histogram) -> Histogram:
    whole.merge(part)
    return whole
