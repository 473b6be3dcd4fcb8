"""Who is compared with whom, doing what, and what is wanted of the comparison."""

import pathlib
from typing import Literal, TypeAlias

import attrs

from tests.bench.peers.flux_runs import Flux
from tests.bench.peers.scripts import Kind
from tests.bench.peers.tools import K6, BareLoop, Hey, Locust, Tool, Wrk

Figure: TypeAlias = Literal[
    "requests_per_s",
    "cpu_share",
    "lag_p99_ms",
    "plan_error",
    "rss_growth",
    "watched_peak",
    "errors",
]

MINIMUM_SECONDS_OPEN = 10
"""The rate of a Poisson process of n arrivals has a relative spread of 1/√n: 0.22 % at 200,000."""


@attrs.frozen
class Contender:
    """A tool in a scenario, and where it is unusual."""

    tool: Tool
    cores: Literal["generator", "target", "both"] = "generator"
    """Where it runs."""
    target: Literal["one", "both"] = "one"
    """Which nginx it loads: that on the target's core, or one with a worker on both cores."""


@attrs.frozen
class RatioClaim:
    """A contender makes at least this multiple of another's figure, in the median round."""

    contender: str
    reference: str
    at_least: float
    figure: Figure = "requests_per_s"


@attrs.frozen
class BoundClaim:
    """A figure of a contender keeps within a bound, in the median round."""

    contender: str
    figure: Figure
    at_least: float | None = None
    at_most: float | None = None


Claim: TypeAlias = RatioClaim | BoundClaim


@attrs.frozen
class Scenario:
    """One comparison in one sitting."""

    name: str
    """As in `--only`."""
    title: str
    contenders: tuple[Contender, ...]
    claims: tuple[Claim, ...]
    kind: Kind = "get"
    tls: bool = False
    connections: int = 32
    is_closed: bool = True
    """Whether generators go as fast as they can, with the target on a core of its own."""
    seconds: int | None = None
    """Length of a run; None: as the command line says."""
    limit_s: float = 60.0
    """Time on top of that in which a run has to end."""
    rounds: int | None = None
    """How often; None: as the command line says."""
    watches_connections: bool = False
    """Whether nginx is asked how many connections are open, while it runs."""
    note: str = ""
    """What a reader has to know to read the figures."""


def all_scenarios(binaries: pathlib.Path) -> tuple[Scenario, ...]:
    """Every scenario, in the order of the page.

    Args:
        binaries: where k6 and Locust are installed.
    """
    k6, locust = K6(binaries), Locust(binaries)
    return (
        _closed(k6, locust),
        _register(k6, locust),
        _open(),
        _lag(),
        _tls(),
        _processes(),
        _users(),
        _endurance(),
    )


def _closed(k6: K6, locust: Locust) -> Scenario:
    return Scenario(
        name="closed",
        title="Closed loop, 32 connections, one GET",
        contenders=_plain(
            *(Flux("flux wire"), Flux("flux httpx", client="httpx")),
            *(Wrk(), Hey(), k6, locust, BareLoop()),
        ),
        claims=(
            RatioClaim("flux wire", "wrk", at_least=0.6),
            RatioClaim("flux wire", "hey", at_least=2.4),
            RatioClaim("flux wire", "k6", at_least=6),
            RatioClaim("flux wire", "Locust", at_least=12),
        ),
        note="Where the target's CPU is at 100 %, the target is what limits: the figure of that "
        "tool is a lower bound. The bare loop is no load generator, but the bound of all that are "
        "written in pure Python: one `recv`, one look-up and one `send` per request, nothing else.",
    )


def _register(k6: K6, locust: Locust) -> Scenario:
    return Scenario(
        name="register",
        title="Flow of two steps with random JSON bodies and checks",
        kind="register",
        contenders=_plain(Flux("flux"), Flux("flux with csv rows", outputs=True), k6, locust),
        claims=(
            RatioClaim("flux", "k6", at_least=5),
            RatioClaim("flux", "Locust", at_least=9),
            RatioClaim("flux with csv rows", "flux", at_least=0.7),
        ),
        note="GET /health expecting 200, then POST /auth/register with a random username and "
        "password expecting 201 and JSON with `created` true. Figures count requests, two per "
        "iteration.",
    )


def _open() -> Scenario:
    return Scenario(
        name="open",
        title="Open loop, exponential gaps, 20,000 requests/s",
        contenders=_plain(Flux("flux 20,000/s", rate_per_s=20_000)),
        seconds=MINIMUM_SECONDS_OPEN,
        is_closed=False,
        claims=(
            BoundClaim("flux 20,000/s", "plan_error", at_most=0.005),
            BoundClaim("flux 20,000/s", "cpu_share", at_most=0.6),
        ),
        note="Achieved against planned arrivals: what the gaps were drawn to be, not the mean.",
    )


def _lag() -> Scenario:
    slow, fast = Flux("flux 2,000/s", rate_per_s=2_000), Flux("flux 20,000/s", rate_per_s=20_000)
    return Scenario(
        name="lag",
        title="Lag: how late requests start, against when they were due",
        contenders=_plain(slow, fast),
        is_closed=False,
        claims=(
            BoundClaim(slow.name, "lag_p99_ms", at_most=0.3),
            BoundClaim(fast.name, "lag_p99_ms", at_most=2.0),
        ),
    )


def _tls() -> Scenario:
    return Scenario(
        name="tls",
        title="Closed loop over TLS 1.3, 32 connections, one GET",
        tls=True,
        contenders=_plain(Flux("flux wire"), Wrk(), Hey()),
        claims=(RatioClaim("flux wire", "wrk", at_least=0.5),),
        note="Connections are kept: what is compared is the records, not the handshakes. flux "
        "verifies the certificate, wrk and hey do not.",
    )


def _processes() -> Scenario:
    return Scenario(
        name="processes",
        title="Two processes on two cores, against one on one",
        contenders=(
            Contender(Flux("1 process"), cores="target", target="one"),
            Contender(Flux("2 processes", processes=2), cores="both", target="both"),
            Contender(Flux("2 runs at once", commands=2), cores="both", target="both"),
        ),
        kind="register",
        is_closed=False,
        claims=(
            RatioClaim("2 processes", "1 process", at_least=1.8),
            RatioClaim("2 processes", "2 runs at once", at_least=0.95),
        ),
        note="With two cores the target always competes with the second process. So both halves "
        "are doubled: one process shares one core with one nginx worker, two processes share two "
        "cores with two workers, each of which takes the connections made on its own core: packets "
        "that cross cores are no part of a generator whose target is elsewhere. Two runs at once, "
        "which know nothing of each other, show how much of the loss is coordination.",
    )


def _users() -> Scenario:
    return Scenario(
        name="users",
        title="10,000 connections at once",
        contenders=_plain(Flux("flux wire"), Wrk()),
        connections=10_000,
        seconds=MINIMUM_SECONDS_OPEN,
        rounds=1,
        watches_connections=True,
        claims=(
            BoundClaim("flux wire", "watched_peak", at_least=10_000),
            BoundClaim("flux wire", "errors", at_most=0),
        ),
        note="nginx was asked, while the tool ran, how many connections are open. All users begin "
        "at once, so the lag is that of opening 10,000 connections. With think times, and joining "
        "over five seconds, `python -m tests.bench.users` has them: see the notes.",
    )


def _endurance() -> Scenario:
    return Scenario(
        name="endurance",
        title="Ten million requests: does memory stay flat?",
        contenders=_plain(Flux("flux wire", count=10_000_000)),
        seconds=0,
        limit_s=600.0,
        rounds=1,
        claims=(
            BoundClaim("flux wire", "rss_growth", at_most=1.05),
            BoundClaim("flux wire", "errors", at_most=0),
        ),
        note="Memory around 90 % of the run as a multiple of memory around 40 %.",
    )


def _plain(*tools: Tool) -> tuple[Contender, ...]:
    return tuple(Contender(tool) for tool in tools)
