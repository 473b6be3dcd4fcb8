"""Runs that somebody interrupts before their first arrival, or as they end."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

MODULE = '''
import attrs
import pathlib
import time
import trio

from flux.schemas import OUTCOME


@attrs.frozen(kw_only=True)
class Slow:
    """Takes its time to get ready, in one of two ways."""

    accepts = (OUTCOME,)
    how: str

    async def prepare(self):
        pathlib.Path("preparing").touch()
        if self.how == "wait":
            await trio.sleep_forever()
        deadline = time.monotonic() + 60
        while not pathlib.Path("interrupted").exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    async def consume(self, context, inbox):
        async for _ in inbox:
            pass
        if self.how == "linger":
            pathlib.Path("lingering").touch()
            with trio.CancelScope(shield=True):
                await trio.sleep(0.3)
'''

PIPELINE = """
name = "early"
duration = "{duration}"
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
[[stage]]
use = "constant"
rate = "50/s"
[[stage]]
use = "null"
[[stage]]
use = "slow"
how = "{how}"
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    """Starts a run with the stage above; kills what is left of it afterwards."""
    info = tmp_path / "site" / "slow_sink-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "slow_sink.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-sink\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flux.stages]\nslow = slow_sink:Slow\n")
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    started: list[subprocess.Popen[str]] = []
    # These tests may run under nohup, which a run would notice.
    found = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def start(how: str, *before: str, duration: str = "60s") -> "subprocess.Popen[str]":
        (tmp_path / "early.toml").write_text(PIPELINE.format(how=how, duration=duration))
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "flux", "run", "early.toml"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    signal.signal(signal.SIGHUP, found)
    for process in started:
        process.kill()
        process.communicate()


def wait_for(file: pathlib.Path, process: "subprocess.Popen[str]") -> None:
    until_s = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s, f"{file} never came"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_the_first_arrival_leaves_a_result_that_says_so(
    number: signal.Signals, start: Start, tmp_path: pathlib.Path
) -> None:
    process = start("wait")
    wait_for(tmp_path / "preparing", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    folder = tmp_path / "results" / "result_1"
    assert {one.name for one in folder.iterdir()} == {"flux.log", "result.json", "session.toml"}
    result = json.loads((folder / "result.json").read_text())
    assert result["run"]["ended_by"]["text"] == "a signal before the first arrival"
    assert (result["Total"], result["validity"]["valid"]) == (0, False)


def test_a_signal_during_a_slow_import_is_not_lost(start: Start, tmp_path: pathlib.Path) -> None:
    """Nothing can take it while a stage blocks; the run must not begin all the same."""
    process = start("block")
    wait_for(tmp_path / "preparing", process)
    process.send_signal(signal.SIGINT)
    (tmp_path / "interrupted").touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    result = json.loads((tmp_path / "results" / "result_1" / "result.json").read_text())
    assert result["Total"] == 0
    assert "before the first arrival" in result["run"]["ended_by"]["text"]


def test_a_signal_that_comes_as_the_run_ends_changes_nothing(
    start: Start, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "interrupted").touch()
    process = start("linger", duration="200ms")
    wait_for(tmp_path / "lingering", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    folder = tmp_path / "results" / "result_1"
    assert {one.name for one in folder.iterdir()} == {"flux.log", "result.json", "session.toml"}


def test_a_run_under_nohup_outlives_its_terminal(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "interrupted").touch()
    ignoring = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    process = start(
        "linger", sys.executable, "-c", f"{ignoring}os.execv(sys.argv[1], sys.argv[1:])",
        duration="500ms",
    )  # fmt: skip
    wait_for(tmp_path / "preparing", process)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "SIGHUP" not in err
