"""Several targets and worker processes: the same picks, and what is noted is noted once."""

import pathlib
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import attrs
import pytest

from flux.graph import Node
from flux.schemas import OUTCOME, ErrorCode, Flag, Schema
from flux.stage import Context, Inbox
from tests.stages.test_http import serving
from tests.workers.running import pipeline_of, run_live

DEAD = "http://127.0.0.1:1"

TEXT = """
duration = "700ms"
seed = 3
tick = "50ms"
[[stage]]
use = "constant"
rate = "100/s"
[[stage]]
use = "null"
name = "first"
[[stage]]
use = "constant"
rate = "100/s"
name = "more"
[[stage]]
use = "http"
processes = {processes}
[[stage.flow]]
name = "short"
step = [{{ get = "/one" }}]
[[stage.flow]]
name = "long"
step = [{{ get = "/two" }}, {{ get = "/{{{{random.text(5)}}}}" }}]
[[stage.targets]]
name = "a"
url = "{a}"
[[stage.targets]]
name = "b"
url = "{b}"
[[stage.targets]]
name = "c"
url = "{dead}"
[stage.health]
path = "/up"
interval = "100ms"
on_unhealthy = "withhold"
[[stage]]
use = "collect"
inputs = ["first", "http"]
"""


@attrs.frozen
class Asking:
    """A sink that asks how the run stands whenever it is sent something."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)
    told: list[dict[str, dict[str, Any]]] = attrs.field(factory=list)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        async for _ in inbox:
            self.told.append(context.run.status())


async def test_processes_send_sessions_where_one_process_does(tmp_path: pathlib.Path) -> None:
    async with AsyncExitStack() as stack:
        (a, _), (b, _) = [await stack.enter_async_context(serving()) for _ in range(2)]
        found = []
        for processes in (1, 2):
            text = TEXT.format(processes=processes, a=a, b=b, dead=DEAD)
            result, rows = await run_live(pipeline_of(text, tmp_path))
            assert result.failures == []
            assert result.summary is not None
            assert result.summary.sessions.check() == []
            columns = (rows[name].tolist() for name in ("seq", "step", "target"))
            found.append(sorted(zip(*columns)))
            withheld = rows[rows["flags"] & Flag.WITHHELD != 0]
            assert result.summary.sessions.withheld == len(withheld) > 0
            assert set(withheld["error"].tolist()) == {int(ErrorCode.WITHHELD)}
            # Numbers go on from those of the executor above: its one step, and its one target.
            assert set(withheld["target"].tolist()) == {3}
            assert [one.name for one in result.summary.targets] == [
                "first.first",
                "http.a",
                "http.b",
                "http.c",
            ]
            assert [one.name for one in result.summary.steps] == [
                "first.null",
                "http.short.GET /one",
                "http.long.GET /two",
                "http.long.GET /{{random.text(5)}}",
            ]
            assert [mark.text for mark in result.summary.marks] == [
                "target 'c' is not healthy: refused"
            ]
    assert found[0] == found[1]


async def test_the_status_of_workers_is_known_to_the_parent(tmp_path: pathlib.Path) -> None:
    asking = Asking()
    async with AsyncExitStack() as stack:
        (a, _), (b, _) = [await stack.enter_async_context(serving()) for _ in range(2)]
        text = TEXT.format(processes=2, a=a, b=b, dead=DEAD)
        pipeline = pipeline_of(text, tmp_path)
        node = Node("asking", "asking", "tests", asking, ("http",), OUTCOME, None)
        await run_live(attrs.evolve(pipeline, nodes=(*pipeline.nodes, node)))
    targets = asking.told[-1]["http"]["targets"]
    assert [(one["name"], one["healthy"]) for one in targets] == [
        ("a", True),
        ("b", True),
        ("c", False),
    ]
    assert [one["share"] for one in targets] == [pytest.approx(1 / 3), pytest.approx(1 / 3), 0]
    assert all(one["last_probe_ms"] > 0 for one in targets)
