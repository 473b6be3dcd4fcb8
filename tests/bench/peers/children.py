"""One child process: bounded in time, sampled for CPU and memory, ended by its pid."""

import contextlib
import os
import pathlib
import resource
import select
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping

import attrs

SAMPLE_EVERY_S = 0.25
"""A sample reads three small files of /proc: about 0.1 ms."""

GRACE_S = 5.0
"""Time between SIGTERM and SIGKILL."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ChildFailed(Exception):
    """A child did not end as it should: carries the end of what it printed."""


@attrs.frozen
class Sample:
    """What a child had used at one moment."""

    at_s: float
    """Seconds since the child was started."""
    cpu_s: float
    """CPU seconds of the child and of its children, user and system."""
    rss_bytes: int
    """Resident memory of the child."""
    target_cpu_s: float
    """CPU seconds of the target."""
    watched: float
    """Whatever the caller asked to watch; 0 when nothing."""


@attrs.frozen
class ChildRun:
    """What a finished child left behind."""

    exit_code: int
    stdout: str
    stderr: str
    wall_s: float
    cpu_s: float
    """CPU seconds of the child and the children it waited for, by the kernel's account."""
    samples: tuple[Sample, ...]


def run_child(
    command: list[str],
    folder: pathlib.Path,
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    target_pid: int | None = None,
    watch: Callable[[], float] | None = None,
) -> ChildRun:
    """Run a command in a folder to its end, or to the time limit.

    Raises:
        ChildFailed: it was still running after `limit_s`.
    """
    started_s = time.monotonic()
    samples: list[Sample] = []
    with (
        (folder / "stdout").open("wb") as out,
        (folder / "stderr").open("wb") as err,
        _child(command, folder, environment or {}, out.fileno(), err.fileno()) as child,
    ):
        with _ended_notice(child.pid) as has_ended:
            while not has_ended(SAMPLE_EVERY_S):
                elapsed_s = time.monotonic() - started_s
                if elapsed_s > limit_s:
                    raise ChildFailed(f"{command[0]} still ran after {limit_s:g} s")
                samples.append(
                    Sample(
                        at_s=elapsed_s,
                        cpu_s=cpu_seconds(child.pid),
                        rss_bytes=_rss_bytes(child.pid),
                        target_cpu_s=cpu_seconds(target_pid) if target_pid else 0.0,
                        watched=watch() if watch else 0.0,
                    )
                )
        exit_code, usage = _reap(child)
    return ChildRun(
        exit_code=exit_code,
        stdout=(folder / "stdout").read_text(errors="replace"),
        stderr=(folder / "stderr").read_text(errors="replace"),
        wall_s=time.monotonic() - started_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        samples=tuple(samples),
    )


def steady_samples(samples: tuple[Sample, ...]) -> tuple[Sample, Sample] | None:
    """The samples at 40 % and 90 % of a run: between them it has started and not yet ended."""
    if len(samples) < 6:
        return None
    return samples[len(samples) * 4 // 10], samples[len(samples) * 9 // 10 - 1]


def cpu_share(samples: tuple[Sample, ...], *, of_target: bool = False) -> float:
    """CPU seconds per second in the steady part of a run: 1.0 is one whole core."""
    steady = steady_samples(samples)
    if steady is None:
        return float("nan")
    first, last = steady
    used_s = last.target_cpu_s - first.target_cpu_s if of_target else last.cpu_s - first.cpu_s
    return used_s / (last.at_s - first.at_s)


def rss_growth(samples: tuple[Sample, ...]) -> float:
    """Memory around 90 % of a run as a multiple of that around 40 %: of each tenth the median.

    What is copied for a moment, and given back, shows in a tenth of all samples.
    """
    if steady_samples(samples) is None:
        return float("nan")
    tenth = len(samples) / 10
    early, late = (
        statistics.median(
            one.rss_bytes for one in samples[int(at * tenth - tenth / 2) :][: max(1, int(tenth))]
        )
        for at in (4, 9)
    )
    return late / early


def cpu_seconds(pid: int) -> float:
    """CPU seconds so far of a process and of its living children; 0 when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # The command name, in brackets, may hold spaces: fields are counted from behind it. utime and
    # stime are the 14th and the 15th of proc(5), thus the 12th and the 13th from there.
    fields = text.rpartition(")")[2].split()
    own_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return own_s + sum(cpu_seconds(int(child)) for child in children)


def end_child(child: "subprocess.Popen[bytes]") -> None:
    """End a child by its pid: SIGTERM, some grace, SIGKILL; then it is reaped."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def _child(
    command: list[str],
    folder: pathlib.Path,
    environment: Mapping[str, str],
    stdout: int,
    stderr: int,
) -> "Iterator[subprocess.Popen[bytes]]":
    child = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    )
    try:
        yield child
    finally:
        end_child(child)


@contextlib.contextmanager
def _ended_notice(pid: int) -> Iterator[Callable[[float], bool]]:
    """A function that waits some seconds at the most and says whether the process has ended."""
    descriptor = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    try:
        yield lambda timeout_s: bool(poller.poll(timeout_s * 1000))
    finally:
        os.close(descriptor)


def _reap(child: "subprocess.Popen[bytes]") -> tuple[int, resource.struct_rusage]:
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait again
    return child.returncode, usage


def _rss_bytes(pid: int) -> int:
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError):
        return 0


def raise_on_sigterm() -> None:
    """Make SIGTERM unwind like Ctrl-C does, so that every child is ended on the way out."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
