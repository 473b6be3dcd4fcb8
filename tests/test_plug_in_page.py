"""The page of plug-ins: its package is made, installed and run, and says what the page says."""

import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable

import pytest

import flux.plug_in
import flux.testing

PAGE = (pathlib.Path(__file__).parent.parent / "docs" / "plug-ins.md").read_text()
FILES = dict(re.findall(r"^<!-- file: (\S+) -->\n+```\w+\n(.*?)^```", PAGE, re.M | re.S))
OUTPUTS = re.findall(r"^<!-- output: (.*?) -->\n+```text\n(.*?)^```", PAGE, re.M | re.S)

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Runs commands where the page's package is installed, as it says, beside this flux."""
    folder = tmp_path_factory.mktemp("harbour")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "flux_harbour" / "__init__.py").touch()
    environment = folder / ".venv"
    make = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(make, check=True, timeout=60)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/python*/site-packages")
    beside = sysconfig.get_path("purelib")
    (site / "beside.pth").write_text(f"import site; site.addsitedir({beside!r})\n")
    command = environment / "bin" / "flux"
    command.write_text(f'#!/bin/sh\nexec {python} -m flux "$@"\n')
    command.chmod(0o755)
    offline = ["--no-index", "--no-build-isolation", "--no-deps", "--quiet", "--no-cache-dir"]
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", *offline]
    subprocess.run([*install, "--editable", str(folder)], check=True, timeout=60)
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize(("line", "said"), OUTPUTS, ids=[line for line, _ in OUTPUTS])
def test_commands_say_what_the_page_says(shell: Shell, line: str, said: str) -> None:
    done = shell(line)
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)


def test_its_pipeline_runs_and_each_failure_is_in_the_sinks_file(shell: Shell) -> None:
    shell("printf '\\n[[stage]]\\nuse = \"json\"\\n' | cat harbour.toml - > counted.toml")
    done = shell("flux run counted.toml --quiet --results here && cat here/result_1/result.json")
    assert (done.stderr, done.returncode) == ("", 0)
    result = json.loads(done.stdout)
    planned = json.loads(shell("flux plan harbour.toml --format json").stdout)["arrivals"]
    assert result["sessions"]["planned"] == result["sessions"]["started"] == planned > 100
    lines = shell("cat here/result_1/failures.txt").stdout.splitlines()
    assert len(lines) == result["Failure"] > 10
    assert all(re.fullmatch(r"\d\.\d{3} s null: 503 status", line) for line in lines)


def test_its_tests_pass(shell: Shell) -> None:
    done = shell("python -m pytest test_harbour.py -p no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b\d\d passed", done.stdout)


@pytest.mark.parametrize("module", [flux.plug_in, flux.testing])
def test_what_the_page_imports_is_public(module: object) -> None:
    name = module.__name__  # type: ignore[attr-defined]  # of any module
    imported = re.findall(rf"^from {name} import (?:\((.*?)\)|(.*?)$)", PAGE, re.M | re.S)
    names = {one for groups in imported for one in re.findall(r"\w+", "".join(groups))}
    assert names
    assert names <= set(module.__all__)  # type: ignore[attr-defined]  # likewise


def test_plug_ins_import_nothing_else_of_flux() -> None:
    modules = re.findall(r"^(?:from|import) (flux[\w.]*)", PAGE, re.M)
    assert {one for one in modules if not one.startswith("flux_")} == {
        "flux.plug_in",
        "flux.testing",
    }


def test_every_public_name_is_explained_at_the_top_of_its_module() -> None:
    for module in (flux.plug_in, flux.testing):
        words = re.findall(r"\w+", module.__doc__ or "")
        assert [name for name in module.__all__ if name not in words] == []
