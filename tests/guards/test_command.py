"""The real command, ended by a guard."""

import json
import pathlib
import subprocess
import sys
from typing import Any

from flux.errors import ExitCode

PIPELINE = """
duration = "30s"
{guard}
[[stage]]
use = "constant"
rate = "200/s"
[[stage]]
use = "null"
service = "1ms"
failures = 0.5
processes = {processes}
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
[[stage]]
use = "json"
"""

BREAKER = """
[breaker]
error_share = 0.2
sustained = "300ms"
window = "1s"
action = "stop"
"""


def run(
    tmp_path: pathlib.Path, guard: str, *arguments: str, processes: int = 1
) -> tuple[int, str, Any]:
    """Run the command; its exit code, its stderr, and `result.json`."""
    (tmp_path / "p.toml").write_text(PIPELINE.format(guard=guard, processes=processes))
    done = subprocess.run(
        [sys.executable, "-m", "flux", "run", "p.toml", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    file = tmp_path / "results" / "result_1" / "result.json"
    return done.returncode, done.stderr, json.loads(file.read_text()) if file.exists() else {}


def test_a_spent_budget_exits_with_108_and_says_which(tmp_path: pathlib.Path) -> None:
    code, err, result = run(tmp_path, "", "--set", "budget.requests=100")
    assert (code, int(ExitCode.GUARD)) == (108, 108)
    ended_by = result["run"]["ended_by"]
    assert ended_by["text"].startswith("budget: 100 requests are spent (")
    assert ended_by["exit_code"] == 108
    assert "ended by  budget: 100 requests are spent" in err
    (mark,) = result["marks"]
    assert mark["kind"] == "guard"
    assert "ended with exit code 108 (guard)" in err


def test_a_tripped_breaker_exits_with_108(tmp_path: pathlib.Path) -> None:
    code, err, result = run(tmp_path, BREAKER)
    assert code == 108
    assert "ended by  breaker: " in err
    assert result["complete"] is True


def test_worker_processes_are_held_to_the_breaker(tmp_path: pathlib.Path) -> None:
    code, _, result = run(tmp_path, BREAKER, processes=2)
    assert code == 108
    sessions = result["sessions"]
    assert sessions["planned"] == sessions["started"] + sessions["cancelled"]


def test_a_run_that_no_guard_ended_says_so(tmp_path: pathlib.Path) -> None:
    code, err, result = run(tmp_path, "[budget]\nrequests = 100_000", "--duration", "300ms")
    assert code == 0
    assert result["run"]["ended_by"] is None
    assert "ended by" not in err


def test_somebody_elses_address_exits_with_78_and_a_way_out(tmp_path: pathlib.Path) -> None:
    target = ["--set", 'http.step=[{ get = "/" }]', "--set", "http.target=http://93.184.216.34"]
    text = PIPELINE.replace('use = "null"', 'use = "http"').replace('service = "1ms"\n', "")
    (tmp_path / "q.toml").write_text(
        text.replace("failures = 0.5\n", "").format(guard="", processes=1)
    )
    done = subprocess.run(
        [sys.executable, "-m", "flux", "run", "q.toml", *target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "stage[1].target is neither loopback nor private" in done.stderr
    assert 'write allow_hosts = ["93.184.216.34"] at the top' in done.stderr
    assert not (tmp_path / "results").exists()
