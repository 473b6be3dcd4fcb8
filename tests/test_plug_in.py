"""A stage from another package: three lines beyond its keys, found, explained, checked and run."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest

MODULE = '''
"""A tide."""

from typing import Annotated

import attrs
import numpy as np

from flux.config.rules import above
from flux.shaping import Factors, Shaper, Times
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Tide(Shaper):
    """The level falls and rises as the sea does."""

    sample = '[[stage]]\\nuse = "tide"\\nperiod = "10s"\\n'

    period: Annotated[Duration, above(0)]
    """From one high water to the next."""

    def factor_at(self, time_ns: Times) -> Factors:
        """High water at the start."""
        return 0.5 + 0.5 * np.cos(2 * np.pi * time_ns / self.period)


@attrs.frozen(kw_only=True)
class Broken(Shaper):
    """Raises."""

    def factor_at(self, time_ns: Times) -> Factors:
        """Raise."""
        raise ZeroDivisionError("no sea")
'''

PIPELINE = """
duration = "10s"
[[stage]]
use = "constant"
rate = "100/s"
[[stage]]
use = "{use}"
{keys}
[[stage]]
use = "null"
"""

Flux = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def flux(tmp_path: pathlib.Path) -> Flux:
    """Runs flux with a plug-in package installed beside it."""
    site = tmp_path / "site"
    info = site / "flux_tide-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "flux_tide.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flux-tide\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[flux.stages]\ntide = flux_tide:Tide\nbroken = flux_tide:Broken\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flux", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def write(folder: pathlib.Path, use: str, keys: str) -> str:
    file = folder / "tide.toml"
    file.write_text(PIPELINE.format(use=use, keys=keys))
    return str(file)


def test_is_listed_with_its_package(flux: Flux) -> None:
    rows = {row["name"]: row for row in json.loads(flux("stages", "--format", "json").stdout)}
    assert rows["tide"] == {
        "name": "tide",
        "kind": "shaper",
        "accepts": "DEMAND or USERS",
        "emits": "the same",
        "package": "flux-tide 1.2",
    }


def test_is_explained_from_its_class(flux: Flux) -> None:
    text = flux("explain", "tide").stdout
    assert "tide - shaper, from flux-tide 1.2" in text
    assert 'period = a duration, as in "30s"  (greater than 0; required)' in text
    assert "From one high water to the next." in text


def test_shapes_a_plan(flux: Flux, tmp_path: pathlib.Path) -> None:
    made = flux("plan", write(tmp_path, "tide", 'period = "10s"'), "--format", "json")
    plan = json.loads(made.stdout)
    assert made.returncode == 0, made.stderr
    assert plan["peak_level"] == 100
    assert plan["arrivals"] == pytest.approx(500, abs=1)


def test_its_keys_are_checked_like_any(flux: Flux, tmp_path: pathlib.Path) -> None:
    checked = flux("check", write(tmp_path, "tide", "period = 10"))
    assert checked.returncode == 78
    assert 'stage[1].period must be a duration, as in "30s", got 10' in checked.stderr


def test_its_failure_names_the_stage_and_the_package(flux: Flux, tmp_path: pathlib.Path) -> None:
    failed = flux("run", write(tmp_path, "broken", ""))
    assert failed.returncode == 1
    assert (
        "error: stage 'broken' (broken, from flux-tide) failed: ZeroDivisionError: no sea"
        in failed.stderr
    )
    assert "Traceback" not in failed.stderr
