"""What the tests of guards share: runs under virtual time, and names that resolve as they say."""

import contextlib
import datetime
import ipaddress
import logging
import pathlib
import socket
import textwrap
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from flux.clock import LiveClock
from flux.engine import RunResult, run_pipeline
from flux.pipeline import Pipeline, load
from flux.stage import Run

ELSEWHERE = "255.255.255.255"
"""Nobody's own address, to which no connection can be made: a guard that fails lets nothing out."""

Steer = Callable[[Run], Awaitable[None]]


def pipeline_of(text: str, tmp_path: pathlib.Path, *overrides: str) -> Pipeline:
    """A pipeline from its text."""
    file = tmp_path / "test.toml"
    file.write_text(textwrap.dedent(text))
    return load(file, overrides=overrides, environment={})


def run_of(pipeline: Pipeline) -> Run:
    """A run whose clock begins now; its log is nobody's."""
    log = logging.Logger("flux.tests.guards")
    log.addHandler(logging.NullHandler())
    return Run(
        name=pipeline.name,
        seed=pipeline.settings.seed or 0,
        duration_ns=pipeline.settings.duration,
        tick_ns=pipeline.settings.tick,
        drain_ns=pipeline.settings.drain,
        started_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        clock=LiveClock(),
        manners=pipeline.manners,
        log=log,
    )


def run_virtually(pipeline: Pipeline, steer: Steer | None = None) -> tuple[RunResult, Run]:
    """Run a pipeline in no time, perhaps with somebody who steers."""

    async def main() -> tuple[RunResult, Run]:
        run = run_of(pipeline)
        async with trio.open_nursery() as nursery:
            if steer is not None:
                nursery.start_soon(steer, run)
            result = await run_pipeline(pipeline, run)
            nursery.cancel_scope.cancel()
        return result, run

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def marks(result: RunResult) -> list[tuple[float, str]]:
    """Second and text of what guards have done."""
    assert result.summary is not None
    return [
        (round(mark.time_ns / 1e9, 1), mark.text)
        for mark in result.summary.marks
        if mark.kind == "guard"
    ]


@attrs.define
class Names:
    """A resolver that knows a few names."""

    known: Mapping[str, tuple[str, ...]]
    system: Callable[..., list[Any]]
    asked: list[str] = attrs.field(factory=list)

    def getaddrinfo(
        self,
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,  # as the original has it
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """What `socket.getaddrinfo` gives."""
        name = host.decode() if isinstance(host, bytes) else str(host)
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name)
            return self.system(name, port, type=socket.SOCK_STREAM)
        if flags & socket.AI_NUMERICHOST:  # trio asks first whether it is a name at all
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        self.asked.append(name)
        if name not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))
            for address in self.known[name]
        ]


def resolve(monkeypatch: pytest.MonkeyPatch, **known: str) -> Names:
    """Have names resolved by these alone; underscores stand for dots."""
    by_name = {name.replace("_", "."): (address,) for name, address in known.items()}
    names = Names(by_name, socket.getaddrinfo)
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names
