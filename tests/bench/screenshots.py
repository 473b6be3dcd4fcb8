"""Makes the pictures of the pages: `python -m tests.bench.screenshots`, a minute and a half.

A run of pipelines/phases.toml against the demo gateway, and the top of its report in the system's
chromium, in the light.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).parent.parent.parent
PICTURE = ROOT / "docs" / "report.png"
MOST_BYTES = 200_000


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


def main() -> None:
    """Run, report, take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        flux("run", "pipelines/phases.toml", "--quiet", "--results", name)
        flux("report", "1", "--results", name, "--out", str(folder / "report.html"))
        take_picture(folder / "report.html", PICTURE)
    size_bytes = PICTURE.stat().st_size
    print(f"{PICTURE}: {size_bytes:,} bytes")
    if size_bytes >= MOST_BYTES:
        sys.exit(f"it must be smaller than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
