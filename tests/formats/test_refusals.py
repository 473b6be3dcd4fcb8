"""What people give by mistake: each is one clear error, or read as far as it goes."""

import gc
import gzip
import pathlib
import re
import subprocess
import sys

import pytest

from flux.cli import invoke
from flux.errors import ExitCode
from flux.formats import FORMATS
from tests.formats.samples import GOLDEN, sample_rows, text_of

OWN = text_of("csv", sample_rows())
JTL = (GOLDEN / "other_jmeter.jtl").read_bytes()
VEGETA = (GOLDEN / "other_vegeta.json").read_bytes()
K6 = (GOLDEN / "rows.k6-json").read_bytes()


def without_columns(text: bytes, count: int) -> bytes:
    return b"".join(b",".join(line.split(b",")[:-count]) + b"\n" for line in text.splitlines())


REFUSED: dict[str, tuple[bytes, str]] = {
    "noise": (bytes(range(256)) * 20, "is no text"),
    "empty": (b"", "is empty"),
    "blank lines": (b"\n\n \n", "is empty"),
    "zstd": (b"\x28\xb5\x2f\xfd\0\0", "is packed by zstd"),
    "xz": (b"\xfd7zXZ\0\0", "is packed by xz"),
    "zip": (b"PK\3\4\0", "is a zip file"),
    "UTF-16": (OWN.decode().encode("utf-16"), "is UTF-16 text"),
    "a gzip file of nothing": (gzip.compress(OWN)[:12], "is a gzip file that was cut"),
    "a broken gzip file": (
        gzip.compress(OWN)[:60] + b"\xff" * 60,
        "cannot be read: Error -3 while decompressing data",
    ),
    "a line without end": (b"x" * 2**18, "has no format that flux knows: it begins 'xxx"),
    "a result of another version": (
        b'{"Script": "a",\n"schema": "flux.result/2"}\n',
        "must have the schema 'flux.result/1', got 'flux.result/2'",
    ),
    "rows without a column": (
        without_columns(OWN, 4),
        "looks like flux's own rows, but has no column flags",
    ),
    "a JTL without a column": (
        JTL.replace(b",success,", b",ok,", 1),
        "looks like a JTL, but has no column success",
    ),
    "vegeta without a key": (
        VEGETA.replace(b'"latency"', b'"took"'),
        "looks like vegeta's JSON, but has no key latency",
    ),
    "a JTL without a header": (
        JTL.partition(b"\n")[2],
        "is a JTL without the names of its columns",
    ),
    "a JTL as XML": (b'<?xml version="1.0"?>\n<testResults/>\n', "is XML: flux reads a JTL as CSV"),
    "a latency that is no number": (
        VEGETA.replace(b'"latency":1500000', b'"latency":NaN'),
        "line 1 of .* has latency nan, which must be whole",
    ),
    "a negative latency": (
        VEGETA.replace(b'"latency":2500000', b'"latency":-1'),
        "line 2 of .* has latency -1, which must not be negative",
    ),
    "a latency of years": (
        VEGETA.replace(b'"latency":2500000', b'"latency":250000000000000000'),
        "line 2 of .* which is longer than a month",
    ),
    "negative times of JMeter": (
        JTL.replace(b",120,", b",-120,"),
        "line 2 of .* has elapsed -120, which must not be negative",
    ),
    "NaN of k6": (
        K6.replace(b'"value":12.345678', b'"value":NaN'),
        "line 24 of .* value must be 0 or more, got nan",
    ),
    "NaN of Locust": (
        b"Timestamp,Name,Total Request Count\n1795255200,Aggregated,nan\n",
        "has Total Request Count 'nan', which must be a number, 0 or more",
    ),
    "a request that ends before it began": (
        OWN.replace(b",112345678,200,", b",1,200,"),
        "line 2 of .* must end after it began, has end_ns 1",
    ),
    "k6's summary without requests": (
        b'{"metrics": {}, "root_group": {}}',
        "has no 'http_reqs'",
    ),
    "a figure that is none": (
        b'{"metrics": {"http_reqs": {"count": "x", "rate": 1}}, "root_group": {}}',
        "is broken: a figure must be a number, 0 or more, got 'x'",
    ),
    "wrk that was interrupted": (b"Running 1s test @ u\n  Thread Stats\n", "must have lines of"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("command", ["report", "compare"])
def test_what_cannot_be_read_is_one_message(
    command: str,
    text: bytes,
    said: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "file"
    file.write_bytes(text)
    others = [str(GOLDEN / "rows.csv")] if command == "compare" else ["--format", "md"]
    assert invoke([command, str(file), *others]) == ExitCode.FAILURE
    out, told = capsys.readouterr()
    assert out == ""
    assert told.startswith("error: ")
    assert told.count("\n") <= 2
    assert re.search(said, told)


READ: dict[str, tuple[bytes, int]] = {
    "a byte order mark": (b"\xef\xbb\xbf" + text_of("vegeta-csv", sample_rows()), 6),
    "a gzip file that was cut": (gzip.compress(OWN + b"".join(OWN.splitlines(True)[1:]))[:-8], 12),
    "a body of 200 kB": (VEGETA.replace(b"aGVsbG8=", b"aGVsbG8=" * 25_000), 3),
    "one word more in a line": (JTL.replace(b"Home page", b'"Home, page"'), 3),
    "zeros after the last line": (OWN + bytes(300), 6),
}


@pytest.mark.parametrize(("text", "requests"), READ.values(), ids=READ)
def test_what_can_be_read_is(
    text: bytes, requests: int, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(text)
    assert invoke(["report", str(file), "--format", "md", "--out", "-"]) == ExitCode.OK
    assert f"- requests: {requests}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "there is no none"),
        ("99", "there is no run 99 in results"),
        ("last", "there are no runs in results"),
        ("a\0b", "cannot be looked at|there is no a"),
        ("x" * 300, "x+ cannot be looked at: File name too long"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["convert", "--to", "csv"],
        ["compare", str(GOLDEN / "rows.csv")],
        ["results", "show"],
    ],
    ids=" ".join,
)
def test_a_name_of_nothing_is_one_message(
    command: list[str],
    name: str,
    said: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke([*command, name]) == ExitCode.USAGE
    assert re.match(rf"error: ({said})", capsys.readouterr().err)


def test_a_folder_that_is_no_run_says_what_is_missing(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["report", str(tmp_path)]) == ExitCode.FAILURE
    assert invoke(["compare", str(tmp_path), str(tmp_path)]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "has no result.json" in told
    assert f"there is no run in {tmp_path}" in told


AS_NOBODY = """
import os, sys
from flux.cli import invoke
invoke(["report", sys.argv[1], "--format", "md", "--out", os.devnull])  # imports what it needs
os.chmod(sys.argv[1], 0)
os.geteuid() or os.seteuid(65534)
sys.exit(invoke(["report", sys.argv[1], "--format", "md"]))
"""


def test_a_file_that_may_not_be_read_is_one_message(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(OWN)
    command = [sys.executable, "-c", AS_NOBODY, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (ExitCode.FAILURE, ExitCode.USAGE)
    reason = "cannot be (read|looked at): Permission denied"
    assert re.fullmatch(rf"error: {re.escape(str(file))} {reason}\n", done.stderr)


@pytest.mark.parametrize("form", [*FORMATS])
def test_a_broken_row_is_one_error_whatever_it_was_to_become(
    form: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    head, first, *rest = (GOLDEN / "rows.csv").read_text().splitlines(keepends=True)
    rows = tmp_path / "rows.csv"
    before, after = first.split(",")[:4], first.split(",")[5:]
    rows.write_text("".join([head, ",".join([*before, "soon", *after]), *rest]))
    out = tmp_path / "made" / "out"
    out.parent.mkdir()
    assert invoke(["convert", str(rows), "--to", form, "--out", str(out)]) == ExitCode.FAILURE
    gc.collect()  # what is left open is closed at last, and would say so
    message = f"error: line 2 of {rows} has due_ns 'soon', which must be whole\n"
    assert capfd.readouterr() == ("", message)
    assert not [*out.parent.iterdir()]
