"""A run against three servers, one of which is killed and comes back: who gets what, and when."""

import csv
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

PIPELINE = """
duration = "5s"
seed = 7
[[stage]]
use = "constant"
rate = "100/s"
[[stage]]
use = "http"
client = "{client}"
processes = {processes}
timeout = "5s"
step = [{{ get = "/health" }}]
{targets}
[stage.health]
path = "/health"
interval = "250ms"
timeout = "5s"
fall = 1
rise = 1
on_unhealthy = "{on_unhealthy}"
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
[[stage]]
use = "json"
[[stage]]
use = "csv"
"""

NAMES = ("a", "b", "c")

SLACK_NS = 1_000_000
"""The wire client reads a clock of its own, which may differ by microseconds."""

pytestmark = pytest.mark.slow


class Servers:
    """Three gateways, each in a process of its own and on a port that stays its own."""

    def __init__(self) -> None:
        self._reserved = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
        self.ports = [one.getsockname()[1] for one in self._reserved]
        for one in self._reserved:
            one.close()
        self._processes: list[subprocess.Popen[str]] = [self._start(port) for port in self.ports]

    def _start(self, port: int) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "flux.gateway", "--port", str(port)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("gateway on ")
        return process

    def kill(self, number: int) -> None:
        """As `kill -9` does."""
        process = self._processes[number]
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def restart(self, number: int) -> None:
        """On the same port."""
        self._processes[number] = self._start(self.ports[number])

    def close(self) -> None:
        """End all of them."""
        for process in self._processes:
            process.kill()
            process.communicate()


@pytest.fixture
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.close()


def write_pipeline(folder: pathlib.Path, servers: Servers, **keys: Any) -> pathlib.Path:
    tables = "".join(
        f'[[stage.targets]]\nurl = "http://127.0.0.1:{port}"\nname = "{name}"\n'
        for name, port in zip(NAMES, servers.ports)
    )
    values = {"client": "wire", "processes": 1, "on_unhealthy": "others", **keys}
    file = folder / "three.toml"
    file.write_text(PIPELINE.format(targets=tables, **values))
    return file


def wait_for(what: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    until_s = time.monotonic() + 30
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s, "it never came"
        time.sleep(0.02)


def run_and_kill_b(
    folder: pathlib.Path, servers: Servers, **keys: Any
) -> tuple[dict[str, Any], list[dict[str, str]], str]:
    """Kill server b in the run, bring it back once that was noticed: result, rows, and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flux", "run", str(write_pipeline(folder, servers, **keys))],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    run = folder / "results" / "result_1"

    def log_has(text: str) -> Callable[[], bool]:
        file = run / "flux.log"
        return lambda: file.exists() and text in file.read_text()

    def has_rows() -> bool:
        file = run / "requests.csv"
        return file.exists() and len(file.read_text().splitlines()) > 50

    try:
        wait_for(has_rows, process)
        servers.kill(1)
        wait_for(log_has("target 'b' is not healthy"), process)
        servers.restart(1)
        wait_for(log_has("target 'b' is healthy again"), process)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    result = json.loads((run / "result.json").read_text())
    with (run / "requests.csv").open() as stream:
        return result, list(csv.DictReader(stream)), err


def marks_of(result: dict[str, Any]) -> list[int]:
    """When b was found dead, and when well again: once each, however many look."""
    marks = result["marks"]
    assert [mark["kind"] for mark in marks] == ["health", "health"]
    assert marks[0]["text"].startswith("target 'b' is not healthy: ")
    assert marks[1]["text"] == "target 'b' is healthy again"
    return [mark["time_ns"] for mark in marks]


def check_counts(result: dict[str, Any], rows: list[dict[str, str]]) -> None:
    """Nothing is lost, and what is said of targets is what the rows say."""
    sessions = result["sessions"]
    assert sessions["planned"] == 500
    assert sessions["planned"] == sessions["started"] + sessions["withheld"]
    assert sessions["started"] == sessions["succeeded"] + sessions["failed"]
    assert [target["name"] for target in result["targets"]] == list(NAMES)
    for target in result["targets"]:
        own = [row for row in rows if row["target"] == target["name"] and row["step"]]
        assert target["requests"] == len(own)
        assert target["failures"] == sum(bool(row["error"]) for row in own)
        assert target["latency"]["service"]["count"] == len(own)
    assert sum(target["requests"] for target in result["targets"]) == result["Total"]
    assert result["validity"]["valid"]


def sent_between(rows: list[dict[str, str]], since_ns: int, until_ns: int) -> set[str]:
    """Targets of the requests that were due and started then."""
    return {
        row["target"]
        for row in rows
        if row["step"]
        and since_ns + SLACK_NS < int(row["due_ns"])
        and int(row["start_ns"]) < until_ns - SLACK_NS
    }


@pytest.mark.parametrize("client", ["wire", "httpx"])
def test_a_killed_server_leaves_its_share_to_the_others_until_it_is_back(
    client: str, servers: Servers, tmp_path: pathlib.Path
) -> None:
    result, rows, err = run_and_kill_b(tmp_path, servers, client=client)
    dead_ns, back_ns = marks_of(result)
    check_counts(result, rows)
    assert result["sessions"]["withheld"] == 0
    assert sent_between(rows, dead_ns, back_ns) == {"a", "c"}
    assert "b" in sent_between(rows, back_ns, 10**11)
    failed = [row for row in rows if row["error"]]
    assert {row["target"] for row in failed} <= {"b"}
    assert all(int(row["due_ns"]) <= dead_ns + SLACK_NS for row in failed)
    assert "targets" in err


def test_withheld_arrivals_are_counted_and_leave_the_run_valid(
    servers: Servers, tmp_path: pathlib.Path
) -> None:
    result, rows, err = run_and_kill_b(tmp_path, servers, on_unhealthy="withhold")
    dead_ns, back_ns = marks_of(result)
    check_counts(result, rows)
    withheld = [row for row in rows if row["error"] == "withheld"]
    assert result["sessions"]["withheld"] == len(withheld) > 0
    assert {(row["target"], row["step"], row["flags"]) for row in withheld} == {
        ("b", "", "withheld")
    }
    assert all(dead_ns - SLACK_NS <= int(row["end_ns"]) for row in withheld)
    assert all(int(row["end_ns"]) <= back_ns + SLACK_NS for row in withheld)
    assert sum(row["withheld"] for row in result["series"]) == len(withheld)
    assert f"+ withheld {len(withheld)} +" in err
    assert "were withheld while their target was not healthy" in " ".join(err.split())


def test_two_processes_note_once_what_both_of_them_see(
    servers: Servers, tmp_path: pathlib.Path
) -> None:
    result, rows, _ = run_and_kill_b(tmp_path, servers, processes=2)
    marks_of(result)
    check_counts(result, rows)
    assert sorted(int(row["seq"]) for row in rows) == list(range(500))
