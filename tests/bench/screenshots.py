"""Makes the pictures of the pages: `python -m tests.bench.screenshots`, two and a half minutes.

The top of a report is taken from a run of pipelines/phases.toml against the demo gateway, in the
system's chromium, in the light. The view of a terminal and the page at the end are taken from a run
in a terminal of its own, which tmux keeps, as it stands there; one of two targets dies meanwhile.
A machine that takes pictures is busy, so runs may be late.
"""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROOT = pathlib.Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
MOST_BYTES = 200_000
COLUMNS, LINES = 100, 40
LENIENT = ("max_lag_p99=1h", "max_stall=1h")
WATCHED_S = 27
LIMIT_S = 120.0

PIPELINE = """
name = "checkout"
duration = "40s"
seed = 7
[breaker]
error_share = 0.5
[[threshold]]
expect = "p(95) < 250ms"
[[threshold]]
metric = "failed"
expect = "rate < 0.1%"
step = "register"
[[phase]]
name = "usual"
duration = "20s"
[[phase]]
name = "peak"
duration = "20s"
stage.exponential = {{ rate = "80/s" }}
[[stage]]
use = "exponential"
rate = "40/s"
[[stage]]
use = "spikes"
every = "10s"
factor = 3
max_interval = "20s"
ramp_up = "2s"
ramp_down = "4s"
[[stage]]
use = "http"
[[stage.targets]]
name = "blue"
url = "{blue}"
[[stage.targets]]
name = "green"
url = "{green}"
[stage.health]
path = "/health"
[[stage.step]]
name = "register"
post = "/auth/register"
json = {{ username = "{{{{random.text(12)}}}}", password = "{{{{random.text(12)}}}}" }}
[[stage.step]]
name = "health"
get = "/health"
[[stage]]
use = "collect"
[[stage]]
use = "json"
"""


def flux(*arguments: str) -> None:
    """Run a command line; a run that is invalid is a picture too."""
    done = subprocess.run([sys.executable, "-m", "flux", *arguments], cwd=ROOT)
    if done.returncode not in (0, 96, 99):
        sys.exit(done.returncode)


def take_picture(page_file: pathlib.Path, picture: pathlib.Path) -> None:
    """The verdict, the facts and the first charts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 960, "height": 1120})
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-charts]", state="attached")
        page.screenshot(path=picture)
        browser.close()


@contextmanager
def open_gateway(*options: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """A demo gateway, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flux", "gateway", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout or ():
            if found := re.search(r"http://[\w.:]+", line):
                yield process, found[0]
                return
        sys.exit("the gateway did not say where it is")
    finally:
        process.kill()
        process.wait()


@attrs.frozen
class Terminal:
    """A terminal that tmux keeps."""

    socket: pathlib.Path

    def tmux(self, *words: str) -> str:
        """What a command of tmux prints."""
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def open(self, command: str, folder: pathlib.Path) -> None:
        """Run a command in it; it stays when that has ended."""
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        waiting = f"{command}; echo; echo END; sleep 1000"
        self.tmux("new-session", "-d", *size, "-c", str(folder), waiting)

    def shown(self) -> str:
        """What stands there, with its colours."""
        return self.tmux("capture-pane", "-e", "-p", "-S", "-200")

    def wait_for(self, text: str) -> str:
        """What stands there once this does."""
        until_s = time.monotonic() + LIMIT_S
        while text not in (shown := self.shown()):
            if time.monotonic() > until_s:
                sys.exit(f"{text!r} was not shown:\n{shown}")
            time.sleep(0.2)
        return shown


def save_svg(shown: str, picture: pathlib.Path, title: str) -> None:
    """Text with colours as a picture that asks nobody for a font."""
    lines = [Text.from_ansi(line) for line in shown.rstrip().splitlines()]
    with open("/dev/null", "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for line in lines:
            console.print(line, no_wrap=True, crop=True)
        console.print()  # the last line is cut at its foot
        svg = console.export_svg(title=title, theme=DIMMED_MONOKAI, unique_id="flux")
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def take_terminal(folder: pathlib.Path) -> None:
    """The view in the middle of a run, and the page at its end."""
    terminal = Terminal(folder / "tmux")
    with (
        open_gateway("--latency", "health=lognormal:8ms,0.5") as (_, blue),
        open_gateway() as (
            dying,
            green,
        ),
    ):
        (folder / "checkout.toml").write_text(PIPELINE.format(blue=blue, green=green))
        command = [sys.executable, "-m", "flux", "run", "checkout.toml", *_lenient()]
        terminal.open(f"clear; {shlex.join(command)}", folder)
        try:
            terminal.wait_for("sessions due")
            time.sleep(WATCHED_S - 9)
            dying.kill()
            time.sleep(9)
            view = terminal.shown()
            end = terminal.wait_for("\nEND")
        finally:
            terminal.tmux("kill-server")
    save_svg(_from(view, "checkout"), DOCS / "screen.svg", "flux run checkout.toml")
    summary = _from(end, "VALID").partition("\nEND")[0]
    save_svg(summary, DOCS / "summary.svg", "flux run checkout.toml")


def _lenient() -> list[str]:
    return [word for one in LENIENT for word in ("--set", f"validity.{one}")]


def _from(shown: str, word: str) -> str:
    """Without the lines of the log above the line that begins with this."""
    lines = shown.splitlines()
    begins = [Text.from_ansi(line).plain.startswith(word) for line in lines]
    return "\n".join(lines[begins.index(True) :])


def main() -> None:
    """Run, report, take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        flux("run", "pipelines/phases.toml", "--quiet", "--results", name, *_lenient())
        flux("report", "1", "--results", name, "--out", str(folder / "report.html"))
        take_picture(folder / "report.html", DOCS / "report.png")
        take_terminal(folder)
    for picture in ("report.png", "screen.svg", "summary.svg"):
        size_bytes = (DOCS / picture).stat().st_size
        print(f"docs/{picture}: {size_bytes:,} bytes")
        if size_bytes >= MOST_BYTES:
            sys.exit(f"it must be smaller than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
