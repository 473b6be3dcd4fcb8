"""The live view through the real command, on a real terminal: and a run that never waits for it."""

import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping

import attrs
import pytest

LIMIT_S = 60.0


@attrs.define
class Terminal:
    """A run whose standard error is a terminal."""

    process: "subprocess.Popen[bytes]"
    descriptor: int
    shown: bytes = b""

    def read_until(self, reached: Callable[[], bool]) -> None:
        """Take what is shown until something is reached, or the terminal is closed."""
        limit_s = time.monotonic() + LIMIT_S
        while not reached():
            assert time.monotonic() < limit_s, self.shown.decode(errors="replace")
            ready, _, _ = select.select([self.descriptor], [], [], 0.05)
            if not ready:
                continue
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # EIO: nobody has the other end any more
                return
            if not data:
                return
            self.shown += data

    def finish(self) -> int:
        """Take all there is, and return the exit code."""
        self.read_until(lambda: self.process.poll() is not None)
        self.read_until(lambda: not select.select([self.descriptor], [], [], 0.05)[0])
        return self.process.wait(LIMIT_S)

    def viewers(self) -> list[int]:
        """Process ids of what draws."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [pid for pid in map(int, children.read_text().split()) if "viewer" in command(pid)]


def command(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_text()


def _without_size(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would override the size of the terminal."""
    return {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}


Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    started: list[Terminal] = []
    file = tmp_path / "pipeline.toml"

    def start_one(*options: str, duration: str = "1500ms", **environment: str) -> Terminal:
        file.write_text(
            textwrap.dedent(f"""
                duration = "{duration}"
                seed = 1
                [validity]  # a busy machine makes a run late, which is not what is tested here
                max_lag_p99 = "1h"
                max_stall = "1h"
                [[stage]]
                use = "constant"
                rate = "50/s"
                [[stage]]
                use = "null"
                [[stage]]
                use = "collect"
                interval = "100ms"
                [[stage]]
                use = "json"
            """)
        )
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 100))
        process = subprocess.Popen(
            [sys.executable, "-m", "flux", "run", str(file), *options],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env={**_without_size(os.environ), "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(theirs)
        started.append(Terminal(process, ours))
        return started[-1]

    yield start_one
    for terminal in started:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()
        os.close(terminal.descriptor)


def result_of(tmp_path: pathlib.Path) -> dict[str, int]:
    document: dict[str, int] = json.loads(
        (tmp_path / "results" / "result_1" / "result.json").read_text()
    )
    return document


def test_a_terminal_shows_a_view_and_then_the_summary(start: Start, tmp_path: pathlib.Path) -> None:
    terminal = start()
    assert terminal.finish() == 0
    shown = terminal.shown.decode()
    assert "sessions due" in shown
    assert "\x1b[" in shown
    assert "75 = started 75" in shown.rsplit("sessions  planned", 1)[1]
    assert result_of(tmp_path)["Total"] == 75


def test_a_terminal_that_gets_smaller_is_cleared_and_drawn_anew(start: Start) -> None:
    terminal = start(duration="60s")
    terminal.read_until(lambda: b"sessions due" in terminal.shown)
    termios.tcsetwinsize(terminal.descriptor, (9, 50))
    terminal.read_until(lambda: b"\x1b[2J" in terminal.shown)
    shown_before = terminal.shown.rindex(b"\x1b[2J")
    terminal.read_until(lambda: b"achieved" in terminal.shown[shown_before:])
    after = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.shown[shown_before:].decode())
    assert "begins in results" in after  # the log's lines are there again
    pictures = after.split("pipeline  seed")[1:]
    assert all(picture.count("\n") < 8 for picture in pictures), pictures
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.finish() == 0


def test_no_color_keeps_the_view_and_drops_the_colours(start: Start) -> None:
    terminal = start("--no-color")
    assert terminal.finish() == 0
    assert "sessions due" in terminal.shown.decode()
    assert b"\x1b[3" not in terminal.shown


@pytest.mark.parametrize(("options", "term"), [(("--lines",), "xterm"), ((), "dumb")])
def test_lines_are_shown_where_they_are_wanted(
    start: Start, options: tuple[str, ...], term: str
) -> None:
    terminal = start(*options, TERM=term)
    assert terminal.finish() == 0
    assert b"p99" in terminal.shown
    assert b"achieved " not in terminal.shown
    assert b"\x1b[" not in terminal.shown


def test_quiet_shows_nothing_of_a_good_run(start: Start) -> None:
    terminal = start("--quiet")
    assert terminal.finish() == 0
    assert terminal.shown == b""


def test_a_viewer_that_dies_leaves_lines(start: Start, tmp_path: pathlib.Path) -> None:
    terminal = start(duration="3s")
    terminal.read_until(lambda: b"sessions due" in terminal.shown)
    (viewer,) = terminal.viewers()
    os.kill(viewer, signal.SIGKILL)
    shown_before = len(terminal.shown)
    assert terminal.finish() == 0
    after = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.shown[shown_before:].decode())
    assert "open" in after
    assert "planned 150 = started 150" in after
    assert result_of(tmp_path)["Total"] == 150


def test_a_viewer_that_hangs_holds_nothing_up(start: Start, tmp_path: pathlib.Path) -> None:
    terminal = start(duration="2s")
    terminal.read_until(lambda: b"sessions due" in terminal.shown)
    (viewer,) = terminal.viewers()
    os.kill(viewer, signal.SIGSTOP)
    assert terminal.finish() == 0
    assert "planned 100 = started 100" in terminal.shown.decode()
    assert result_of(tmp_path)["Total"] == 100


def test_ctrl_c_stops_the_run_and_not_the_view(start: Start) -> None:
    terminal = start(duration="60s")
    terminal.read_until(lambda: b"sessions due" in terminal.shown)
    os.killpg(terminal.process.pid, signal.SIGINT)  # as a terminal does: to all of them
    assert terminal.finish() == 0
    shown = terminal.shown.decode()
    assert "SIGINT: no more arrivals" in shown
    assert "Traceback" not in shown


def test_a_run_that_is_killed_leaves_no_viewer(start: Start) -> None:
    terminal = start(duration="60s")
    terminal.read_until(lambda: b"sessions due" in terminal.shown)
    (viewer,) = terminal.viewers()
    terminal.process.kill()
    terminal.process.wait()
    terminal.read_until(lambda: not pathlib.Path(f"/proc/{viewer}/cmdline").exists())
