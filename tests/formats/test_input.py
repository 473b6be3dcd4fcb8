"""What comes through a pipe is read as a file is."""

import io
import os
import pathlib
import subprocess
import sys
import threading
from typing import IO, Any

import pytest

from flux.cli import invoke
from flux.errors import ExitCode, FluxError
from flux.formats import input as input_module
from flux.formats.input import open_input
from tests.formats.samples import GOLDEN

NOWHERE = pathlib.Path("nowhere")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts bytes into standard input."""

    def put(text: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    return put


@pytest.mark.parametrize(
    ("name", "requests"),
    [("rows.jtl", 6), ("rows.k6-csv", 6), ("response.hlog", 5), ("k6-summary.json", 6)],
)
def test_a_report_of_standard_input_is_that_of_the_file(
    name: str, requests: int, pipe: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe((GOLDEN / name).read_bytes())
    assert invoke(["report", "-", "--format", "md", "--out", "-"]) == ExitCode.OK
    piped = capsys.readouterr().out
    assert f"- requests: {requests}\n" in piped
    assert invoke(["report", str(GOLDEN / name), "--format", "md", "--out", "-"]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[1:] == piped.splitlines()[1:]


def test_a_broken_line_of_a_pipe_is_named_without_the_file_that_it_was_kept_in(
    pipe: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe((GOLDEN / "rows.csv").read_bytes().replace(b",timeout,", b",tired,"))
    assert invoke(["convert", "-", "--to", "jtl"]) == ExitCode.FAILURE
    assert capsys.readouterr().err == (
        "error: line 6 of standard input has error 'tired', which this version does not know\n"
    )


def test_a_note_on_a_pipe_names_it_too(pipe: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pipe((GOLDEN / "rows.csv").read_bytes()[:-5])
    assert invoke(["convert", "-", "--to", "jtl"]) == ExitCode.OK
    assert "note: line 9 of standard input has no end, and is left out" in capsys.readouterr().err


def test_nothing_is_left_of_it_afterwards(
    pipe: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipe((GOLDEN / "rows.csv").read_bytes())
    with open_input("-", NOWHERE) as found:
        assert found.path.parent == tmp_path
        assert found.path.read_bytes() == (GOLDEN / "rows.csv").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_bound_is_refused(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_module, "MOST_BYTES", 100)
    pipe((GOLDEN / "rows.csv").read_bytes())
    with (
        pytest.raises(FluxError, match="standard input has more than"),
        open_input("-", NOWHERE),
    ):
        pass


def test_what_is_no_file_of_a_run_is_not_read_to_its_end() -> None:
    command = [sys.executable, "-m", "flux", "report", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        with pytest.raises(BrokenPipeError):
            write_lines(process.stdin, 1000)
        assert b"has no format that flux knows" in process.stderr.read()
    assert process.returncode == ExitCode.FAILURE


def write_lines(stream: IO[bytes], megabytes: int) -> None:
    for _ in range(megabytes):
        stream.write(b"what is this?\n" * 75_000)


def test_a_named_pipe_is_read_like_standard_input(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = tmp_path / "fifo"
    os.mkfifo(name)
    text = (GOLDEN / "rows.jtl").read_bytes()
    writer = threading.Thread(target=name.write_bytes, args=(text,))
    writer.start()
    assert invoke(["report", str(name), "--format", "md", "--out", "-"]) == ExitCode.OK
    writer.join()
    assert "- requests: 6\n" in capsys.readouterr().out


def test_standard_input_is_one_run_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", "-", "-"]) == ExitCode.USAGE
    assert capsys.readouterr().err == "error: standard input can be read once\n"


def test_an_empty_pipe_is_told(pipe: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pipe(b"")
    assert invoke(["report", "-"]) == ExitCode.FAILURE
    assert capsys.readouterr().err == "error: standard input is empty\n"
