"""Every example under pipelines/ checks, plans and runs, and leaves what it promises."""

import datetime
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from flux.cli import invoke
from flux.errors import ExitCode, UsageError
from flux.pipeline import Pipeline, load
from flux.plan import make_plan
from flux.stage import Shard

FOLDER = pathlib.Path(__file__).parent.parent / "pipelines"
FILES = sorted([*FOLDER.rglob("*.toml"), *FOLDER.rglob("*.yml")])
NAMES = [str(file.relative_to(FOLDER)) for file in FILES]

DURATION = "500ms"
SHORTENED: Mapping[str, tuple[str, ...]] = {
    "ci.toml": (
        "threshold.0.expect=p(95) < 30s",
        "threshold.1.expect=max < 30s",
        "threshold.4.expect=count >= 20",
    ),
    "curve.toml": ("curve.segment.0.from=1",),
    "late.toml": (
        "null.stall.at=100ms",
        "null.stall.for=300ms",
        "null.max_in_flight=5",
        "null.max_lag=50ms",
    ),
    "phases.toml": (
        *("phase.warm-up.duration=150ms", "phase.usual.duration=100ms"),
        *("phase.peak.duration=200ms", "phase.after.duration=50ms"),
        *("phase.peak.stage.ramp.up=100ms", "ramp.up=50ms"),
    ),
    "ramp.toml": ("ramp.up=200ms", "ramp.down=200ms"),
    "register.toml": ("ramp.up=200ms", "ramp.down=200ms"),
    "schedule.toml": ("exponential.rate=200/s",),
    "stress-ramp.toml": ("steps.steps.0.rate=40/s",),
    "iterations.toml": ("ramp.up=100ms", "users.think=10ms"),
    "visitors.toml": ("ramp.up=100ms", "visitors.think.every=20ms"),
    "users.toml": ("ramp.up=200ms", "users.think.every=50ms"),
}
"""What an example needs besides a shorter duration."""

EXIT_CODES: Mapping[str, ExitCode] = {"late.toml": ExitCode.INVALID_RUN}
"""Where a run does not end with 0; the file says so."""

FIRST_SEED = 1000
"""Each example has a seed of its own here: the gateway refuses a name that it knows."""


@pytest.fixture(scope="module")
def gateway_url() -> Iterator[str]:
    """One demo gateway for all examples."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flux.gateway", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process, process.stderr:
        line = process.stderr.readline()
        match = re.match(r"gateway on (http://\S+?),", line)
        try:
            assert match is not None, line
            yield match[1]
        finally:
            process.send_signal(signal.SIGTERM)


def overrides(name: str, gateway_url: str) -> list[str]:
    """What makes the run of an example short, and safe on a busy machine."""
    found = list(SHORTENED.get(name, ()))
    found += ["validity.max_lag_p99=30s", "validity.max_stall=30s"]
    if name.endswith(".yml"):
        found += [f"http.target={gateway_url}", "exponential.rate=20/s"]
    return found


def seed_of(name: str) -> int:
    return FIRST_SEED + NAMES.index(name)


def load_short(name: str, gateway_url: str) -> Pipeline:
    """The pipeline that `run_short` runs."""
    extra = [f'duration="{DURATION}"', f"seed={seed_of(name)}"]
    environment = {"GATEWAY_URL": gateway_url}
    return load(
        FOLDER / name, overrides=[*overrides(name, gateway_url), *extra], environment=environment
    )


def run_short(name: str, gateway_url: str, results: pathlib.Path) -> int:
    """Run an example for a moment with the real command, in this process."""
    arguments = ["run", str(FOLDER / name), "--quiet", "--results", str(results)]
    arguments += ["--duration", DURATION, "--seed", str(seed_of(name))]
    for one in overrides(name, gateway_url):
        arguments += ["--set", one]
    return invoke(arguments)


@pytest.fixture
def environment(gateway_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_URL", gateway_url)


def planned(pipeline: Pipeline, started_at: datetime.datetime | None = None) -> int | None:
    """How many arrivals there must be; None if the plan does not say."""
    if len(pipeline.executors) != 1:
        with pytest.raises(UsageError, match="flux plan shows one executor"):
            make_plan(pipeline, seed=7)
        return None
    made = make_plan(pipeline, seed=pipeline.settings.seed or 0, started_at=started_at)
    assert len(made.demand) > 0
    return None if made.is_closed else made.arrivals


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_what_it_is_and_how_to_run_it(name: str) -> None:
    head = re.match(r"(?:#.*\n)+", (FOLDER / name).read_text())
    assert head is not None
    assert f"flux run pipelines/{name}" in head[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_checks_with_no_environment(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GATEWAY_URL", raising=False)
    assert invoke(["check", str(FOLDER / name)]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert (out, ": ok, " in err) == ("", True)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_plans(name: str) -> None:
    pipeline = load(FOLDER / name, environment={})
    assert pipeline.settings.duration is not None, "an example that never ends"
    planned(pipeline)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "pipe.toml"])
@pytest.mark.usefixtures("environment")
def test_an_example_runs(
    name: str, gateway_url: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run_short(name, gateway_url, tmp_path)
    out, err = capfd.readouterr()
    expected = EXIT_CODES.get(name, ExitCode.OK)
    assert code == expected, err
    folder = tmp_path / "result_1"
    result = json.loads((folder / "result.json").read_text())
    check_conservation(result["sessions"])
    check_counts(result, load_short(name, gateway_url))
    check_files(folder, result)
    assert out == ""
    assert result["validity"]["valid"] == (expected is ExitCode.OK)


def check_conservation(sessions: Mapping[str, int | None]) -> None:
    count = {key: value or 0 for key, value in sessions.items()}
    if sessions["planned"] is not None:
        not_started = count["dropped"] + count["cancelled"] + count.get("lost", 0)
        assert count["planned"] == count["started"] - count["repeated"] + not_started
    assert count["started"] == count["succeeded"] + count["failed"] + count["aborted"]


def check_counts(result: dict[str, Any], pipeline: Pipeline) -> None:
    """The run released what the plan says, and the gateway refused nothing."""
    assert result["Total"] > 0
    assert result["Failure"] == 0
    started_at = datetime.datetime.fromisoformat(result["run"]["started_at"])
    count = planned(pipeline, started_at)
    if count is not None:
        assert result["sessions"]["planned"] == count


def check_files(folder: pathlib.Path, result: dict[str, Any]) -> None:
    """Each sink of the session left its file, with a row for each request and each drop."""
    session = load(folder / "session.toml", environment={})
    names = {"session.toml", "flux.log", "result.json"}
    requests = result["Total"] + sum(one["requests"] for one in result["phases"] if one["warmup"])
    rows = requests + result["sessions"]["dropped"] + result["sessions"]["cancelled"]
    for node in session.nodes:
        if node.kind != "sink" or not node.path:
            continue
        names.add(node.stage.path)
        lines = (folder / node.stage.path).read_text().splitlines()
        if node.use in ("csv", "ndjson"):
            assert len(lines) == rows + (node.use == "csv")
    assert {file.name for file in folder.iterdir()} == names


@pytest.mark.usefixtures("environment")
def test_the_frozen_target_costs_sessions_that_are_counted(
    gateway_url: str, tmp_path: pathlib.Path
) -> None:
    run_short("late.toml", gateway_url, tmp_path)
    result = json.loads((tmp_path / "result_1" / "result.json").read_text())
    assert result["sessions"]["planned"] == 50
    assert result["sessions"]["dropped"] > 10
    assert "of the planned arrivals started" in result["validity"]["findings"][0]["text"]


@pytest.mark.usefixtures("environment")
def test_the_pipe_has_a_line_per_request_and_nothing_else(
    gateway_url: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_short("pipe.toml", gateway_url, tmp_path) == ExitCode.OK
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(lines) == planned(load_short("pipe.toml", gateway_url))
    assert {(line["step"], line["code"], line["error"]) for line in lines} == {("health", 200, "")}


@pytest.mark.usefixtures("environment")
def test_a_reader_that_goes_away_ends_the_run(tmp_path: pathlib.Path) -> None:
    arguments = [FOLDER / "pipe.toml", "--quiet", "--set", "validity.max_lag_p99=30s"]
    process = start_flux("run", *arguments, cwd=tmp_path)
    assert process.stdout is not None
    with process, process.stdout:
        assert select.select([process.stdout], [], [], 30)[0]
        assert json.loads(process.stdout.readline())["code"] == 200
        process.stdout.close()
        assert process.wait(timeout=20) == ExitCode.OK


def test_the_demo_gateway_is_started_where_no_target_is_named(tmp_path: pathlib.Path) -> None:
    name = "register.toml"
    arguments = [one for pair in overrides(name, "") for one in ("--set", pair)]
    process = start_flux("run", FOLDER / name, "--duration", DURATION, *arguments, cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (ExitCode.OK, ""), err
    assert "register" in err
    result = json.loads((tmp_path / "results" / "result_1" / "result.json").read_text())
    assert result["Failure"] == 0
    assert list(result)[:4] == ["Script", "Total", "Success", "Failure"]


def test_the_shards_are_every_second_arrival() -> None:
    pipeline = load(FOLDER / "shards.toml", environment={})
    whole, first, second = (
        arrivals_of(pipeline, shard) for shard in (Shard(), Shard(0, 2), Shard(1, 2))
    )
    assert (first, second) == (whole[::2], whole[1::2])


def arrivals_of(pipeline: Pipeline, shard: Shard) -> list[Any]:
    rows: list[Any] = []
    make_plan(pipeline, seed=7, shard=shard, take=lambda batch: rows.extend(batch.tolist()))
    return rows


def start_flux(*arguments: object, cwd: pathlib.Path) -> "subprocess.Popen[str]":
    """Start the command as a process of its own."""
    keep = {key: value for key, value in os.environ.items() if key != "GATEWAY_URL"}
    if "pipe.toml" in str(arguments):
        keep["GATEWAY_URL"] = os.environ["GATEWAY_URL"]
    return subprocess.Popen(
        [sys.executable, "-m", "flux", *map(str, arguments)],
        cwd=cwd,
        env=keep,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
