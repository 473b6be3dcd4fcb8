"""What this machine is, and which core is for what."""

import os
import pathlib
import platform

import attrs


@attrs.frozen
class Cores:
    """Who runs where."""

    target: int
    """The core of nginx."""
    generator: int
    """The core of the generator that is being measured; the target's own on a machine of one."""

    @property
    def apart(self) -> bool:
        """Whether the two do not compete."""
        return self.target != self.generator


def choose_cores() -> Cores:
    """The first and the last core that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(target=allowed[0], generator=allowed[-1])


def pinned(command: list[str], *cores: int) -> list[str]:
    """The same command, started on these cores only; the process keeps its pid."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]


def describe_machine() -> dict[str, str]:
    """Facts that the figures depend on."""
    load_1_min = os.getloadavg()[0]
    return {
        "CPU": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _memory(),
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "load average at the start": f"{load_1_min:.2f}",
    }


def _cpu_model() -> str:
    return _first_value("/proc/cpuinfo", "model name") or platform.machine()


def _memory() -> str:
    kibibytes = _first_value("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(kibibytes) / 2**20:.0f} GiB" if kibibytes else "unknown"


def _first_value(path: str, key: str) -> str:
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
