"""The process that draws the live view: `python -m flux.screen.viewer`, started by a run.

It reads lines of JSON from standard input, each with a frame to draw or with text to print above
it, and draws on standard error, at most four times a second. It says when it is ready, ends with
its input, and leaves no picture behind. Ctrl-C is not for it: the run decides what happens then.

A terminal that changes its size breaks what stands there into lines anew, and nobody knows where
the picture is: then the screen is cleared, and the last texts and the picture are written again.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import deque
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.text import Text

from flux.screen.drawing import draw

REDRAW_S = 0.25
"""Between two pictures, at least."""

NICENESS = 10
"""It must never take time from the process that makes the load."""

_MOST_RATES = 200

_MOST_TEXTS = 200
"""What was printed above the picture, and is again in a terminal of another size."""


class _Inbox:
    """What has come in and is not drawn yet: all text, and the latest frame."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._texts: list[str] = []
        self._frame: dict[str, Any] | None = None
        self._rates_per_s: deque[float] = deque(maxlen=_MOST_RATES)
        self._has_ended = False

    def read(self) -> None:
        """Take in every line, until there are no more."""
        for line in sys.stdin:
            message = json.loads(line)
            with self._lock:
                if "text" in message:
                    self._texts.append(message["text"])
                else:
                    self._frame = message
                    self._rates_per_s.append(message["requests_per_s"])
                self._lock.notify()
        with self._lock:
            self._has_ended = True
            self._lock.notify()

    def take(self) -> "tuple[list[str], dict[str, Any] | None, list[float], bool]":
        """Wait a little for something; what came in, and whether that was all."""
        with self._lock:
            if not (self._texts or self._frame or self._has_ended):
                self._lock.wait(REDRAW_S)
            texts, frame = self._texts, self._frame
            self._texts, self._frame = [], None
            return texts, frame, list(self._rates_per_s), self._has_ended


def main() -> None:
    """Draw until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    console = Console(stderr=True, highlight=False)
    inbox = _Inbox()
    threading.Thread(target=inbox.read, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        _follow(inbox, live)


def _follow(inbox: _Inbox, live: Live) -> None:
    """Show what comes in, until there is no more."""
    console = live.console
    size, recent = console.size, deque[str](maxlen=_MOST_TEXTS)
    frame: dict[str, Any] | None = None
    has_ended = False
    while not has_ended:
        texts, newer, rates_per_s, has_ended = inbox.take()
        recent.extend(texts)
        old_size, size = size, console.size
        has_new_size = size != old_size
        if has_new_size:
            # Where the old picture stands is not known any more.
            live.update("", refresh=True)
            console.control(Control.clear(), Control.home())
            texts = list(recent)
        for text in texts:
            console.print(Text(text), soft_wrap=True)
        frame = newer or frame
        if frame is not None and (newer or has_new_size):
            picture = draw(frame, rates_per_s, size.width, size.height - 1)
            live.update(picture, refresh=True)
        if not has_ended:
            time.sleep(REDRAW_S)


if __name__ == "__main__":
    main()
