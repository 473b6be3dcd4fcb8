"""`flux search` through the real command, against a model with a known capacity."""

import json
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from flux.errors import ExitCode

# Four places and 20 ms a request: 200 a second are served, and not one more.
TEXT = """
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
[[threshold]]
expect = "{expect}"
[[stage]]
use = "constant"
rate = "10/s"
[[stage]]
use = "null"
service = "20ms"
max_in_flight = 4
"""
QUICK = ("--step", "400ms", "--cool-down", "0s", "--precision", "0.3", "--json")


def start(
    tmp_path: pathlib.Path, *options: str, expect: str = "max < 150ms"
) -> "subprocess.Popen[str]":
    (tmp_path / "cap.toml").write_text(TEXT.format(expect=expect))
    return subprocess.Popen(
        [sys.executable, "-m", "flux", "search", "cap.toml", *QUICK, *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(tmp_path: pathlib.Path, *options: str, expect: str = "max < 150ms") -> tuple[int, Any, str]:
    out, err = (process := start(tmp_path, *options, expect=expect)).communicate(timeout=100)
    return process.returncode, json.loads(out) if out else None, err


def test_the_load_that_is_found_is_below_what_the_target_can_do(tmp_path: pathlib.Path) -> None:
    code, answer, err = run(tmp_path, "--min", "50/s", "--max", "800/s")
    assert code == ExitCode.OK, err
    assert answer["unit"] == "arrivals/s"
    assert 50 <= answer["sustained"] < answer["breaking"] <= 800
    assert answer["sustained"] < 400
    assert answer["limit"] == "target"
    assert answer["recommended"]["base"] == pytest.approx(0.8 * answer["sustained"])
    folder = tmp_path / "results" / "result_1"
    assert json.loads((folder / "search.json").read_text()) == answer
    tried = [(folder / one["folder"] / "session.toml").is_file() for one in answer["tries"]]
    assert all(tried)
    assert "sustained" in err


def test_a_target_that_never_keeps_the_threshold_is_told(tmp_path: pathlib.Path) -> None:
    code, answer, err = run(tmp_path, "--min", "20/s", expect="max < 1ms")
    assert code == ExitCode.THRESHOLDS_FAILED
    assert answer["sustained"] is None
    assert [one["verdict"] for one in answer["tries"]] == ["failed", "failed"]
    assert "not even 20/s was sustained" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--min", "5"), "--min: a rate needs a unit"),
        (("--min", "50/s", "--max", "5/s"), "--max must not be less than --min"),
        (("--min", "0/s"), "--min must be greater than 0"),
    ],
)
def test_loads_that_make_no_sense_are_refused(
    tmp_path: pathlib.Path, options: tuple[str, ...], told: str
) -> None:
    code, _, err = run(tmp_path, *options)
    assert code == ExitCode.USAGE
    assert told in err
    assert not (tmp_path / "results").exists()


def test_an_interrupt_ends_the_search_with_what_is_known(tmp_path: pathlib.Path) -> None:
    process = start(tmp_path, "--min", "20/s", "--max", "40/s", "--step", "4s")
    folder = tmp_path / "results" / "result_1"
    until_s = time.monotonic() + 60
    while not (folder / "result_2" / "flux.log").exists():
        assert process.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.02)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, err
    answer = json.loads(out)
    assert answer["sustained"] == 20
    assert not answer["confirmed"]
    assert "Traceback" not in err
