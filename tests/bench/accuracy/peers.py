"""k6, Locust, hey and wrk at 500 requests per second, as their manuals say, as far as they can."""

import csv
import io
import json
import math
import pathlib
import re

import attrs

from tests.bench.accuracy.answer import PERCENTS
from tests.bench.accuracy.contender import Job, Work
from tests.bench.accuracy.seen import Model, Seen
from tests.bench.peers import tools
from tests.bench.peers.children import ChildFailed
from tests.bench.peers.tools import parse_hey, parse_wrk, path_of

_K6_SCRIPT = """\
import http from 'k6/http';

export const options = {{
  scenarios: {{
    even: {{
      executor: 'constant-arrival-rate',
      rate: {rate},
      timeUnit: '1s',
      duration: '{seconds}s',
      preAllocatedVUs: {users},
    }},
  }},
  summaryTrendStats: ['med', 'p(90)', 'p(95)', 'p(99)', 'max'],
}};

export default function () {{
  http.get('{url}/health');
}}
"""

_LOCUST_FILE = """\
from locust import FastHttpUser, constant_throughput, task


class Even(FastHttpUser):
    wait_time = constant_throughput({each})

    @task
    def health(self):
        self.client.get("/health")
"""


@attrs.frozen
class K6:
    """k6's constant-arrival-rate."""

    binaries: pathlib.Path
    name: str
    virtual_users: int
    """Each carries one request at a time: more are needed than are ever under way."""
    model: Model = "open"

    def version(self) -> str:
        """As in `v1.1.0`."""
        return tools.K6(self.binaries).version()

    def job(self, work: Work) -> Job:
        """Its http_req_duration is what its summary shows."""
        script = _K6_SCRIPT.format(
            rate=work.rate_per_s,
            seconds=work.seconds,
            users=self.virtual_users,
            url=work.base_url,
        )
        command = [
            *(path_of("k6", self.binaries), "run", "--quiet", "--no-color", "--address", ""),
            *("--no-usage-report", "--summary-export", "summary.json", "script.js"),
        ]
        return Job(
            command=command,
            read=lambda _, folder: read_k6((folder / "summary.json").read_text()),
            files={"script.js": script},
        )


@attrs.frozen
class Locust:
    """Locust's constant_throughput: each user makes so many requests a second at the most."""

    binaries: pathlib.Path
    name: str = "Locust, constant_throughput"
    model: Model = "closed"

    def version(self) -> str:
        """As in `2.47.0`."""
        return tools.Locust(self.binaries).version()

    def job(self, work: Work) -> Job:
        """All users begin at once."""
        command = [
            *(path_of("locust", self.binaries), "--locustfile", "locustfile.py", "--headless"),
            *("--users", str(work.users), "--spawn-rate", str(work.users)),
            *("--run-time", f"{work.seconds}s", "--host", work.base_url),
            *("--only-summary", "--loglevel", "ERROR", "--csv", "seen"),
        ]
        return Job(
            command=command,
            read=lambda _, folder: read_locust((folder / "seen_stats.csv").read_text()),
            files={"locustfile.py": _LOCUST_FILE.format(each=work.each_per_s)},
        )


@attrs.frozen
class Hey:
    """hey with a limit for each of its workers, `-q`."""

    name: str = "hey -q"
    model: Model = "closed"

    def version(self) -> str:
        """The version of its package."""
        return tools.Hey().version()

    def job(self, work: Work) -> Job:
        """A worker per user."""
        options = ["-z", f"{work.seconds}s", "-c", str(work.users), "-q", str(work.each_per_s)]
        return Job(
            command=[path_of("hey"), *options, "-disable-compression", f"{work.base_url}/health"],
            read=lambda run, _: read_hey(run.stdout),
        )


@attrs.frozen
class Wrk:
    """wrk, which knows no rate: as fast as it can."""

    name: str = "wrk"
    model: Model = "closed"

    def version(self) -> str:
        """As in `debian/4.1.0-3+b2`."""
        return tools.Wrk().version()

    def job(self, work: Work) -> Job:
        """A connection per user."""
        options = ["-t1", f"-c{work.users}", f"-d{work.seconds}s", "--timeout", "10s", "--latency"]
        return Job(
            command=[path_of("wrk"), *options, f"{work.base_url}/health"],
            read=lambda run, _: read_wrk(run.stdout),
        )


def read_k6(text: str) -> Seen:
    """Read the JSON of --summary-export; times are in milliseconds."""
    metrics: dict[str, dict[str, float]] = json.loads(text)["metrics"]
    times = metrics["http_req_duration"]
    names = {50.0: "med", 90.0: "p(90)", 95.0: "p(95)", 99.0: "p(99)"}
    return Seen(
        percentiles_s={percent: times[name] / 1e3 for percent, name in names.items()},
        max_s=times["max"] / 1e3,
        sent=int(metrics["http_reqs"]["count"]),
        dropped=int(metrics.get("dropped_iterations", {}).get("count", 0)),
    )


def read_locust(text: str) -> Seen:
    """Read the last line of its table of statistics; times are in milliseconds."""
    total = list(csv.DictReader(io.StringIO(text)))[-1]
    return Seen(
        percentiles_s={percent: float(total[f"{percent:g}%"]) / 1e3 for percent in PERCENTS},
        max_s=float(total["Max Response Time"]) / 1e3,
        sent=int(total["Request Count"]),
    )


def read_hey(text: str) -> Seen:
    """Read its summary and its latency distribution."""
    found = dict(re.findall(r"^\s*(\d+)% in ([\d.]+) secs", text, re.M))
    return Seen(
        percentiles_s={percent: float(found.get(f"{percent:g}", "nan")) for percent in PERCENTS},
        max_s=float(_match(r"Slowest:\s*([\d.]+) secs", text)),
        sent=parse_hey(text).requests,
    )


def read_wrk(text: str) -> Seen:
    """Read what --latency adds: no 95th percentile is among it."""
    found = dict(re.findall(r"^\s+(\d+)%\s+([\d.]+(?:us|ms|s))\s*$", text, re.M))
    seconds = {float(percent): _wrk_seconds(time) for percent, time in found.items()}
    return Seen(
        percentiles_s={percent: seconds.get(percent, math.nan) for percent in PERCENTS},
        max_s=_wrk_seconds(_match(r"Latency\s+\S+\s+\S+\s+(\S+)", text)),
        sent=parse_wrk(text).requests,
    )


def _wrk_seconds(time: str) -> float:
    number, unit = _match(r"^([\d.]+)", time), time.lstrip("0123456789.")
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]


def _match(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.M)
    if found is None:
        raise ChildFailed(f"no {pattern!r} in {text[-500:]!r}")
    return found[1]
