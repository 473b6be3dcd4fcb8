"""Whole runs in processes of their own, ended in every way a run can end."""

import csv
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from flux.formats.read import read

PIPELINE = """
name = "small"
duration = "{duration}"
seed = 7
drain = "5s"
[validity]  # a busy machine makes a run late, which is not what is tested here
max_lag_p99 = "1h"
max_stall = "1h"
[[stage]]
use = "constant"
rate = "50/s"
[[stage]]
use = "{executor}"
{keys}
[[stage]]
use = "json"
[[stage]]
use = "csv"
[[stage]]
use = "ndjson"
{more}
"""


def write_pipeline(
    folder: pathlib.Path,
    *,
    duration: str = "1s",
    executor: str = "null",
    keys: str = 'service = "5ms"',
    more: str = "",
) -> pathlib.Path:
    file = folder / "small.toml"
    file.write_text(PIPELINE.format(duration=duration, executor=executor, keys=keys, more=more))
    return file


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `flux run` in a folder; whatever is left of it afterwards is killed."""
    started: list[subprocess.Popen[str]] = []
    # These tests may run under nohup, which a run would notice.
    found = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def start(folder: pathlib.Path, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "flux", "run", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    signal.signal(signal.SIGHUP, found)
    for process in started:
        process.kill()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out or "", err


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Poll until it is so, for 20 s at the most."""
    until_s = time.monotonic() + 20
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s, "it never came"
        time.sleep(0.02)


def rows_of(folder: pathlib.Path) -> list[dict[str, str]]:
    with (folder / "requests.csv").open() as stream:
        return list(csv.DictReader(stream))


def has_rows(folder: pathlib.Path, count: int) -> Callable[[], bool]:
    def check() -> bool:
        file = folder / "requests.csv"
        return file.exists() and file.read_bytes().count(b"\n") > count

    return check


def test_a_run_leaves_its_folder_and_says_how_it_went(start: Start, tmp_path: pathlib.Path) -> None:
    code, out, err = finish(start(tmp_path, str(write_pipeline(tmp_path))))
    folder = tmp_path / "results" / "result_1"
    result = json.loads((folder / "result.json").read_text())
    assert code == 0
    assert out == ""
    assert list(result)[:4] == ["Script", "Total", "Success", "Failure"]
    assert [result[key] for key in ("Script", "Total", "Success", "Failure")] == [
        "small",
        50,
        50,
        0,
    ]
    assert len(rows_of(folder)) == 50
    assert sorted(one.name for one in folder.iterdir()) == [
        "flux.log",
        "requests.csv",
        "requests.ndjson",
        "result.json",
        "session.toml",
    ]
    assert "planned 50 = started 50 + dropped 0 + cancelled 0" in err


def test_the_session_file_repeats_the_run(start: Start, tmp_path: pathlib.Path) -> None:
    keys = 'service = "${SERVICE:-5ms}"'
    file = write_pipeline(tmp_path, keys=keys)
    finish(start(tmp_path, str(file), "--set", "constant.rate=80/s", "--seed", "11"))
    session = tmp_path / "results" / "result_1" / "session.toml"
    code, _, _ = finish(start(tmp_path, str(session)))
    first, second = (rows_of(tmp_path / "results" / f"result_{n}") for n in (1, 2))
    assert code == 0
    planned = [sorted((int(row["seq"]), row["due_ns"]) for row in rows) for rows in (first, second)]
    assert planned[0] == planned[1]
    assert len(second) == 80
    assert "seed = 11" in session.read_text()


def test_one_interrupt_drains(start: Start, tmp_path: pathlib.Path) -> None:
    file = write_pipeline(tmp_path, duration="60s", keys='service = "1s"')
    process = start(tmp_path, str(file))
    folder = tmp_path / "results" / "result_1"
    wait_for(has_rows(folder, 10), process)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    result = json.loads((folder / "result.json").read_text())
    assert code == 0
    assert "SIGINT: no more arrivals, draining for up to 5 s" in err
    (mark,) = result["marks"]
    assert mark["kind"] == "signal"
    assert mark["text"] in err
    assert result["sessions"]["aborted"] == 0
    assert result["sessions"]["started"] == result["sessions"]["succeeded"] > 40
    assert len(rows_of(folder)) == result["sessions"]["planned"]
    assert result["run"]["ended_by"]["text"].startswith("SIGINT at ")
    assert "ended by  SIGINT at " in err
    # Arrivals that were not due yet have rows that end before they were due.
    assert result["sessions"]["cancelled"] > 0
    recording = read(folder / "requests.csv")
    assert recording.total.requests == result["Total"]


def test_a_second_interrupt_gives_up_and_still_reports(
    start: Start, tmp_path: pathlib.Path
) -> None:
    file = write_pipeline(tmp_path, duration="60s", keys='service = "1h"')
    process = start(tmp_path, str(file))
    folder = tmp_path / "results" / "result_1"
    wait_for((folder / "flux.log").exists, process)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: "SIGINT" in (folder / "flux.log").read_text(), process)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    result = json.loads((folder / "result.json").read_text())
    assert code == 130
    assert result["sessions"]["aborted"] == result["sessions"]["started"] > 0
    assert result["complete"]
    assert "aborted" in err


def test_sigterm_is_as_good_as_sigint(start: Start, tmp_path: pathlib.Path) -> None:
    process = start(tmp_path, str(write_pipeline(tmp_path, duration="60s")))
    folder = tmp_path / "results" / "result_1"
    wait_for(has_rows(folder, 10), process)
    process.terminate()
    code, _, err = finish(process)
    assert code == 0
    assert "SIGTERM: no more arrivals" in err
    assert (folder / "result.json").exists()


def test_kill_leaves_readable_rows_up_to_the_last_second(
    start: Start, tmp_path: pathlib.Path
) -> None:
    process = start(tmp_path, str(write_pipeline(tmp_path, duration="60s")))
    folder = tmp_path / "results" / "result_1"
    wait_for(has_rows(folder, 50), process)
    time.sleep(1.5)
    process.kill()
    process.wait()
    lines = (folder / "requests.csv").read_text().splitlines()
    whole = [line for line in lines[1:] if line.count(",") == lines[0].count(",")]
    last_ns = max(int(line.split(",")[9]) for line in whole)
    assert len(lines) - 1 - len(whole) <= 1  # the last line may be cut
    # It had run for at least 2.5 s, at 50 a second, and loses a second at the most.
    assert last_ns > 1.5e9
    for line in (folder / "requests.ndjson").read_text().splitlines()[:-1]:
        assert json.loads(line)["code"] == 200


def test_two_runs_at_once_have_folders_of_their_own(start: Start, tmp_path: pathlib.Path) -> None:
    file = write_pipeline(tmp_path)
    processes = [start(tmp_path, str(file)) for _ in range(3)]
    assert [finish(process)[0] for process in processes] == [0, 0, 0]
    names = sorted(one.name for one in (tmp_path / "results").iterdir())
    assert names == ["result_1", "result_2", "result_3"]


def test_a_full_disk_ends_the_run_with_one_error_and_costs_no_other_file(
    start: Start,
    tmp_path: pathlib.Path,
) -> None:
    more = '[[stage]]\nuse = "csv"\nname = "full"\npath = "/dev/full"\n'
    process = start(tmp_path, str(write_pipeline(tmp_path, duration="30s", more=more)))
    code, _, err = finish(process)
    folder = tmp_path / "results" / "result_1"
    result = json.loads((folder / "result.json").read_text())
    assert code == 1
    assert "error: cannot write /dev/full: No space left on device" in err
    assert result["complete"]
    assert len(rows_of(folder)) == result["sessions"]["planned"]


def test_a_results_folder_that_cannot_be_made_is_one_error(
    start: Start, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "results").write_text("a file")
    code, _, err = finish(start(tmp_path, str(write_pipeline(tmp_path))))
    assert code == 1
    assert err.startswith("error: cannot ")
    assert "results" in err.splitlines()[0]


def test_a_closed_pipe_ends_the_run_quietly(start: Start, tmp_path: pathlib.Path) -> None:
    more = '[[stage]]\nuse = "stdout"\nformat = "ndjson"\n'
    process = start(tmp_path, str(write_pipeline(tmp_path, duration="60s", more=more)))
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    code = process.wait(timeout=30)
    assert code == 0, err
    assert first["seq"] < 10  # rows come in the order in which requests end
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert (tmp_path / "results" / "result_1" / "result.json").exists()


def test_rows_on_stdout_are_all_of_them(start: Start, tmp_path: pathlib.Path) -> None:
    more = '[[stage]]\nuse = "stdout"\nformat = "csv"\n'
    code, out, _ = finish(start(tmp_path, str(write_pipeline(tmp_path, more=more)), "--quiet"))
    assert code == 0
    assert len(list(csv.DictReader(out.splitlines()))) == 50


def test_a_stderr_that_is_gone_does_not_end_the_run(start: Start, tmp_path: pathlib.Path) -> None:
    process = start(tmp_path, str(write_pipeline(tmp_path, duration="2s")))
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    assert process.wait(timeout=30) == 0
    folder = tmp_path / "results" / "result_1"
    assert json.loads((folder / "result.json").read_text())["Total"] == 100
    assert "stderr cannot be written any more" in (folder / "flux.log").read_text()


def test_hanging_up_is_as_good_as_sigint(start: Start, tmp_path: pathlib.Path) -> None:
    process = start(tmp_path, str(write_pipeline(tmp_path, duration="60s")))
    folder = tmp_path / "results" / "result_1"
    wait_for(has_rows(folder, 10), process)
    process.send_signal(signal.SIGHUP)
    code, _, err = finish(process)
    assert code == 0
    assert "SIGHUP: no more arrivals" in err


def test_a_pipe_that_nobody_reads_is_an_error(start: Start, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    more = f'[[stage]]\nuse = "csv"\nname = "piped"\npath = "{tmp_path}/pipe"\n'
    code, _, err = finish(start(tmp_path, str(write_pipeline(tmp_path, more=more))))
    assert code == 1
    assert "it is a named pipe that nobody reads" in err
    assert "FAILED" in err


def test_the_session_file_of_a_shard_repeats_the_shard(
    start: Start, tmp_path: pathlib.Path
) -> None:
    finish(start(tmp_path, str(write_pipeline(tmp_path)), "--shard", "1/2"))
    finish(start(tmp_path, str(tmp_path / "results" / "result_1" / "session.toml")))
    first, second = (rows_of(tmp_path / "results" / f"result_{n}") for n in (1, 2))
    assert {row["seq"] for row in first} == {row["seq"] for row in second}
    assert len(first) == 25


def test_quiet_says_nothing_about_a_run_that_went_well(
    start: Start, tmp_path: pathlib.Path
) -> None:
    code, out, err = finish(start(tmp_path, str(write_pipeline(tmp_path)), "--quiet"))
    assert (code, out, err) == (0, "", "")


@pytest.fixture
def target() -> Iterator[int]:
    """A server that answers every request, each on a connection of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield port
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_drives_a_real_server(target: int, start: Start, tmp_path: pathlib.Path) -> None:
    keys = f'target = "http://127.0.0.1:{target}"\nstep = [{{ get = "/" }}]'
    file = write_pipeline(tmp_path, executor="http", keys=keys)
    code, _, err = finish(start(tmp_path, str(file)))
    assert code == 0, err
    rows = rows_of(tmp_path / "results" / "result_1")
    assert {row["status"] for row in rows} == {"200"}
    assert {row["step"] for row in rows} == {"GET /"}


def test_a_dead_target_is_a_result_not_a_failure(start: Start, tmp_path: pathlib.Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        keys = f'target = "http://127.0.0.1:{port}"\nstep = [{{ get = "/" }}]'
        file = write_pipeline(tmp_path, executor="http", keys=keys)
        code, _, err = finish(start(tmp_path, str(file)))
    result = json.loads((tmp_path / "results" / "result_1" / "result.json").read_text())
    assert code == 0, err
    assert result["Failure"] == result["Total"] == 50
    assert result["errors"] == {"refused": 50}


def test_killing_the_gateway_leaves_a_run_that_ends_by_itself(
    start: Start, tmp_path: pathlib.Path
) -> None:
    keys = 'target = "demo"\nstep = [{ get = "/health" }]\ntimeout = "2s"'
    file = write_pipeline(tmp_path, duration="4s", executor="http", keys=keys)
    process = start(tmp_path, str(file))
    folder = tmp_path / "results" / "result_1"
    wait_for(has_rows(folder, 20), process)
    (gateway,) = _children(process.pid)
    os.kill(gateway, signal.SIGKILL)
    code, _, err = finish(process)
    result = json.loads((folder / "result.json").read_text())
    assert code == 0, err
    assert set(result["errors"]) <= {"refused", "reset", "closed", "timeout"}
    assert result["Failure"] > 50
    assert result["Success"] > 0
    assert result["sessions"]["planned"] == 200


def test_killing_the_run_stops_the_gateway(start: Start, tmp_path: pathlib.Path) -> None:
    keys = 'target = "demo"\nstep = [{ get = "/health" }]'
    file = write_pipeline(tmp_path, duration="60s", executor="http", keys=keys)
    process = start(tmp_path, str(file))
    wait_for(has_rows(tmp_path / "results" / "result_1", 5), process)
    family = [one for child in _children(process.pid) for one in (child, *_children(child))]
    assert len(family) == 4
    process.kill()
    process.wait()
    until_s = time.monotonic() + 10
    while any(_is_running(pid) for pid in family):
        assert time.monotonic() < until_s, "a gateway process was left behind"
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    # A child belongs to the thread that started it.
    threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
    texts = [(thread / "children").read_text() for thread in threads]
    return [int(one) for text in texts for one in text.split()]


def _is_running(pid: int) -> bool:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
