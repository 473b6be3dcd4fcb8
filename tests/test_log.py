"""The log: the same lines in the file and on stderr, whatever happens to either."""

import datetime
import io
import logging
import os
import pathlib
import re
import subprocess
import sys

import pytest

from flux.errors import StorageFailed
from flux.log import open_log

LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d) "
    r"(?P<level>INFO   |WARNING|ERROR  ) test_log\.py:\d+ (?P<message>.*)"
)


def messages(text: str) -> list[str]:
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    return [match["message"] if match else "not a line" for match in found]


def test_a_line_has_time_level_place_and_message(tmp_path: pathlib.Path) -> None:
    before = datetime.datetime.now().astimezone() - datetime.timedelta(milliseconds=1)
    with open_log(tmp_path) as log:
        log.info("run %s started", "checkout")
    (line,) = (tmp_path / "flux.log").read_text().splitlines()
    match = LINE.fullmatch(line)
    assert match is not None
    assert (match["level"].strip(), match["message"]) == ("INFO", "run checkout started")
    when = datetime.datetime.fromisoformat(match["time"])
    assert before <= when <= datetime.datetime.now().astimezone()


def test_file_and_stderr_have_the_same_lines_and_stdout_none(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_log(tmp_path) as log:
        log.info("one")
        logging.getLogger("flux.stages").warning("two")
    captured = capfd.readouterr()
    assert messages(captured.err) == ["one", "two"]
    assert (tmp_path / "flux.log").read_text() == captured.err
    assert captured.out == ""


def test_a_traceback_is_for_the_file_alone(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_log(tmp_path, secrets=["hunter22"]) as log:
        log.error("broken", extra={"traceback": "Traceback:\n  line 1 of hunter22\n"})
    assert messages(capfd.readouterr().err) == ["broken"]
    lines = (tmp_path / "flux.log").read_text().splitlines()
    assert lines[1:] == ["    Traceback:", "      line 1 of ***"]


def test_quiet_leaves_stderr_to_warnings(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_log(tmp_path, quiet=True) as log:
        log.info("fine")
        log.warning("odd")
        log.error("broken")
    assert messages(capfd.readouterr().err) == ["odd", "broken"]
    assert messages((tmp_path / "flux.log").read_text()) == ["fine", "odd", "broken"]


def test_without_a_folder_there_is_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with open_log(None) as log:
        log.info("one")
    assert messages(capfd.readouterr().err) == ["one"]


def test_nothing_is_left_configured(tmp_path: pathlib.Path) -> None:
    log = logging.getLogger("flux")
    before = log.level, list(log.handlers), list(logging.getLogger().handlers)
    with open_log(tmp_path):
        assert len(log.handlers) == len(before[1]) + 2
    assert (log.level, log.handlers, logging.getLogger().handlers) == before


def test_two_logs_in_turn_have_their_own_lines(tmp_path: pathlib.Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with open_log(tmp_path / name) as log:
            log.info(name)
    assert messages((tmp_path / "a" / "flux.log").read_text()) == ["a"]
    assert messages((tmp_path / "b" / "flux.log").read_text()) == ["b"]


def test_secrets_are_hidden_wherever_they_stand(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_log(tmp_path, secrets={"hunter2", "x"}) as log:
        log.info("sent %s with %r", "/login?p=hunter2", {"Authorization": "Bearer abc.def"})
        log.info("Cookie: sid=1; other=2")
        log.info("connected to https://bob:pa55@127.0.0.1/")
        try:
            raise ValueError("no hunter2")
        except ValueError:
            log.exception("failed")
    text = (tmp_path / "flux.log").read_text()
    assert text == capfd.readouterr().err
    assert not re.search("hunter2.*with|no hunter2|abc|sid|pa55|other", text)
    assert "sent /login?p=*** with {'Authorization': 'Bearer ***'}" in text
    assert "https://bob:***@127.0.0.1/" in text
    assert "\n    ValueError: no ***\n" in text


def test_each_line_is_in_the_file_before_the_call_returns(tmp_path: pathlib.Path) -> None:
    with open_log(tmp_path) as log:
        log.info("last words")
        assert messages((tmp_path / "flux.log").read_text()) == ["last words"]


def test_a_full_disk_is_told_once_and_the_run_goes_on(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flux.log").symlink_to("/dev/full")
    with open_log(tmp_path) as log:
        log.info("one")
        log.info("two")
    text = capfd.readouterr().err
    assert text.count("No space left on device; the run goes on") == 1
    assert "Traceback" not in text
    assert [one for one in messages(text) if one in ("one", "two")] == ["one", "two"]


def test_a_closed_stderr_leaves_the_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with open_log(tmp_path) as log:
        log.info("one")
    assert messages((tmp_path / "flux.log").read_text()) == ["one"]


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2>&1 | true"])
def test_a_stderr_that_cannot_be_written_leaves_the_file(
    tmp_path: pathlib.Path, stderr: str
) -> None:
    script = (
        "import pathlib, flux.log, sys\n"
        "with flux.log.open_log(pathlib.Path(sys.argv[1])) as log:\n"
        "    for number in range(1000): log.info('line %d', number)\n"
    )
    shell = f'exec "$0" -c "$1" "$2" {stderr}'
    done = subprocess.run(["sh", "-c", shell, sys.executable, script, str(tmp_path)])
    assert done.returncode == 0
    lines = (tmp_path / "flux.log").read_text().splitlines()
    assert lines[-1].endswith(" line 999")
    assert len(lines) == 1000


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: pathlib.Path) -> None:
    with (
        pytest.raises(StorageFailed, match=r"cannot write .*flux\.log: No such file"),
        open_log(tmp_path / "absent"),
    ):
        pass
    assert not any(type(one).__module__ == "flux.log" for one in logging.getLogger("flux").handlers)


def test_descriptors_are_closed(tmp_path: pathlib.Path) -> None:
    before = os.listdir("/proc/self/fd")
    with open_log(tmp_path) as log:
        log.info("one")
    assert len(os.listdir("/proc/self/fd")) == len(before)
