"""A stage from another package: three lines beyond its keys, found, explained, checked and run.

What is wrong with it is put down to it, and to nobody else; other pipelines run on.
"""

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

from flux.plug_in import (
    ARRIVAL, OUTCOME, ArrivalGenerator, Context, Duration, Factors, FluxError, Gaps, Inbox, Outbox,
    Profile, Shaper, Times, above,
)


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


@attrs.frozen(kw_only=True)
class Unmade(Shaper):
    """Raises when it is made."""

    def __attrs_post_init__(self) -> None:
        raise KeyError("period")

    def factor_at(self, time_ns: Times) -> Factors:
        """All is well."""
        return np.ones(len(time_ns))


@attrs.frozen(kw_only=True)
class Unshaped(Shaper):
    """Raises in what the source calls."""

    def profile(self, context: Context) -> Profile:
        """Raise."""
        raise ZeroDivisionError("no profile")


@attrs.frozen(kw_only=True)
class Backwards(ArrivalGenerator):
    """Gives in what the pacer calls."""

    def gaps(self, random: np.random.Generator, count: int) -> Gaps:
        """Negative gaps."""
        return np.full(count, -1.0)


@attrs.frozen(kw_only=True)
class Deaf:
    """Receives nothing."""

    accepts = (OUTCOME,)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Return at once."""


@attrs.frozen(kw_only=True)
class Alone:
    """Needs somebody who is not there."""

    accepts = (OUTCOME,)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Say so."""
        raise FluxError("cannot reach the harbour master", hint="wake him up")


@attrs.frozen(kw_only=True)
class Timetable:
    """Sessions at times of its own."""

    emits = ARRIVAL

    async def produce(self, context: Context, outbox: Outbox) -> None:
        """Two of them."""
        rows = ARRIVAL.empty(2)
        rows["seq"], rows["due_ns"] = [0, 1], [10**8, 3 * 10**8]
        await outbox.send(rows)


class Plain(Tide):
    """Not decorated."""
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

GENERATED = """
duration = "1s"
[[stage]]
use = "{use}"
rate = "100/s"
[[stage]]
use = "null"
"""

SUNK = """
duration = "1s"
[[stage]]
use = "constant"
rate = "100/s"
[[stage]]
use = "null"
[[stage]]
use = "{use}"
"""

ENTRY_POINTS = [
    *(f"{name.lower()} = flux_tide:{name}" for name in ("Tide", "Broken", "Unmade", "Unshaped")),
    *(f"{name.lower()} = flux_tide:{name}" for name in ("Backwards", "Deaf", "Alone", "Plain")),
    "timetable = flux_tide:Timetable",
    "gone = flux_tide:Gone",
    "ramp = flux_tide:Tide",
]

Flux = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def flux(tmp_path: pathlib.Path) -> Flux:
    """Runs flux with a plug-in package installed beside it."""
    site = tmp_path / "site"
    info = site / "flux_tide-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "flux_tide.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flux-tide\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[flux.stages]\n" + "\n".join(ENTRY_POINTS))
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


@pytest.mark.parametrize(
    ("use", "pipeline", "said"),
    [
        ("broken", PIPELINE, "ZeroDivisionError: no sea (flux_tide.py:"),
        ("unmade", PIPELINE, "KeyError: 'period' (flux_tide.py:"),
        ("unshaped", PIPELINE, "ZeroDivisionError: no profile (flux_tide.py:"),
        ("backwards", GENERATED, "it drew a gap of -1\n  hint: a gap is a number, at least 0"),
        ("deaf", SUNK, "it returned before its inbox ended\n  hint: receive all"),
        ("alone", SUNK, "cannot reach the harbour master\n  hint: wake him up"),
    ],
)
def test_its_failure_names_the_stage_and_the_package_once(
    flux: Flux, tmp_path: pathlib.Path, use: str, pipeline: str, said: str
) -> None:
    (tmp_path / "tide.toml").write_text(pipeline.format(use=use, keys=""))
    failed = flux("run", "tide.toml")
    assert failed.returncode == 1
    assert f"error: stage '{use}' ({use}, from flux-tide) failed: {said}" in failed.stderr
    assert failed.stderr.count("error: ") == 1
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("gone", "stage 'gone' of package flux-tide cannot be imported: AttributeError: "),
        ("plain", "stage 'plain' of package flux-tide is no stage: flux_tide:Plain must be "),
        ("ramp", "two packages bring a stage 'ramp': "),
    ],
)
def test_what_cannot_be_used_is_said_to_those_who_use_it(
    flux: Flux, tmp_path: pathlib.Path, use: str, said: str
) -> None:
    failed = flux("run", write(tmp_path, use, ""))
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: {said}")
    assert "flux-tide" in failed.stderr
    assert "\n  hint: " in failed.stderr
    assert flux("check", write(tmp_path, "sine", 'period = "2s"')).returncode == 0


def test_sessions_at_times_of_their_own_are_run_and_not_planned(
    flux: Flux, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "tide.toml"
    file.write_text('[[stage]]\nuse = "timetable"\n[[stage]]\nuse = "null"\n')
    done = flux("run", "tide.toml")
    assert done.returncode == 0, done.stderr
    assert "planned 2 = started 2" in done.stderr
    planned = flux("plan", "tide.toml")
    assert planned.returncode == 2
    assert planned.stderr == (
        "error: there is no demand to plan: 'timetable' makes arrivals itself\n"
    )


def test_the_others_are_listed_beside_what_cannot_be_used(flux: Flux) -> None:
    listed = flux("stages", "--format", "json")
    names = {row["name"] for row in json.loads(listed.stdout)}
    assert {"tide", "http"} < names
    assert not {"gone", "plain", "ramp"} & names
    assert listed.returncode == 1
    assert listed.stderr.count("error: ") == 3
