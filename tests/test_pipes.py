"""docs/pipes.md, executed: every command of the page is run by bash as it stands there."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

PAGE = (pathlib.Path(__file__).parent.parent / "docs" / "pipes.md").read_text()
BLOCKS = re.findall(r"(?:^<!-- needs: (\w+) -->\n\n)?^```sh\n(.*?)^```", PAGE, re.M | re.S)
(PIPELINE,) = re.findall(r"^<!-- file: pipe\.toml -->\n\n```toml\n(.*?)^```", PAGE, re.M | re.S)

EASYGOING = """
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
min_rate = 0.001
"""

NUMBER = r"\d+(\.\d+)?(e-?\d+)?"
PRINTED = {
    "csv | head -n 3": r"seq,session,.*\n(\d+,\d+,null,.*\n){2}",
    "sort -rn": rf"({NUMBER}\n){{5}}",
    "awk": r"\d+ requests, mean \d+\.\d{3} ms\n",
    "tee": r"end_s,requests,(.*\n){2,}",
    "mlr": r"step +ms_count +ms_p50 +ms_p99 *\nnull +\d+ .*\n",
    "duckdb": r"(.*\n)*.*step.*p99_ms(.*\n)*.*null(.*\n)*",
    "stdout ndjson | vegeta report": r"Requests +\[total, rate, throughput\](.*\n)*",
    "vegeta attack": r"attack\.html\n",
    "> rows.ndjson.gz\n": "",
    "--to vegeta-json": rf"{NUMBER}\n",
    "--to vegeta-csv": r"\d+\n",
    "--out - | head -n 1\n": r"# standard input: UNJUDGED\n",
    "last - <": r"exit code 1: those are no rows\n",
    "sed -n 1,100p": r'\{\n  "name": "standard input",\n',
    "results list": r"1\tVALID\t\d+\n",
    "flux or gzip failed": "",
    "PIPESTATUS": r"flux 0\n",
}
"""What a block with these words in it prints."""


def run_in(folder: pathlib.Path, script: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        text=True,
        timeout=60,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with what the commands of the page find there, made by the page's own pipeline."""
    folder = tmp_path_factory.mktemp("pipes")
    (folder / "pipe.toml").write_text(PIPELINE + EASYGOING)
    done = run_in(folder, "flux run -q pipe.toml --stdout ndjson | gzip > rows.ndjson.gz")
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "intervals.csv").write_text("end_s,requests\n1.000,300\n")
    return folder


@pytest.fixture
def folder(made: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(made, tmp_path / "pipes"))


def test_every_block_of_the_page_has_something_to_print() -> None:
    for _, script in BLOCKS:
        assert len([words for words in PRINTED if words in script]) == 1, script
    assert len(BLOCKS) == len(PRINTED)


@pytest.mark.parametrize(("needs", "script"), BLOCKS)
def test_a_command_of_the_page_does_what_it_says(
    needs: str, script: str, folder: pathlib.Path
) -> None:
    if (
        needs
        and shutil.which(needs, path=f"{pathlib.Path(sys.executable).parent}:/usr/bin") is None
    ):
        pytest.skip(f"{needs} is not installed")
    done = run_in(folder, script)
    assert done.returncode == 0, done.stderr
    (printed,) = (pattern for words, pattern in PRINTED.items() if words in script)
    assert re.fullmatch(printed, done.stdout), done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_reader_that_leaves_costs_the_other_sinks_no_row(form: str, folder: pathlib.Path) -> None:
    done = run_in(
        folder,
        f"flux run -q pipe.toml --duration 1h --stdout {form} | head -n 2; echo ${{PIPESTATUS[0]}}",
    )
    assert done.stdout.splitlines()[-1] == "0"
    run = folder / "results" / "result_2"
    result = json.loads((run / "result.json").read_text())
    rows = (run / "requests.csv").read_text().splitlines()[1:]
    flags = [row.split(",")[14] for row in rows]
    assert result["complete"] is True
    assert result["Total"] == sum("cancelled" not in one for one in flags) > 0
    assert result["sessions"]["planned"] == len(rows)


@pytest.mark.parametrize(
    "command",
    ["flux convert 1 --to csv", "flux results list", "flux report 1 --out -", "flux stages"],
)
def test_a_reader_that_leaves_is_no_failure_of_other_commands(
    command: str, folder: pathlib.Path
) -> None:
    done = run_in(folder, f"{command} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_live_view_leaves_the_pipe_clean(folder: pathlib.Path) -> None:
    with pseudo_terminal() as terminal:
        done = run_in(folder, "flux run pipe.toml --stdout ndjson", stderr=terminal)
    assert done.returncode == 0
    assert all(json.loads(line)["step"] == "null" for line in done.stdout.splitlines())


@contextlib.contextmanager
def pseudo_terminal() -> Iterator[int]:
    """A descriptor that is a terminal, whose output goes nowhere."""
    reader, writer = os.openpty()
    sink = subprocess.Popen(
        ["cat"], stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)
        sink.wait(timeout=60)


def test_a_stage_of_stdout_in_the_file_gets_the_format_that_was_asked_for(
    folder: pathlib.Path,
) -> None:
    with (folder / "pipe.toml").open("a") as file:
        file.write('[[stage]]\nuse = "stdout"\nformat = "ndjson"\n')
    done = run_in(folder, "flux run -q pipe.toml --stdout csv | sed -n 1p")
    assert done.stdout.startswith("seq,session,")
    assert (folder / "results/result_2/session.toml").read_text().count('use = "stdout"') == 1
