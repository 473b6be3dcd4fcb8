"""The folder of a run: `results/result_N`, and the session file in it.

The number is one above the highest there is, and the folder is made by a call that fails if it
exists. So two runs that start at once never share one, and a deleted run's number is not given
away again while there are higher ones.

For as long as a run lives it holds a lock on the log in its folder. The system takes the lock away
with the process, however that ends, so whether a run goes on can be told without its help.
"""

import datetime
import fcntl
import os
import pathlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import tomli_w

import flux
from flux.config.locate import Path
from flux.log import LOG_FILE
from flux.masking import find_secrets, mask_secrets, replace_secrets
from flux.storage import check_folder, storing, write_whole

SESSION_FILE: Final = "session.toml"
"""Name of the file that repeats a run."""

RUN_FOLDER_NAME: Final = re.compile(r"result_([0-9]+)")
"""What the folder of a run is called, with its number."""


def create_run_folder(results: pathlib.Path) -> pathlib.Path:
    """Make the next `result_N`.

    Args:
        results: folder of all runs; it is made if it is not there, those above it are not.

    Raises:
        StorageFailed: a folder cannot be made.
    """
    check_folder(results)
    with storing(results, "make a folder in"):
        results.mkdir(exist_ok=True)
        number = _highest(results)
        while True:
            number += 1
            folder = results / f"result_{number}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue  # another run was faster
            return folder


def _highest(results: pathlib.Path) -> int:
    matches = (RUN_FOLDER_NAME.fullmatch(name) for name in os.listdir(results))
    return max((int(match[1]) for match in matches if match), default=0)


@contextmanager
def hold_run_folder(folder: pathlib.Path) -> Iterator[None]:
    """Show all others that the run of this folder goes on while the block lasts.

    Raises:
        StorageFailed: the log in it cannot be made.
    """
    file = folder / LOG_FILE
    with storing(file):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with storing(file, "lock"):
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # waits for who is just asking
        yield
    finally:
        os.close(descriptor)


def is_held(folder: pathlib.Path) -> bool:
    """Whether the run of this folder goes on."""
    try:
        descriptor = os.open(folder / LOG_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(descriptor)
    return False


def write_session(
    folder: pathlib.Path,
    document: dict[str, Any],
    *,
    command: Sequence[str],
    started_at: datetime.datetime,
    origins: Mapping[Path, str] = MappingProxyType({}),
) -> pathlib.Path:
    """Write `session.toml`: the pipeline as it runs, with secrets masked.

    Args:
        folder: of the run.
        document: the pipeline, interpolated and with its seed.
        command: as it was given to the shell.
        started_at: wall-clock time of the run's start, with its zone.
        origins: text as written of the values that held a reference to the environment, by path.

    Returns:
        The file, which is either complete or not there.

    Raises:
        StorageFailed: it cannot be written.
    """
    text = session_text(document, command=command, started_at=started_at, origins=origins)
    file = folder / SESSION_FILE
    write_whole(file, text.encode(errors="replace"))
    return file


def session_text(
    document: dict[str, Any],
    *,
    command: Sequence[str],
    started_at: datetime.datetime,
    origins: Mapping[Path, str] = MappingProxyType({}),
) -> str:
    """What `write_session` writes. Pure."""
    secrets = find_secrets(document, origins)
    text = tomli_w.dumps(mask_secrets(document, origins))
    names = sorted(name[2:-1] for name in secrets.values() if name in text)
    header = [
        "The pipeline of this run; `flux run` on this file repeats it.",
        f"flux {flux.__version__}",
        f"command: {replace_secrets(shlex.join(command), secrets)}",
        f"started_at: {started_at.isoformat(timespec='milliseconds')}",
    ]
    if names:
        header.append(f"secrets were left out; set {', '.join(names)}")
    return "".join(f"# {_one_line(line)}\n" for line in header) + "\n" + text


def _one_line(text: str) -> str:
    """Control characters may not stand in a comment, and a line break would end it."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", " ", text)
