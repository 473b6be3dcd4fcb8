"""Every exit code, reached through the real command: one row each."""

import pathlib
import signal
import subprocess
import sys
import time

import attrs
import pytest

from flux.errors import ExitCode

TEXT = """
duration = "{duration}"
drain = "60s"
seed = 7
{top}

[[stage]]
use = "{source}"
rate = "50/s"

[[stage]]
use = "null"
{keys}

[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"

[[stage]]
use = "csv"
path = "{path}"
"""


@attrs.frozen
class Row:
    """How an exit code is reached."""

    code: ExitCode
    duration: str = "200ms"
    source: str = "constant"
    keys: str = ""
    path: str = "requests.csv"
    top: str = ""
    options: tuple[str, ...] = ()
    interrupts: int = 0
    says: str = ""


ROWS = {
    "a run that went well": Row(ExitCode.OK, says="VALID"),
    "a run that was stopped": Row(ExitCode.OK, duration="60s", interrupts=1, says="SIGINT"),
    "a target that always fails": Row(ExitCode.OK, keys="failures = 1.0", says="every request"),
    "a full disk": Row(ExitCode.FAILURE, path="/dev/full", says="error: cannot write /dev/full"),
    "a wrong option": Row(ExitCode.USAGE, options=("--durration", "1s"), says="--duration"),
    "a wrong value": Row(ExitCode.USAGE, options=("--shard", "2/2"), says="'2/2'"),
    "an invalid pipeline": Row(
        ExitCode.INVALID_PIPELINE, source="constnat", says="did you mean 'constant'?"
    ),
    "a run that kept not its plan": Row(
        ExitCode.INVALID_RUN,
        keys='service = "1s"\nmax_in_flight = 1\non_late = "drop"',
        says="of the planned arrivals started",
    ),
    "a run that missed a threshold": Row(
        ExitCode.THRESHOLDS_FAILED,
        keys='service = "20ms"',
        top='threshold = [{ expect = "max < 10ms" }]',
        says="response max < 10ms",
    ),
    "a run that a guard ended": Row(
        ExitCode.GUARD, duration="60s", top="budget = { requests = 10 }", says="10 requests"
    ),
    "a run that was interrupted twice": Row(
        ExitCode.INTERRUPTED, duration="60s", keys='service = "1h"', interrupts=2, says="giving up"
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_command_ends_with_its_exit_code(name: str, tmp_path: pathlib.Path) -> None:
    row = ROWS[name]
    values = attrs.asdict(row)
    (tmp_path / "test.toml").write_text(TEXT.format(**values))
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "flux", "run", "test.toml", *row.options],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        for number in range(row.interrupts):
            _wait_until_heard(tmp_path / "stderr", number, process)
            process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    err = (tmp_path / "stderr").read_text()
    assert (process.returncode, out) == (row.code, "")
    assert row.says in err
    assert "Traceback" not in err


def test_the_table_has_every_exit_code() -> None:
    assert {row.code for row in ROWS.values()} == set(ExitCode)


def _wait_until_heard(err: pathlib.Path, number: int, process: "subprocess.Popen[str]") -> None:
    """Until the first second of the run is told, and then until the first signal is."""
    until_s = time.monotonic() + 30
    while " open " not in err.read_text() or err.read_text().count("SIGINT") < number:
        assert process.poll() is None, err.read_text()
        assert time.monotonic() < until_s
        time.sleep(0.02)
