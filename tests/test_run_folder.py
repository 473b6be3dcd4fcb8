"""Run folders and session files: numbers are never given twice, and a session repeats its run."""

import datetime
import os
import pathlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import tomli

import flux
from flux import run_folder
from flux.config.interpolate import interpolate
from flux.errors import StorageFailed
from flux.masking import find_secrets
from flux.run_folder import create_run_folder, session_text, write_session
from flux.schemas import ERROR_TEXTS, OUTCOME, Flag

STARTED_AT = datetime.datetime(2026, 11, 21, 10, 0, tzinfo=datetime.UTC)
DOCUMENT: dict[str, Any] = {
    "name": "checkout",
    "seed": 7,
    "stage": [
        {"use": "constant", "rate": "20/s"},
        {
            "use": "http",
            "target": "https://bob:s3cret-word@127.0.0.1/",
            "headers": {"Authorization": "Bearer abcdefgh", "Price": "$5 or ${5}"},
        },
    ],
}


README = pathlib.Path(__file__).parents[1] / "results" / "README.md"


def test_the_readme_explains_every_column_error_and_flag() -> None:
    explained = re.findall(r"`([a-z_]+)`", README.read_text())
    flags = [str(flag.name).lower() for flag in Flag]
    assert {*OUTCOME.columns, "timestamp", *filter(None, ERROR_TEXTS), *flags} <= set(explained)


def test_the_first_run_makes_the_folder_of_results(tmp_path: pathlib.Path) -> None:
    folder = create_run_folder(tmp_path / "results")
    assert folder == tmp_path / "results" / "result_1"
    assert folder.is_dir()


def test_a_folder_for_results_that_may_be_mistyped_is_not_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "results").mkdir()
    told = r"there is no folder .*/reslts\n  hint: did you mean '.*/results'\?"
    with pytest.raises(StorageFailed, match=told):
        create_run_folder(tmp_path / "reslts" / "nightly")
    assert [one.name for one in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (["result_1", "result_3"], 4),  # 2 was deleted, and is not given again
        (["result_9", "result_10"], 11),
        (["README.md", "result_x", "result_", "old_result_7", "result_7.zip"], 1),
        (["result_007"], 8),
    ],
)
def test_a_number_is_one_above_the_highest(
    tmp_path: pathlib.Path, names: list[str], number: int
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert create_run_folder(tmp_path).name == f"result_{number}"


def test_a_file_has_a_number_too(tmp_path: pathlib.Path) -> None:
    (tmp_path / "result_4").touch()
    assert create_run_folder(tmp_path).name == "result_5"


def test_runs_that_start_at_once_never_share_a_folder(tmp_path: pathlib.Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        folders = list(threads.map(create_run_folder, [tmp_path] * 200))
    assert len(set(folders)) == 200
    assert {folder.name for folder in folders} == {f"result_{n}" for n in range(1, 201)}


def test_a_number_that_another_run_took_meanwhile_is_passed_over(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"result_{number}").mkdir()
    monkeypatch.setattr(run_folder, "_highest", lambda results: 0)
    assert create_run_folder(tmp_path).name == "result_4"


@pytest.mark.parametrize("results", ["file", "file/below"])
def test_results_that_is_no_folder_is_named(tmp_path: pathlib.Path, results: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match=f"cannot .*{results}: .*\n  hint: "):
        create_run_folder(tmp_path / results)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_results_without_permission_is_named(tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageFailed, match="Permission denied"):
        create_run_folder(tmp_path)


def test_a_session_repeats_the_run_once_its_secrets_are_set(tmp_path: pathlib.Path) -> None:
    file = write_session(tmp_path, DOCUMENT, command=["flux", "run"], started_at=STARTED_AT)
    assert file == tmp_path / "session.toml"
    assert os.listdir(tmp_path) == ["session.toml"]
    secrets = {name[2:-1]: text for text, name in find_secrets(DOCUMENT).items()}
    assert list(secrets) == ["STAGE_HTTP_TARGET_PASSWORD", "STAGE_HTTP_HEADERS_AUTHORIZATION"]
    document, _, problems = interpolate(tomli.loads(file.read_text()), secrets)
    assert document == DOCUMENT
    assert problems == []


def test_a_session_says_which_variables_it_needs() -> None:
    document = tomli.loads(session_text(DOCUMENT, command=[], started_at=STARTED_AT))
    *_, problems = interpolate(document, {})
    assert [problem.rule for problem in problems] == [
        "needs the environment variable STAGE_HTTP_TARGET_PASSWORD, which is not set",
        "needs the environment variable STAGE_HTTP_HEADERS_AUTHORIZATION, which is not set",
    ]


def test_a_session_begins_with_version_command_and_time() -> None:
    command = ["flux", "run", "a b.toml", "--set", "http.headers.X=abcdefgh\nno comment"]
    text = session_text(DOCUMENT, command=command, started_at=STARTED_AT)
    header = text[: text.index("\n\n")].splitlines()
    assert all(line.startswith("# ") for line in header)
    assert f"# flux {flux.__version__}" in header
    assert "# started_at: 2026-11-21T10:00:00.000+00:00" in header
    assert header[2].startswith("# command: flux run 'a b.toml' --set 'http.headers.X=${STAGE_HTTP")
    assert "abcdefgh" not in text
    assert header[4].endswith(" set STAGE_HTTP_HEADERS_AUTHORIZATION, STAGE_HTTP_TARGET_PASSWORD")


def test_a_session_is_whole_or_absent(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".session.toml.part").symlink_to("/dev/full")
    with pytest.raises(StorageFailed, match=r"cannot write .*session\.toml: No space left"):
        write_session(tmp_path, DOCUMENT, command=[], started_at=STARTED_AT)
    assert os.listdir(tmp_path) == []
