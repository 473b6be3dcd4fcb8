"""A random pipeline and random faults, from a seed: the same ones for the same seed, always."""

import random
from typing import Literal, TypeAlias

import attrs

FaultKind: TypeAlias = Literal["kill target", "freeze target", "stop", "abort", "kill worker"]

GENERATORS = ("constant", "uniform", "normal", "exponential", "poisson")
CLIENTS = ("wire", "wire", "wire", "httpx", "null")
PATHS = (
    *("/ok", "/ok", "/ok", "/slow/5", "/slow/40", "/slow/300"),
    *("/fail", "/bye", "/close", "/half", "/move"),
)

WITH_WORKERS = 0.04
"""Share of the cases with two processes, whose start takes most of a second."""


@attrs.frozen
class Fault:
    """Something that happens once in a run."""

    at_s: float
    """When, since the run began."""
    kind: FaultKind
    for_s: float = 0.0
    """How long the target is gone or frozen."""


@attrs.frozen
class Case:
    """A run to be made."""

    seed: int
    text: str
    """The pipeline; `{url}` stands for the target's."""
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        faults = "\n".join(f"# {fault}" for fault in self.faults)
        return f"# case {self.seed}\n{faults}\n{self.text}"


def make_case(seed: int) -> Case:
    """The case of that seed."""
    draw = random.Random(seed)
    client = draw.choice(CLIENTS)
    is_closed = draw.random() < 0.25
    with_workers = draw.random() < WITH_WORKERS
    duration_s = draw.uniform(0.2, 0.8)
    parts = [
        f"seed = {draw.randrange(1000)}",
        f'duration = "{duration_s * 1e3:.0f}ms"',
        f'drain = "{draw.choice((0, 50, 300, 1000))}ms"',
        f'tick = "{draw.choice((10, 20, 100))}ms"',
        _users(draw) if is_closed else _generator(draw, client),
        *(_shaper(draw, duration_s) for _ in range(draw.choice((0, 0, 1, 2)))),
        _executor(draw, client, with_workers),
        '[[stage]]\nuse = "csv"',
        '[[stage]]\nuse = "json"',
    ]
    return Case(seed, "\n".join(parts) + "\n", _faults(draw, duration_s, with_workers))


def _generator(draw: random.Random, client: str) -> str:
    rate_per_s = draw.uniform(20, 120 if client == "httpx" else 400)
    count = f"count = {draw.randint(1, 100)}\n" if draw.random() < 0.15 else ""
    return f'[[stage]]\nuse = "{draw.choice(GENERATORS)}"\nrate = "{rate_per_s:.1f}/s"\n{count}'


def _users(draw: random.Random) -> str:
    lines = ['[[stage]]\nuse = "users"', f"users = {draw.randint(1, 30)}"]
    if draw.random() < 0.5:
        lines.append(f'think = "{draw.choice((0, 5, 50))}ms"')
    if draw.random() < 0.5:
        lines.append(f'pace = "{draw.choice((10, 100))}ms"')
    if draw.random() < 0.3:
        lines.append(f"count = {draw.randint(1, 200)}")
    # Without a rest, a refusing target is asked tens of thousands of times a second.
    if len(lines) == 2:
        lines.append('think = "2ms"')
    return "\n".join(lines)


def _shaper(draw: random.Random, duration_s: float) -> str:
    third_ms = duration_s * 1e3 / 3
    return draw.choice(
        (
            f'[[stage]]\nuse = "ramp"\nup = "{third_ms:.0f}ms"\ndown = "{third_ms:.0f}ms"',
            f'[[stage]]\nuse = "noise"\namplitude = {draw.uniform(0, 1):.2f}',
            f'[[stage]]\nuse = "sine"\nperiod = "{third_ms:.0f}ms"\namplitude = 1.0',
            f'[[stage]]\nuse = "spikes"\nevery = "{third_ms:.0f}ms"\nfactor = 3\n'
            'ramp_up = "50ms"\nramp_down = "100ms"',
            f'[[stage]]\nuse = "steps"\nsteps = [{{ level = 0, duration = "{third_ms:.0f}ms" }}, '
            f'{{ level = 2, duration = "{2 * third_ms:.0f}ms" }}]',
        )
    )


def _executor(draw: random.Random, client: str, with_workers: bool) -> str:
    lines = [f'[[stage]]\nuse = "{"null" if client == "null" else "http"}"']
    if with_workers:
        lines.append("processes = 2")
    if draw.random() < 0.6:
        lines.append(f"max_in_flight = {draw.choice((1, 2, 5, 50))}")
        lines.append(f'on_late = "{draw.choice(("queue", "drop"))}"')
    if draw.random() < 0.4:
        lines.append(f'max_lag = "{draw.choice((5, 20, 100))}ms"')
    if client == "null":
        lines.append(f'service = "{draw.choice((0, 5, 100, 2000))}ms"')
        lines.append(f"failures = {draw.choice((0, 0.3, 1.0))}")
        return "\n".join(lines)
    lines += [f'client = "{client}"', 'target = "{url}"']
    lines.append(f'timeout = "{draw.choice((30, 100, 500, 30_000))}ms"')
    lines.append(f'on_failure = "{draw.choice(("stop", "continue"))}"')
    if draw.random() < 0.3:
        lines.append(f"max_connections = {draw.choice((1, 3, 20))}")
    if draw.random() < 0.5:
        lines.append("redirects = 2")
    lines += [_step(draw, number) for number in range(draw.randint(1, 3))]
    return "\n".join(lines)


def _step(draw: random.Random, number: int) -> str:
    path = draw.choice(PATHS)
    lines = [f'[[stage.step]]\nname = "step {number}"']
    if draw.random() < 0.3:
        lines.append(f'post = "{path}"\njson = {{ word = "{{{{random.text(20)}}}}" }}')
    else:
        lines.append(f'get = "{path}"')
    if draw.random() < 0.2:
        lines.append(f'think = "{draw.choice((1, 20, 200))}ms"')
    return "\n".join(lines)


def _faults(draw: random.Random, duration_s: float, with_workers: bool) -> tuple[Fault, ...]:
    kinds: list[FaultKind] = ["kill target", "freeze target", "stop", "abort"]
    if with_workers:
        kinds += ["kill worker", "kill worker"]
    faults = [
        Fault(draw.uniform(0, duration_s * 1.2), draw.choice(kinds), draw.uniform(0, 0.4))
        for _ in range(draw.choice((0, 1, 1, 2, 3)))
    ]
    return tuple(sorted(faults, key=lambda fault: fault.at_s))
