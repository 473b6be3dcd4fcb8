"""Real runs with metrics: `flux run` in a process of its own, and somebody who scrapes it."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

PIPELINE = """
name = "watched"
duration = "{duration}"
seed = 7
drain = "5s"
tick = "20ms"
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
{top}
[[stage]]
use = "{source}"
{load}
[[stage]]
use = "{executor}"
{keys}
[[stage]]
use = "collect"
interval = "100ms"
[[stage]]
use = "json"
[[stage]]
{sink}
"""

PROMETHEUS = 'use = "prometheus"\nport = 0\nlinger = "60s"\n'
LIMIT_S = 60.0

_URL = re.compile(r"metrics are at (\S+)")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""


@attrs.define
class Running:
    """A run in a folder."""

    folder: pathlib.Path
    process: "subprocess.Popen[str]"

    @property
    def log(self) -> str:
        file = self.folder / "results" / "result_1" / "flux.log"
        return file.read_text() if file.exists() else ""

    @property
    def url(self) -> str:
        """Where its metrics are, once that is known."""
        self.wait_for(lambda: _URL.search(self.log) is not None)
        return _URL.findall(self.log)[0]  # type: ignore[no-any-return]  # findall is Any

    def wait_for(self, reached: Callable[[], bool]) -> None:
        until_s = time.monotonic() + LIMIT_S
        while not reached():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until_s, "it never came"
            time.sleep(0.02)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def scrape(self, url: str) -> Samples:
        with httpx.Client(trust_env=False) as client:
            return samples_of(client.get(url).raise_for_status().text)

    def scrape_to_the_end(self) -> list[Samples]:
        """All scrapes, the last of them after the end."""
        url = self.url
        found: list[Samples] = []
        until_s = time.monotonic() + LIMIT_S
        while not found or not value(found[-1], "flux_run_state", flux_state="ended"):
            found.append(self.scrape(url))
            assert time.monotonic() < until_s
            time.sleep(0.05)
        return found

    def finish(self) -> tuple[int, str, dict[str, Any]]:
        """Exit code, standard error and result.json."""
        _, said = self.process.communicate(timeout=LIMIT_S)
        assert "Traceback" not in said, said
        file = self.folder / "results" / "result_1" / "result.json"
        return self.process.returncode, said, json.loads(file.read_text()) if file.exists() else {}


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    """Starts a run; whatever is left of it afterwards is killed."""
    started: list[Running] = []

    def start_one(
        sink: str = PROMETHEUS,
        *,
        duration: str = "1s",
        source: str = "constant",
        load: str = 'rate = "200/s"',
        executor: str = "null",
        keys: str = 'service = "5ms"\nfailures = 0.1',
        top: str = "",
    ) -> Running:
        values = {"duration": duration, "source": source, "load": load, "top": top}
        text = PIPELINE.format(**values, executor=executor, keys=keys, sink=sink)
        (tmp_path / "watched.toml").write_text(text)
        process = subprocess.Popen(
            [sys.executable, "-m", "flux", "run", "watched.toml", "--lines"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(Running(tmp_path, process))
        return started[-1]

    yield start_one
    for running in started:
        running.process.kill()
        running.process.communicate()


def samples_of(text: str) -> Samples:
    """What a scrape says."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }


def value(samples: Samples, name: str, **wanted: str) -> float:
    """The sum of the samples of that name with these labels."""
    return sum(
        amount
        for (one, labels), amount in samples.items()
        if one == name and wanted.items() <= dict(labels).items()
    )


def counters_of(samples: Samples) -> Samples:
    """Those that must never fall."""
    endings = ("_total", "_count", "_bucket", "_sum")
    return {key: amount for key, amount in samples.items() if key[0].endswith(endings)}
