"""The target as a process of its own, which can be killed, started again, and frozen."""

import contextlib
import pathlib
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator

import trio

SERVER = pathlib.Path(__file__).with_name("server.py")


class Target:
    """One server; it keeps its port from start to start."""

    def __init__(self) -> None:
        self.port = 0
        self.process: trio.Process | None = None
        self._changing = trio.Lock()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and return when it listens; nothing if it is there."""
        async with self._changing:
            if self.process is not None:
                return
            command = [sys.executable, "-I", "-S", str(SERVER), str(self.port)]
            self.process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
            assert self.process.stdout is not None
            self.port = int(await self.process.stdout.receive_some(100))

    async def kill(self) -> None:
        """End it at once; its connections are reset."""
        async with self._changing:
            if self.process is not None:
                self.process.kill()
                await self.process.wait()
                assert self.process.stdout is not None
                await self.process.stdout.aclose()
                self.process = None

    def freeze(self) -> None:
        """Let it do nothing; the system still accepts connections for it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    async def peak(self) -> int:
        """The most requests that it ever had at once."""
        return int(await self._ask("/peak"))

    async def silence_s(self) -> tuple[float, float]:
        """The longest time without an answer: its begin and its end, by the wall clock."""
        began, ended = (await self._ask("/silence")).split()
        return float(began), float(ended)

    async def _ask(self, path: str) -> str:
        def ask() -> str:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                text: bytes = answer.read()
                return text.decode()

        return await trio.to_thread.run_sync(ask)


@contextlib.asynccontextmanager
async def open_target() -> AsyncIterator[Target]:
    """Start a target, and end it whatever happens."""
    target = Target()
    try:
        await target.start()
        yield target
    finally:
        with trio.CancelScope(shield=True):
            await target.kill()
