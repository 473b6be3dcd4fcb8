"""What comes of probes: how many it takes for a target to change, and when one is made."""

from collections.abc import Sequence

import attrs
import pytest
import trio
from trio.testing import MockClock

from flux.clients.health import Probe, Standing
from flux.clients.probing import Watch, status_of
from flux.clients.target_choice import TargetChoice
from flux.stage import Run
from tests.stages.driving import context_of
from tests.stages.loading import load, problems

INTERVAL_NS = 10**9


def stands(probes: str, *, rise: int = 2, fall: int = 3) -> str:
    """How a target stands after each probe: + is a success, and healthy."""
    standing = Standing("a", rise, fall)
    found = ""
    for one in probes:
        standing.take(Probe(1, "" if one == "+" else "refused"))
        found += "+" if standing.is_healthy else "-"
    return found


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ("+++", "+++"),
        ("+--+--+", "+++++++"),
        ("+---", "+++-"),
        ("+----", "+++--"),
        ("+---+-+", "+++----"),
        ("+---++", "+++--+"),
        ("-", "-"),  # the first one alone decides how it begins
        ("-+-+", "----"),
        ("-++", "--+"),
    ],
)
def test_so_many_probes_in_a_row_change_a_target(probes: str, expected: str) -> None:
    assert stands(probes) == expected


def test_a_change_is_told_once() -> None:
    standing = Standing("a", rise=1, fall=2)
    told = [standing.take(Probe(1, problem)) for problem in ("", "x", "x", "x", "", "")]
    assert told == [False, False, True, False, True, False]


@attrs.define
class Scripted:
    """A prober that says one thing after the other, and how long each takes."""

    run: Run
    script: list[tuple[str, float]]
    asked_s: list[float] = attrs.field(factory=list)

    async def probe(self) -> Probe:
        self.asked_s.append(self.run.clock.now_ns() / 1e9)
        problem, after_s = self.script.pop(0) if self.script else ("", 0.0)
        await trio.sleep(after_s)
        return Probe(round(after_s * 1e9), problem)


async def watch_for(
    seconds: float, *scripts: Sequence[tuple[str, float]]
) -> tuple[Watch, list[Scripted]]:
    """What is noted in so many seconds of virtual time; every probe counts."""
    run = context_of(load("constant", 'rate = "1/s"')).run
    choice = TargetChoice([1.0] * len(scripts), seed=1)
    probers = [Scripted(run, list(script)) for script in scripts]
    watch = Watch(
        probers,
        [Standing(f"t{number}", 1, 1) for number in range(len(scripts))],
        choice,
        INTERVAL_NS,
        run,
    )
    watch.begin([await prober.probe() for prober in probers])
    with trio.move_on_after(seconds):
        await watch.keep()
    return watch, probers


async def test_a_target_is_out_with_the_first_probe_after_it_died(
    autojump_clock: MockClock,
) -> None:
    script = [("", 0.0), ("", 0.0), ("refused", 0.25), ("", 0.0)]
    watch, _ = await watch_for(3.5, script, [])
    assert [(mark.time_ns / 1e9, mark.kind, mark.text) for mark in watch.run.marks] == [
        (2.25, "health", "target 't0' is not healthy: refused"),
        (3.0, "health", "target 't0' is healthy again"),
    ]


async def test_probes_begin_at_their_interval_however_long_they_take(
    autojump_clock: MockClock,
) -> None:
    _, (prober,) = await watch_for(6.5, [("", 0.0), ("", 0.9), ("", 2.5), ("", 0.0)])
    # The third takes two and a half intervals: the one after it comes as soon as it is over.
    assert prober.asked_s == [0.0, 1.0, 2.0, 4.5, 5.5]


async def test_a_target_that_hangs_delays_no_other_probe(autojump_clock: MockClock) -> None:
    _, (_, other) = await watch_for(3.5, [("", 0.0), ("timeout", 60.0)], [])
    assert other.asked_s == [0.0, 1.0, 2.0, 3.0]


async def test_the_status_is_plain_data(autojump_clock: MockClock) -> None:
    watch, _ = await watch_for(0.5, [("", 0.0)], [("refused", 0.5)])
    assert status_of(watch.standings, watch.choice) == [
        {"name": "t0", "healthy": True, "problem": "", "last_probe_ms": 0.0, "share": 1.0},
        {"name": "t1", "healthy": False, "problem": "refused", "last_probe_ms": 500, "share": 0},
    ]


def test_a_target_that_nobody_asks_is_not_known_to_be_healthy() -> None:
    (told,) = status_of([Standing("t0", 1, 1)], TargetChoice([1], seed=1))
    assert (told["healthy"], told["problem"], told["share"]) == (None, "", 1)


HEAD = 'target = "http://127.0.0.1:1"\nstep = [{ get = "/" }]\n[health]\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "health.path is required"),
        ('path = "health"', "health.path must be a path that begins with /"),
        ('path = "/#a"', "health.path must not have a fragment"),
        ('path = "/"\nfall = 0', "health.fall must be at least 1"),
        ('path = "/"\nrise = 0', "health.rise must be at least 1"),
        ('path = "/"\ninterval = "0s"', "health.interval must be greater than 0"),
        ('path = "/"\nstatus = 700', "health.status must be a status"),
        ('path = "/"\non_unhealthy = "drop"', 'health.on_unhealthy must be one of "others", "with'),
        ('path = "/"\nheaders = { host = "a" }', "health.headers.host must not be given"),
    ],
)
def test_wrong_health_tables_are_told_why(text: str, expected: str) -> None:
    found = problems("http", HEAD + text)
    assert [one for one in found if one.startswith(expected)], found


def test_probes_do_not_go_through_a_proxy() -> None:
    text = 'target = "http://127.0.0.1:1"\nstep = [{ get = "/" }]\nproxy = "http://127.0.0.1:2"\n'
    (found,) = problems("http", f'{text}health = {{ path = "/" }}')
    assert found.startswith("health cannot stand beside proxy")
