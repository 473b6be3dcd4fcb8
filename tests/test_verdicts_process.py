"""`flux run` in processes of its own: how validity and thresholds come to exit codes and files."""

import csv
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
import pytest

MODULE = '''
"""Stages that do what no stage should."""

import time

import attrs
import trio

from flux.schemas import ARRIVAL, OUTCOME, Flag

LATE = int(Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS)


@attrs.frozen(kw_only=True)
class Blocking:
    """Computes for 150 ms at its first row."""

    accepts = (OUTCOME,)
    sample = '[[stage]]\\nuse = "blocking"\\n'

    async def consume(self, context, inbox):
        await inbox.receive()
        time.sleep(0.15)
        async for _ in inbox:
            pass


@attrs.frozen(kw_only=True)
class Slow:
    """Takes nothing until its buffer is full, and for a fifth of a second more."""

    accepts = (OUTCOME,)
    sample = '[[stage]]\\nuse = "slow"\\n'

    async def consume(self, context, inbox):
        while not inbox.statistics().tasks_waiting_send:
            await trio.sleep(0.01)
        await trio.sleep(0.2)
        async for _ in inbox:
            pass


@attrs.frozen(kw_only=True)
class Odd:
    """Answers arrivals at once, some of them never, and in more batches than anybody needs."""

    accepts = (ARRIVAL,)
    emits = OUTCOME
    sample = '[[stage]]\\nuse = "odd"\\n'

    lost: int = 0
    """How many get no row."""
    batches: int = 0
    """How many empty batches are sent before."""

    async def run(self, context, inbox, outbox):
        for _ in range(self.batches):
            await outbox.send(OUTCOME.empty(0))
        lost = self.lost
        async for arrivals in inbox:
            rows = OUTCOME.empty(len(arrivals))
            for key in ("seq", "due_ns"):
                rows[key] = arrivals[key]
            rows["start_ns"] = rows["end_ns"] = arrivals["due_ns"]
            rows["status"], rows["flags"] = 200, LATE
            rows, lost = rows[lost:], lost - min(lost, len(rows))
            await outbox.send(rows)
'''

LENIENT = 'max_lag_p99 = "1h"\nmax_stall = "1h"'
"""A busy machine makes a run late; tests of other things leave that aside."""

PIPELINE = """
name = "judged"
duration = "{duration}"
seed = 7
drain = "5s"
{top}
[validity]
{validity}
[[stage]]
use = "constant"
rate = "200/s"
[[stage]]
{executor}
[[stage]]
use = "json"
[[stage]]
use = "csv"
{more}
"""


@attrs.frozen
class Ended:
    """What a run left behind."""

    code: int
    err: str
    folder: pathlib.Path

    @property
    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return document

    @property
    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "requests.csv").open() as stream:
            return list(csv.DictReader(stream))

    def findings(self, *, fatal: bool = True) -> list[str]:
        found = self.result["validity"]["findings"]
        return [one["text"] for one in found if one["fatal"] is fatal]


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Run:
    """Runs a pipeline with the stages above installed."""
    site = tmp_path / "site"
    info = site / "odd_stages-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "odd_stages.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-stages\nVersion: 1.0\n")
    names = {"blocking": "Blocking", "slow": "Slow", "odd": "Odd"}
    points = "".join(f"{use} = odd_stages:{name}\n" for use, name in names.items())
    (info / "entry_points.txt").write_text(f"[flux.stages]\n{points}")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])

    def run(
        *arguments: str,
        duration: str = "1s",
        top: str = "",
        validity: str = LENIENT,
        executor: str = 'use = "null"',
        more: str = "",
        before: Callable[[], None] | None = None,
    ) -> Ended:
        file = tmp_path / "judged.toml"
        text = PIPELINE.format(
            duration=duration, top=top, validity=validity, executor=executor, more=more
        )
        file.write_text(text)
        ended = subprocess.run(
            [sys.executable, "-m", "flux", "run", str(file), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=before,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return Ended(ended.returncode, ended.stderr, tmp_path / "results" / "result_1")

    return run


BLOCKING = '[[stage]]\nuse = "blocking"'

GOOD = '[[threshold]]\nmetric = "failed"\nexpect = "rate < 1%"\n'
SESSIONS = '[[threshold]]\nmetric = "sessions"\nexpect = "count == 200"\n'
BAD = '[[threshold]]\nmetric = "requests"\nexpect = "count > 1000"\nstep = "null"\n'


# Validity.


def test_a_blocked_event_loop_moves_no_due_time_and_makes_the_run_invalid(run: Run) -> None:
    """200 sessions per second, and nothing for 150 ms: thirty are late, and due as planned."""
    ended = run(duration="2s", validity="", more=BLOCKING)
    assert ended.code == 96, ended.err
    rows = sorted(ended.rows, key=lambda row: int(row["seq"]))
    assert [int(row["due_ns"]) for row in rows] == [n * 5_000_000 for n in range(1, len(rows) + 1)]
    assert len(rows) == ended.result["sessions"]["planned"] >= 399
    lags_ns = [int(row["start_ns"]) - int(row["due_ns"]) for row in rows]
    assert max(lags_ns) > 130_000_000
    assert sum(lag_ns > 50_000_000 for lag_ns in lags_ns) >= 18
    # What watches the loop wakes up every 20 ms, so that much of a block can be unseen.
    assert ended.result["validity"]["generators"][0]["stall_max_ns"] >= 130_000_000
    assert any("the event loop stood still" in text for text in ended.findings())
    lines = ended.err.splitlines()
    place = next(n for n, line in enumerate(lines) if "the event loop stood still" in line)
    assert lines[place].startswith("INVALID   ")
    assert any(line.startswith("          → find what blocks it") for line in lines[place:])


def test_a_run_that_kept_its_plan_is_valid(run: Run) -> None:
    ended = run(top=GOOD)
    assert ended.code == 0, ended.err
    assert ended.result["validity"]["valid"] is True
    assert ended.result["thresholds"][0]["passed"] is True
    assert "threshold ✓ failed rate < 1%: 0 %" in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"validity": 'max_stall = "1h"\nmax_lag_p99 = "30ms"', "more": BLOCKING},
            "sessions started late: lag p99 is",
        ),
        (
            {"executor": 'use = "null"\nservice = "100ms"\nmax_in_flight = 5\non_late = "drop"'},
            "of the planned arrivals started",
        ),
        (
            {
                "executor": 'use = "null"\nservice = "100ms"\nmax_in_flight = 5\non_late = "drop"',
                "validity": f"{LENIENT}\nmin_rate = 0\nmax_dropped = 0.1",
            },
            "of the planned arrivals were dropped",
        ),
        (
            {"validity": f"{LENIENT}\nmax_cpu = 0.001", "duration": "2500ms"},
            "it may have slowed itself down; max_cpu is 0.001",
        ),
        (
            {
                "validity": f'{LENIENT}\nmax_held_up = "100ms"',
                "executor": 'use = "odd"\nbatches = 4200',
                "more": '[[stage]]\nuse = "slow"',
            },
            "stage 'slow' could not keep up: rows waited",
        ),
        ({"executor": 'use = "odd"\nlost = 1'}, "sessions got lost: planned 200 ≠ started 199"),
    ],
)
def test_a_broken_rule_makes_the_run_invalid(options: dict[str, str], said: str, run: Run) -> None:
    ended = run(**options)
    assert ended.code == 96, ended.err
    (text,) = ended.findings()
    assert said in text
    assert "these numbers must not be trusted" in ended.err


def test_rows_that_waited_are_only_noted_without_a_limit(run: Run) -> None:
    more = '[[stage]]\nuse = "slow"'
    ended = run(executor='use = "odd"\nbatches = 4200', more=more)
    assert ended.code == 0, ended.err
    (text,) = ended.findings(fatal=False)
    assert text.startswith("stage 'slow' could not keep up: rows waited ")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        yield server.getsockname()[1]


def test_a_generator_without_descriptors_makes_the_run_invalid(run: Run, silent_port: int) -> None:
    executor = (
        f'use = "http"\ntarget = "http://127.0.0.1:{silent_port}"\ntimeout = "1s"\n'
        'step = [{ get = "/" }]'
    )
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (48, 48))
    ended = run(executor=executor, before=few)
    assert ended.code == 96, ended.err
    (text,) = ended.findings()
    assert text.startswith("the generator ran out of descriptors: ")
    assert "raise the limit (ulimit -n)" in ended.err


def test_each_worker_process_tells_of_itself(run: Run) -> None:
    ended = run(executor='use = "null"\nprocesses = 2')
    assert ended.code == 0, ended.err
    generators = ended.result["validity"]["generators"]
    assert [one["name"] for one in generators] == ["", "worker 0", "worker 1"]
    assert all(one["cores"] > 0 for one in generators)
    assert all(one["stall_max_ns"] is not None for one in generators)


# Thresholds.


def cases(path: pathlib.Path) -> dict[str | None, list[str]]:
    return {
        case.get("name"): [one.tag for one in case if one.tag != "system-out"]
        for case in ET.parse(path).iter("testcase")
    }


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failed_threshold_exits_99_once_everything_is_written(
    processes: int, run: Run, tmp_path: pathlib.Path
) -> None:
    """The limit is for all processes together."""
    executor = f'use = "null"\nprocesses = {processes}'
    passes = GOOD + SESSIONS
    ended = run("--junit", "junit.xml", top=passes + BAD, executor=executor)
    assert ended.code == 99, ended.err
    assert len(ended.rows) == 200
    assert ended.result["complete"] is True
    assert [one["passed"] for one in ended.result["thresholds"]] == [True, True, False]
    assert ended.result["thresholds"][2] == {
        "metric": "requests",
        "expect": "count > 1000",
        "scope": "step null",
        "passed": False,
        "observed": 200,
        "observed_text": "200",
        "limit": 1000,
        "unit": "count",
        "samples": 200,
        "reason": "",
        "first_failed_ns": ended.result["run"]["duration_ns"],
    }
    assert "✗ requests count > 1000 [step null]: 200; first failed at" in ended.err
    assert "threshold failed: requests count > 1000 [step null]: 200" in ended.err
    assert cases(tmp_path / "junit.xml") == {
        "validity": [],
        "failed rate < 1%": [],
        "sessions count == 200": [],
        "requests count > 1000 [step null]": ["failure"],
    }


def test_the_thresholds_of_an_invalid_run_are_not_judged(run: Run, tmp_path: pathlib.Path) -> None:
    executor = 'use = "odd"\nlost = 1'
    bad = BAD.replace('step = "null"\n', "")
    ended = run("--junit", "junit.xml", top=GOOD + bad, executor=executor)
    assert ended.code == 96, ended.err
    assert [one["passed"] for one in ended.result["thresholds"]] == [None, None]
    assert "- failed rate < 1%: 0 %, not judged (the run is invalid)" in ended.err
    assert "✓ failed" not in ended.err
    assert list(cases(tmp_path / "junit.xml").values()) == [["error"], ["skipped"], ["skipped"]]


def test_an_aborting_threshold_ends_the_run_early_and_exits_99(run: Run) -> None:
    top = '[[threshold]]\nmetric = "failed"\nexpect = "rate < 50%"\nabort = true\n'
    ended = run(top=top, duration="50s", executor='use = "null"\nfailures = 1')
    assert ended.code == 99, ended.err
    result = ended.result
    assert result["run"]["duration_ns"] < 40_000_000_000
    assert result["Total"] == result["sessions"]["started"] > 0
    assert len(ended.rows) == result["Total"] + result["sessions"]["cancelled"]
    (mark,) = [mark for mark in result["marks"] if mark["kind"] == "threshold"]
    assert mark["text"].startswith(
        "threshold failed: failed rate < 50%: 100 % in the first 1s; stop"
    )
    assert result["thresholds"][0]["first_failed_ns"] == 1_000_000_000


def test_a_run_without_requests_passes_nothing(run: Run) -> None:
    ended = run("--set", "constant.rate=1/h", top=GOOD)
    assert ended.code == 99, ended.err
    assert "✗ failed rate < 1%: - (there were no requests)" in ended.err


def test_a_report_that_cannot_be_written_fails_the_run(run: Run) -> None:
    ended = run("--junit", "judged.toml/junit.xml")
    assert ended.code == 1
    assert "error: cannot write judged.toml" in ended.err
