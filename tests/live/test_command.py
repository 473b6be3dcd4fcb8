"""`flux live` against a real `flux run`: what it shows, what it changes, and how it fails."""

import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from flux.errors import ExitCode

TEXT = """
name = "steered"
duration = "60s"
tick = "20ms"
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
{threshold}
[[stage]]
use = "{source}"
{load}
[[stage]]
use = "null"
service = "1ms"
processes = {processes}
[[stage]]
use = "collect"
interval = "100ms"
[[stage]]
use = "json"
[[stage]]
use = "csv"
"""

LIMIT_S = 60.0


@attrs.define
class Running:
    """A run in a folder, and those who steer it."""

    folder: pathlib.Path
    process: "subprocess.Popen[str]"

    @property
    def result_folder(self) -> pathlib.Path:
        return self.folder / "results" / "result_1"

    def live(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """One `flux live`."""
        return subprocess.run(
            [sys.executable, "-m", "flux", "live", *words],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    def status(self) -> dict[str, Any]:
        done = self.live("status", "--json")
        assert done.returncode == 0, done.stderr
        status: dict[str, Any] = json.loads(done.stdout)
        return status

    def wait_for(self, reached: Callable[[], bool]) -> None:
        until_s = time.monotonic() + LIMIT_S
        while not reached():
            assert self.process.poll() is None
            assert time.monotonic() < until_s
            time.sleep(0.05)

    def finish(self) -> tuple[int, dict[str, Any]]:
        """The exit code and the result."""
        self.process.communicate(timeout=LIMIT_S)
        result = json.loads((self.result_folder / "result.json").read_text())
        return self.process.returncode, result


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    started: list[Running] = []

    def start_one(
        source: str = "constant",
        load: str = 'rate = "100/s"',
        processes: int = 1,
        threshold: str = "",
        folder: pathlib.Path = tmp_path,
    ) -> Running:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "steered.toml").write_text(
            TEXT.format(
                source=source,
                load=load,
                processes=processes,
                threshold=f"[[threshold]]\n{threshold}" if threshold else "",
            )
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "flux", "run", "steered.toml", "--quiet"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(folder, process)
        started.append(running)
        running.wait_for((running.result_folder / "control.sock").exists)
        running.wait_for(lambda: running.live("status").returncode == 0)
        running.wait_for(lambda: running.status()["known_until_ns"] is not None)
        return running

    yield start_one
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


def test_the_status_has_what_is_known_and_nothing_else(start: Start) -> None:
    running = start()
    status = running.status()
    assert (status["name"], status["state"]) == ("steered", "running")
    assert status["control"]["factor"] == 1
    assert status["due_per_s"] == pytest.approx(100, abs=20)
    assert status["stages"]["pacer"]["level_per_s"] == 100
    assert (status["targets"], status["thresholds"], status["breaker"]) == ([], [], None)
    assert status["elapsed_ns"] + status["left_ns"] == 60 * 10**9
    assert [edge["from"] for edge in status["edges"]][:2] == ["constant", "pacer"]
    shown = running.live().stdout
    assert "steered  running" in shown
    assert "level ×1" in shown
    assert "thresholds" not in shown


def test_the_status_says_how_thresholds_stand(start: Start) -> None:
    running = start(threshold='expect = "p(50) < 1us"')
    running.wait_for(lambda: running.status()["thresholds"][0]["holds"] is False)
    (told,) = running.status()["thresholds"]
    assert (told["metric"], told["expect"]) == ("response", "p(50) < 1us")
    assert told["first_failed_ns"] > 0
    assert "  thresholds ✗ " in running.live().stdout


def test_a_paused_run_plans_nothing_and_a_resumed_one_goes_on(start: Start) -> None:
    running = start()
    assert running.live("pause").returncode == 0
    running.wait_for(lambda: running.status()["due_per_s"] == 0)
    planned = running.status()["planned"]
    assert running.status()["state"] == "paused"
    assert running.status()["planned"] == planned
    again = running.live("pause")
    assert again.returncode == ExitCode.FAILURE
    assert "paused already" in again.stderr
    running.live("resume")
    running.wait_for(lambda: running.status()["planned"] > planned)


@pytest.mark.parametrize(("word", "level"), [("×2", 200), ("x0.5", 50), ("300/s", 300)])
def test_the_rate_changes_the_level_of_the_plan(start: Start, word: str, level: float) -> None:
    running = start()
    assert running.live("rate", word).returncode == 0
    running.wait_for(lambda: running.status()["stages"]["pacer"]["level_per_s"] == level)


def test_a_change_reaches_worker_processes(start: Start) -> None:
    running = start(processes=2)
    running.live("rate", "x3")
    running.wait_for(lambda: running.status()["due_per_s"] > 200)


def test_a_spike_rises_and_ends(start: Start) -> None:
    running = start()
    assert running.live("spike", "--factor", "5", "--for", "1s").returncode == 0
    assert running.status()["control"]["spike"]["factor"] == 5
    running.wait_for(lambda: running.status()["control"]["spike"] is None)


def test_stop_drains_and_every_change_is_marked_in_the_result(start: Start) -> None:
    running = start()
    running.live("rate", "x2")
    assert running.live("stop").returncode == 0
    code, result = running.finish()
    assert code == ExitCode.OK
    texts = [mark["text"] for mark in result["marks"] if mark["kind"] == "control"]
    assert texts == ["rate ×2 of the plan (was ×1)", "stop: no more arrivals, draining"]
    assert result["sessions"]["aborted"] == 0
    ended = running.live("1")
    assert ended.returncode == ExitCode.FAILURE
    assert "has ended" in ended.stderr
    assert not (running.result_folder / "control.sock").exists()


def test_abort_gives_up_what_is_in_flight(start: Start) -> None:
    running = start()
    running.live("abort")
    assert running.finish()[0] == ExitCode.INTERRUPTED


@pytest.mark.parametrize("processes", [1, 2])
def test_users_have_no_rate_to_set_and_a_factor(processes: int, start: Start) -> None:
    running = start("users", 'users = 4\nthink = "50ms"', processes=processes)
    refused = running.live("rate", "10/s")
    assert refused.returncode == ExitCode.FAILURE
    assert "give a factor" in refused.stderr
    assert running.live("rate", "x2").returncode == 0
    running.wait_for(lambda: running.status()["open_sessions"] == 8)


def test_the_socket_is_its_owners_alone(start: Start) -> None:
    running = start()
    mode = (running.result_folder / "control.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_folder_deeper_than_the_path_of_a_socket_may_be_works(
    start: Start, tmp_path: pathlib.Path
) -> None:
    running = start(folder=tmp_path / ("deep" * 20) / ("deeper" * 10))
    assert len(str(running.result_folder)) > 108
    assert running.status()["name"] == "steered"


def test_garbage_hangs_and_hang_ups_do_the_run_no_harm(start: Start) -> None:
    running = start()

    def connect() -> socket.socket:
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(LIMIT_S)
        opened.connect(os.path.relpath(running.result_folder / "control.sock"))
        return opened

    here = pathlib.Path.cwd()
    os.chdir(running.folder)
    try:
        with connect() as silent, connect() as chatty, connect() as endless:
            chatty.sendall(b"hello\n")
            assert b"one line of JSON" in chatty.recv(4096)
            chatty.sendall(b'{"version": 1, "command": "status"}\n')
            with chatty.makefile("rb") as lines:
                assert json.loads(lines.readline())["ok"]
            endless.sendall(b"x" * 70_000)
            assert b"one short line" in endless.recv(4096)
            assert silent.fileno() >= 0
        for _ in range(20):
            connect().close()
    finally:
        os.chdir(here)
    assert running.status()["state"] == "running"


def test_a_run_that_was_killed_is_told_from_one_that_ended(start: Start) -> None:
    running = start()
    running.process.send_signal(signal.SIGKILL)
    running.process.communicate()
    told = running.live("1")
    assert told.returncode == ExitCode.FAILURE
    assert "was killed" in told.stderr
    nobody = running.live()
    assert nobody.returncode == ExitCode.USAGE
    assert "no run is running" in nobody.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("7",), "there is no run 7"),
        (("paus",), "no such command 'paus'"),
        (("rate",), "rate needs a factor or a rate"),
        (("rate", "fast"), "write ×1.5, x1.5 or 200/s"),
        (("stop", "now"), "stop takes no value, got now"),
        (("spike", "--for", "20"), "--for: "),
    ],
)
def test_a_wrong_command_line_is_told(
    tmp_path: pathlib.Path, words: tuple[str, ...], told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flux", "live", *words],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == ExitCode.USAGE
    assert told in done.stderr
