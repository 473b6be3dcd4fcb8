"""Whole runs that break in every way: what the terminal says, and what is left in the folder."""

import errno
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest

MODULE = '''
import attrs
import numpy as np

from flux.schemas import OUTCOME
from flux.shaping import Shaper
from flux.stages.collect import Collect


@attrs.frozen(kw_only=True)
class Broken(Shaper):
    """Raises in a helper, at a time."""

    def factor_at(self, time_ns):
        return sea_level(time_ns)


def sea_level(time_ns):
    if time_ns.max() > 200_000_000:
        raise ZeroDivisionError("no sea")
    return 1.0 + 0.0 * time_ns


@attrs.frozen(kw_only=True)
class Wrong(Shaper):
    """A factor that is none."""

    factor: str

    def factor_at(self, time_ns):
        return np.where(time_ns > 200_000_000, float(self.factor), 1.0)

    def check(self):
        if self.factor == "check":
            raise ZeroDivisionError("never")
        return ()


@attrs.frozen(kw_only=True)
class Unready:
    """Raises before the run."""

    accepts = (OUTCOME,)

    def prepare(self):
        raise RuntimeError("not today")

    async def consume(self, context, inbox):
        async for _ in inbox:
            pass


@attrs.frozen(kw_only=True)
class Deaf(Collect):
    """Raises before it has collected anything."""

    async def run(self, context, inbox, outbox):
        raise RuntimeError("deaf")
'''

STAGES = ("Broken", "Wrong", "Unready", "Deaf")

PIPELINE = """
name = "broken"
seed = 7
duration = "600ms"
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
[[stage]]
use = "constant"
rate = "50/s"
{shaper}
[[stage]]
use = "null"
{executor}
[[stage]]
use = "csv"
{more}
"""

Flux = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def flux(tmp_path: pathlib.Path) -> Flux:
    """Runs a pipeline, with the stages above installed beside flux."""
    site = tmp_path / "site"
    info = site / "odd_sea-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "odd_sea.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-sea\nVersion: 1.0\n")
    points = "".join(f"{name.lower()} = odd_sea:{name}\n" for name in STAGES)
    (info / "entry_points.txt").write_text(f"[flux.stages]\n{points}")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])

    def flux(
        *arguments: str, shaper: str = "", executor: str = "", more: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        text = PIPELINE.format(shaper=shaper, executor=executor, more=more)
        (tmp_path / "broken.toml").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "flux", *(arguments or ("run", "broken.toml"))],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return flux


def result_in(folder: pathlib.Path) -> dict[str, object]:
    return dict(json.loads((folder / "results" / "result_1" / "result.json").read_text()))


def field(page: str, name: str) -> str:
    """A named value of the page, on one line; empty if it is not there."""
    found: list[str] = []
    for line in page.splitlines():
        if line.startswith(f"{name:<10}"):
            found = [line[10:]]
        elif found and line.startswith(" " * 10):
            found.append(line.strip())
        elif found:
            break
    return " ".join(found)


def test_a_run_without_a_json_stage_leaves_its_result(flux: Flux, tmp_path: pathlib.Path) -> None:
    ended = flux()
    assert ended.returncode == 0, ended.stderr
    result = result_in(tmp_path)
    assert (result["Total"], result["complete"]) == (30, True)
    assert flux("results", "show", "1").stdout.startswith("VALID   broken")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stage_that_raises_is_one_line_on_the_terminal_and_a_traceback_in_the_log(
    processes: int, flux: Flux, tmp_path: pathlib.Path
) -> None:
    ended = flux(shaper='[[stage]]\nuse = "broken"', executor=f"processes = {processes}")
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    said = "stage 'broken' (broken, from odd-sea) failed: ZeroDivisionError: no sea (odd_sea.py:20)"
    assert said in ended.stderr.splitlines()[-2]
    assert "flux.log" in ended.stderr.splitlines()[-1]
    assert field(ended.stderr, "look at").startswith("stage 'broken'")
    assert field(ended.stderr, "ended by").startswith("stage 'broken', which failed at ")
    log = (tmp_path / "results" / "result_1" / "flux.log").read_text()
    assert log.count("Traceback (most recent call last)") == processes
    assert "in sea_level" in log
    assert (
        "look at   stage 'broken' (broken, from odd-sea) failed"
        in flux("results", "show", "1").stdout
    )


def test_a_stage_that_cannot_get_ready_leaves_a_result_and_a_traceback(
    flux: Flux, tmp_path: pathlib.Path
) -> None:
    ended = flux(more='[[stage]]\nuse = "unready"')
    assert ended.returncode == 1
    said = "stage 'unready' (unready, from odd-sea) failed: RuntimeError: not today (odd_sea"
    assert f"error: {said}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "in prepare" in (tmp_path / "results" / "result_1" / "flux.log").read_text()
    result = result_in(tmp_path)
    assert result["Total"] == 0
    assert said in str(result["run"])
    assert "0 %" not in flux("results", "list").stdout
    assert flux("results", "show", "1").stdout.startswith("FAILED   broken")


def test_a_run_whose_collector_dies_leaves_a_result_that_says_so(
    flux: Flux, tmp_path: pathlib.Path
) -> None:
    ended = flux(more='[[stage]]\nuse = "deaf"')
    assert ended.returncode == 1, ended.stderr
    result = result_in(tmp_path)
    assert result["Total"] == 0
    assert "RuntimeError: deaf" in str(result["validity"])
    assert "stage 'deaf', which failed at " in str(result["run"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
def test_a_full_disk_is_what_to_look_at(flux: Flux, tmp_path: pathlib.Path) -> None:
    ended = flux("run", "broken.toml", "--set", "csv.path=/dev/full")
    assert ended.returncode == 1
    reason = os.strerror(errno.ENOSPC)
    told = f"stage 'csv' failed: cannot write /dev/full: {reason}"
    assert field(ended.stderr, "look at") == told
    assert "flux plan" not in ended.stderr
    assert [mark["text"] for mark in result_in(tmp_path)["marks"]] == [told]  # type: ignore[attr-defined]  # JSON
    assert field(flux("results", "show", "1").stdout, "look at") == told


def test_targets_that_are_all_unhealthy_are_what_to_look_at(
    flux: Flux, tmp_path: pathlib.Path
) -> None:
    http = (
        'duration = "300ms"\n[[stage]]\nuse = "constant"\nrate = "20/s"\n[[stage]]\nuse = "http"\n'
        'targets = [{ url = "http://127.0.0.1:1" }]\n[stage.health]\npath = "/"\n'
        '[[stage.step]]\nget = "/"\n'
    )
    (tmp_path / "down.toml").write_text(http)
    ended = flux("run", "down.toml")
    told = "6 arrivals were withheld: target '127.0.0.1:1' is not healthy: refused"
    assert field(ended.stderr, "look at") == told
    assert "flux plan" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--set", "csv.path={}/reslts/x.csv"), "did you mean '{}/results'?"),
        (("--junit", "reslts/x.xml"), "did you mean 'results'?"),
        (("--results", "reslts/nightly"), "did you mean 'results'?"),
    ],
)
def test_a_mistyped_folder_is_an_error_before_the_run_and_is_not_made(
    arguments: tuple[str, str], told: str, flux: Flux, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "results").mkdir()
    option, value = arguments
    ended = flux("run", "broken.toml", option, value.format(tmp_path))
    assert ended.returncode in (1, 78)
    assert told.format(tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "reslts").exists()
    assert list((tmp_path / "results").iterdir()) == []


def test_folders_within_that_of_the_run_are_made(flux: Flux, tmp_path: pathlib.Path) -> None:
    assert flux("run", "broken.toml", "--set", "csv.path=rows/x.csv").returncode == 0
    assert (tmp_path / "results" / "result_1" / "rows" / "x.csv").exists()
    ended = flux("run", "broken.toml", "--set", "csv.path=../rows/x.csv")
    assert ended.returncode == 1
    assert "there is no folder" in field(ended.stderr, "look at")
    assert not (tmp_path / "results" / "rows").exists()


def test_the_check_names_folders_that_are_not_there(flux: Flux, tmp_path: pathlib.Path) -> None:
    ended = flux("check", "broken.toml", "--set", f"csv.path={tmp_path}/none/x.csv")
    assert ended.returncode == 78
    assert "stage[2].path must be in a folder that is there" in ended.stderr


@pytest.mark.parametrize(
    "generator", ['use = "constant"\nrate = "50/s"', 'use = "users"\nusers = 5']
)
@pytest.mark.parametrize(
    ("factor", "told"),
    [
        ("nan", "factor_at gave nan at 0.3 s"),
        ("inf", "factor_at gave inf at 0.3 s"),
        ("1e308", "it made the level inf at 0.3 s"),
        ("1e300", "it made the level 5e+30"),
        ("-1", "factor_at gave -1 at 0.3 s"),
        ("no", "factor_at raised ValueError: could not convert string to float: 'no' (odd_sea.py:"),
        ("check", "ZeroDivisionError: never (odd_sea.py:"),
    ],
)
def test_a_shaper_that_makes_no_sense_is_one_message_of_the_plan(
    factor: str, told: str, generator: str, flux: Flux, tmp_path: pathlib.Path
) -> None:
    shaper = f'[[stage]]\nuse = "wrong"\nfactor = "{factor}"'
    (tmp_path / "wrong.toml").write_text(
        f'duration = "1s"\n[[stage]]\n{generator}\n{shaper}\n[[stage]]\nuse = "null"\n'
    )
    ended = flux("plan", "wrong.toml", "--plot", "plan.svg")
    said = f"error: stage 'wrong' (wrong, from odd-sea) failed: {told}"
    assert ended.stderr.startswith(said), ended.stderr
    assert ended.stderr.count(told) == 1
    assert "Traceback" not in ended.stderr
    assert "Warning" not in ended.stderr
    assert ended.returncode == 1
    assert not (tmp_path / "plan.svg").exists()
