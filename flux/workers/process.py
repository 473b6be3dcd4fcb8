"""A worker as its parent sees it: started, told things, and never left behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import attrs
import trio

import flux
from flux.errors import FluxError
from flux.workers.job import Job
from flux.workers.link import Kind, Link

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 1.0
TOLD_BYTES = 4096

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""numpy would start a thread per CPU in each worker, and none has anything to do."""


@attrs.frozen(eq=False)
class WorkerProcess:
    """A worker that was started."""

    number: int
    """From 0: its part of the run."""
    link: Link
    process: trio.Process
    _stderr: IO[bytes]

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"worker {self.number} (pid {self.process.pid})"

    @property
    def told(self) -> str:
        """The end of what it wrote to its standard error."""
        length = self._stderr.seek(0, 2)
        self._stderr.seek(max(0, length - TOLD_BYTES))
        return self._stderr.read().decode(errors="replace").strip()

    async def tell(self, kind: Kind, value: object = None) -> None:
        """Send it something; if it is gone, whoever listens to it will notice."""
        try:
            await self.link.send(kind, value)
        except OSError:
            pass

    async def prepare(self, job: Job) -> None:
        """Give it its job and wait until it can begin.

        Raises:
            FluxError: it cannot do the job, or does not answer; the worker is named.
        """
        with trio.move_on_after(START_TIMEOUT_S):
            await self.tell(Kind.JOB, job)
            frame = await self.link.receive()
            if frame is None:
                raise FluxError(
                    f"{self.name} {await self.wait_fate()} before the run began", hint=self._hint
                )
            if frame.kind is Kind.FAILED:
                text, hint, details = frame.value
                text = f"{self.name} cannot do its part: {text}"
                raise FluxError(text, hint=hint, details=details)
            return
        raise FluxError(f"{self.name} was not ready within {START_TIMEOUT_S:g} s", hint=self._hint)

    @property
    def _hint(self) -> str | None:
        return f"it said: {self.told}" if self.told else None

    async def wait_fate(self) -> str:
        """How it ended: to be asked once its link has; it is given a second, then killed."""
        with trio.move_on_after(STOP_TIMEOUT_S):
            await self.process.wait()
        self.process.kill()
        status = await self.process.wait()
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with exit code {status}"

    async def stop(self) -> None:
        """Close the link, upon which it ends by itself, and see to it that it did."""
        with trio.CancelScope(shield=True):
            self.link.close()
            await self.wait_fate()
            self._stderr.close()


async def start_worker(number: int) -> WorkerProcess:
    """Start a worker: it waits for its job."""
    ours, theirs = socket.socketpair()
    stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the worker is stopped
    with theirs:
        try:
            process = await trio.lowlevel.open_process(
                # -P: a file in the working directory must not hide a module.
                [sys.executable, "-P", "-m", "flux.workers", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=(theirs.fileno(),),
                env={**_ONE_THREAD, **os.environ, "PYTHONPATH": _python_path()},
                # Ctrl-C goes to all of a terminal's foreground processes, and only the parent
                # shall decide when to stop.
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            stderr.close()
            raise FluxError(f"worker {number} cannot be started: {error}") from error
    return WorkerProcess(number, Link(trio.socket.from_stdlib_socket(ours)), process, stderr)


def _python_path() -> str:
    # The worker must find this very flux, also from a checkout.
    here = str(Path(flux.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([here, inherited] if inherited else [here])


@asynccontextmanager
async def open_processes(jobs: list[Job]) -> AsyncIterator[tuple[WorkerProcess, ...]]:
    """Start a worker per job, wait until all are ready, and let none outlive the block.

    Raises:
        FluxError: one of them cannot begin; the first that said so is named.
    """
    workers: list[WorkerProcess] = []
    try:
        for number in range(len(jobs)):
            workers.append(await start_worker(number))
        await _prepare(workers, jobs)
        yield tuple(workers)
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as stopping:
                for worker in workers:
                    stopping.start_soon(worker.stop)


async def _prepare(workers: list[WorkerProcess], jobs: list[Job]) -> None:
    failures: list[FluxError] = []

    async def prepare(worker: WorkerProcess, job: Job) -> None:
        try:
            await worker.prepare(job)
        except FluxError as error:
            failures.append(error)
            preparing.cancel_scope.cancel()

    async with trio.open_nursery() as preparing:
        for worker, job in zip(workers, jobs):
            preparing.start_soon(prepare, worker, job)
    if failures:
        raise failures[0]
