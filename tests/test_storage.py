"""Files are written whole or not at all; what is no file is never replaced."""

import os
import pathlib
import stat

import pytest

from flux.errors import StorageFailed
from flux.storage import write_whole


def test_replaces_a_file_as_a_whole(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(b"old and longer")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["result.json"]


def test_writes_what_a_link_leads_to(tmp_path: pathlib.Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_writes_to_a_device_and_leaves_it_one() -> None:
    write_whole(pathlib.Path("/dev/null"), b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_full_device_is_an_error(tmp_path: pathlib.Path) -> None:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    with pytest.raises(StorageFailed, match=r"cannot write .*full: No space left on device"):
        write_whole(link, b"too much")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
