"""`http` with several targets: where sessions go, and what their rows say of it."""

import pathlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import numpy as np
import pytest

from flux.clients.health import Health
from flux.clients.target import Target
from flux.clients.targets import WeightedTarget
from flux.schemas import ARRIVAL, ROSTER, ErrorCode, Flag, Rows
from flux.stage import Shard
from tests.outcomes import collect_all
from tests.stages.driving import arrivals_at, context_of, drive, rows_of, users_for
from tests.stages.loading import load, problems
from tests.stages.test_http import CLIENTS, STEP, serving

NAMES = ("a", "b", "c")
WEIGHTS = (1, 3, 6)
DEAD = "http://127.0.0.1:1"


@asynccontextmanager
async def three() -> AsyncIterator[tuple[list[str], list[list[str]]]]:
    """Three servers: their URLs, and the requests that each has had."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving()) for _ in NAMES]
        yield [url for url, _ in servers], [requests for _, requests in servers]


def tables(urls: list[str]) -> str:
    return "".join(
        f'[[targets]]\nurl = "{url}"\nname = "{name}"\nweight = {weight}\n'
        for url, name, weight in zip(urls, NAMES, WEIGHTS)
    )


async def run_open(text: str, sessions: int, **told: Any) -> tuple[Rows, Any]:
    """What becomes of sessions that are due at once, and the context they were run in."""
    stage = load("http", text)
    context = context_of(load("constant", 'rate = "1/s"'), given=ARRIVAL, **told)
    rows = rows_of(await drive(stage, context, [arrivals_at(*[0.0] * sessions)]))
    rows.sort(order=["seq", "step"])
    return rows, context


def targets_of(rows: Rows) -> list[tuple[int, int]]:
    return list(zip(rows["seq"].tolist(), rows["target"].tolist()))


@pytest.mark.parametrize("client", CLIENTS)
async def test_rows_say_which_target_a_session_went_to(client: str) -> None:
    steps = 'step = [{ get = "/{{seq}}" }, { get = "/{{seq}}/more" }]\n'
    async with three() as (urls, requests):
        urls = [f"{url}/base{index}" for index, url in enumerate(urls)]
        rows, _ = await run_open(f'client = "{client}"\n{steps}{tables(urls)}', 60)
    assert set(rows["error"]) == {ErrorCode.NONE}
    for seq, target in targets_of(rows):
        paths = [one.split(" ")[1] for one in requests[target]]
        assert f"/base{target}/{seq}" in paths
        assert f"/base{target}/{seq}/more" in paths
    assert sum(map(len, requests)) == 120


async def test_both_clients_send_the_same_sessions_to_the_same_targets() -> None:
    async with three() as (urls, _):
        by_wire, by_httpx = [
            await run_open(f'client = "{client}"\n{STEP}{tables(urls)}', 100) for client in CLIENTS
        ]
    assert targets_of(by_wire[0]) == targets_of(by_httpx[0])
    counts = Counter(by_wire[0]["target"].tolist())
    assert counts[0] < counts[1] < counts[2]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_shard_sends_its_sessions_where_the_whole_run_does(client: str) -> None:
    stage_text = f'client = "{client}"\n{STEP}'
    async with three() as (urls, _):
        whole, _ = await run_open(stage_text + tables(urls), 60)
        context = context_of(
            load("constant", 'rate = "1/s"'), given=ARRIVAL, shard=Shard(1, 3), seed=7
        )
        stage = load("http", stage_text + tables(urls))
        part = rows_of(await drive(stage, context, [arrivals_at(*[0.0] * 60)[1::3]]))
    assert sorted(targets_of(part)) == targets_of(whole)[1::3]


@pytest.mark.parametrize("client", CLIENTS)
async def test_each_target_has_its_own_host_header(client: str) -> None:
    async with three() as (urls, requests):
        await run_open(f'client = "{client}"\n{STEP}{tables(urls)}', 40)
    for url, seen in zip(urls, requests):
        host = f"host: {url.removeprefix('http://')}\r\n"
        assert seen
        assert all(host in one.lower() for one in seen)


@pytest.mark.parametrize("client", CLIENTS)
async def test_targets_are_numbered_on_from_those_of_other_executors(client: str) -> None:
    async with three() as (urls, _):
        rows, _ = await run_open(f'client = "{client}"\n{STEP}{tables(urls)}', 40, first_target=5)
    assert set(rows["target"].tolist()) == {5, 6, 7}


def with_health(urls: list[str], client: str, more: str = "") -> str:
    health = f'[health]\npath = "/up"\n{more}\n'
    return f'client = "{client}"\n{STEP}{health}{tables(urls)}'


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_sessions_of_a_dead_target_go_to_the_others(client: str) -> None:
    async with three() as (urls, requests):
        before, _ = await run_open(f'client = "{client}"\n{STEP}{tables(urls)}', 60)
        rows, context = await run_open(with_health([urls[0], DEAD, urls[2]], client), 60)
    assert set(rows["error"]) == {ErrorCode.NONE}
    assert set(rows["target"].tolist()) == {0, 2}
    stayed = before["target"] != 1
    assert rows["target"][stayed].tolist() == before["target"][stayed].tolist()
    assert [(mark.kind, mark.text) for mark in context.run.marks] == [
        ("health", "target 'b' is not healthy: refused")
    ]
    probes = [one for one in requests[0] if one.startswith("GET /up ")]
    assert len(probes) == 1  # and it is in no row
    assert len(rows) == 60


@pytest.mark.parametrize("client", CLIENTS)
async def test_withheld_arrivals_have_a_row_that_says_for_whom(client: str) -> None:
    async with three() as (urls, _):
        before, _ = await run_open(f'client = "{client}"\n{STEP}{tables(urls)}', 60)
        text = with_health([urls[0], DEAD, urls[2]], client, 'on_unhealthy = "withhold"')
        rows, _ = await run_open(text, 60, first_target=2)
    assert rows["target"].tolist() == (before["target"] + 2).tolist()
    withheld = rows[rows["target"] == 3]
    assert len(withheld) > 0
    assert set(withheld["flags"].tolist()) == {int(Flag.WITHHELD)}
    assert set(withheld["error"].tolist()) == {int(ErrorCode.WITHHELD)}
    assert set(withheld["step"].tolist()) == {-1}
    assert withheld["session"].tolist() == withheld["seq"].tolist()
    assert set(rows[rows["target"] != 3]["error"].tolist()) == {0}


@pytest.mark.parametrize("client", CLIENTS)
async def test_withheld_arrivals_take_no_place(client: str) -> None:
    text = with_health([DEAD, DEAD, DEAD], client) + ""
    rows, _ = await run_open(f"max_in_flight = 1\n{text}", 30)
    assert (rows["flags"] == int(Flag.WITHHELD)).all()
    assert rows["seq"].tolist() == list(range(30))


@pytest.mark.parametrize("client", CLIENTS)
async def test_without_health_nobody_asks_and_a_dead_target_has_its_share(client: str) -> None:
    async with three() as (urls, requests):
        rows, context = await run_open(
            f'client = "{client}"\n{STEP}{tables([urls[0], DEAD, urls[2]])}', 60
        )
    assert (rows["error"] == ErrorCode.REFUSED).tolist() == (rows["target"] == 1).tolist()
    assert not context.run.marks
    assert not any("/up" in one for seen in requests for one in seen)


@pytest.mark.parametrize("client", CLIENTS)
async def test_one_target_alone_has_health_too(client: str) -> None:
    text = f'client = "{client}"\n{STEP}target = "{DEAD}"\nhealth = {{ path = "/" }}'
    rows, context = await run_open(text, 5)
    assert rows["error"].tolist() == [ErrorCode.WITHHELD] * 5
    assert context.run.marks[0].text == "target '127.0.0.1:1' is not healthy: refused"


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_user_with_nowhere_to_go_rests_an_interval_and_is_counted(client: str) -> None:
    stage = load("http", with_health([DEAD, DEAD, DEAD], client, 'interval = "80ms"'))
    context = context_of(load("users", "users = 2"), given=ROSTER)
    rows = rows_of(await drive(stage, context, [users_for(0.2, 2)]))
    rows.sort(order=["seq"])
    assert (rows["flags"] & ~int(Flag.AGAIN) == int(Flag.WITHHELD)).all()
    assert (rows["flags"] & Flag.AGAIN == 0).sum() == 2
    assert rows["seq"].tolist() == list(range(len(rows)))
    # Two users for 200 ms: an iteration each at 0, 80 and 160 ms, or fewer on a busy machine.
    assert 2 <= len(rows) <= 6
    for user in (0, 1):
        assert (np.diff(rows["due_ns"][rows["session"] == user]) >= 80_000_000).all()


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_iterations_of_a_user_go_to_different_targets(client: str) -> None:
    async with three() as (urls, requests):
        stage = load("http", f'client = "{client}"\n{STEP}{tables(urls)}')
        source = load("users", "users = 2\ncount = 40")
        rows = rows_of(await drive(stage, context_of(source, given=ROSTER), [users_for(9, 2)]))
    assert sorted(rows["seq"].tolist()) == list(range(40))
    assert [len(seen) for seen in requests] == np.bincount(rows["target"], minlength=3).tolist()
    assert (np.bincount(rows["target"], minlength=3) > 0).all()


def joins_at(*due_s: float) -> Rows:
    return ROSTER.rows((round(time_s * 1e9), user, 1) for user, time_s in enumerate(due_s))


async def run_visitors(text: str, count: int) -> Rows:
    """What becomes of visitors who all come at once and make five iterations each."""
    context = context_of(load("visitors", "iterations = 5"), given=ROSTER)
    return rows_of(await drive(load("http", text), context, [joins_at(*[0.0] * count)]))


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_visitor_with_nowhere_to_go_is_turned_away(client: str) -> None:
    text = with_health([DEAD, DEAD, DEAD], client)
    rows = await run_visitors(f"max_in_flight = 1\n{text}", 20)
    assert (rows["flags"] == int(Flag.WITHHELD)).all()
    assert sorted(rows["session"].tolist()) == list(range(20))
    assert sorted(rows["seq"].tolist()) == list(range(20))


@pytest.mark.parametrize("client", CLIENTS)
async def test_iterations_of_visitors_that_are_withheld_break_no_law(client: str) -> None:
    more = 'on_unhealthy = "withhold"\ninterval = "10ms"'
    async with three() as (urls, _):
        rows = await run_visitors(with_health([urls[0], DEAD, urls[2]], client, more), 40)
    turned_away = rows[rows["flags"] == int(Flag.WITHHELD)]
    withheld = rows[rows["flags"] == int(Flag.WITHHELD | Flag.AGAIN)]
    assert min(len(turned_away), len(withheld)) > 0
    made = np.bincount(rows["session"], minlength=40)
    assert (made[turned_away["session"]] == 1).all()
    assert len(rows) == 5 * (40 - len(turned_away)) + len(turned_away)
    sessions = collect_all([rows], steps=("only",), planned=40)[-1].sessions
    assert sessions.check() == []
    assert sessions.withheld == len(turned_away) + len(withheld)


async def test_what_was_prepared_is_not_asked_again() -> None:
    async with serving() as (url, requests):
        stage = load("http", f'target = "{url}"\n{STEP}health = {{ path = "/up" }}')
        prepared = await stage.prepare()
        context = context_of(load("constant", 'rate = "1/s"'), given=ARRIVAL, prepared=prepared)
        await drive(stage, context, [arrivals_at(0.0)])
    assert [one.split(" ")[1] for one in requests] == ["/up", "/"]


def test_the_demo_stands_in_for_every_target_of_that_name() -> None:
    stage = load("http", f"{STEP}{tables(['demo', DEAD, 'demo'])}")
    made = stage.with_demo(Target.parse("http://127.0.0.1:99/x"))
    assert [target.url.url for target in made.targets] == [
        "http://127.0.0.1:99/x",
        DEAD,
        "http://127.0.0.1:99/x",
    ]
    assert made.target_names == NAMES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'target = "{DEAD}"\n[[targets]]\nurl = "{DEAD}"', "needs either target or [[stage"),
        ('[[targets]]\nname = "a"', "targets.0.url is required"),
        (f'[[targets]]\nurl = "{DEAD}"\nweight = -1', "targets.0.weight must be greater than 0"),
        (f'[[targets]]\nurl = "{DEAD}"\nname = " "', "targets.0.name must not be blank"),
        ('[[targets]]\nurl = "127.0.0.1"', "targets.0.url must be a URL"),
        (
            f'[[targets]]\nurl = "{DEAD}"\n[[targets]]\nurl = "{DEAD}"',
            "targets.1 needs a name of its own",
        ),
        (
            f'[[targets]]\nurl = "{DEAD}"\nname = "a"\n[[targets]]\nurl = "{DEAD}"\nname = "a"',
            "targets.1.name is the name of a target above",
        ),
    ],
)
def test_wrong_targets_are_told_why(text: str, expected: str) -> None:
    found = problems("http", STEP + text)
    assert [one for one in found if one.startswith(expected)], found


def test_a_target_without_a_name_is_called_by_its_url() -> None:
    text = '[[targets]]\nurl = "http://[::1]/api/"\n[[targets]]\nurl = "https://a.example:81"'
    assert load("http", STEP + text).target_names == ("[::1]/api", "a.example:81")


PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "stages" / "http.md").read_text()


@pytest.mark.parametrize(
    ("title", "table"), [("Several targets", WeightedTarget), ("Health", Health)]
)
def test_the_page_lists_every_key_of_a_table(title: str, table: type) -> None:
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    assert [one.name for one in attrs.fields(table) if f"| `{one.name}` |" not in section] == []
