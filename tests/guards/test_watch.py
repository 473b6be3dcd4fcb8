"""Breaker and budget in whole runs under virtual time, against a target that is a model."""

import pathlib
import re
from typing import Any

import numpy as np
import pytest
import trio

from flux.control import Ending
from flux.errors import ExitCode
from flux.stage import Run
from tests.guards.running import marks, pipeline_of, run_virtually

FROZEN = """
    duration = "60s"
    [breaker]
    silence = "2s"
    cool_down = "5s"
    probe_for = "5s"
    [[stage]]
    use = "constant"
    rate = "200/s"
    [[stage]]
    use = "null"
    service = "5ms"
    stall = { at = "20s", for = "10s" }
"""

FAILING = """
    duration = "60s"
    seed = 1
    [breaker]
    error_share = 0.2
    window = "5s"
    sustained = "1s"
    cool_down = "5s"
    probe_for = "5s"
    trips = 1
    [[stage]]
    use = "constant"
    rate = "200/s"
    [[stage]]
    use = "null"
    service = "5ms"
    failures = 0.4
"""


def due_per_second(result: Any) -> list[int]:
    """Arrivals that were planned, by the second."""
    rows = result.summary.series.rows
    return [int(count) for count in rows["due"]]


def test_the_load_goes_off_a_frozen_target_and_comes_back_when_it_thaws(
    tmp_path: pathlib.Path,
) -> None:
    result, run = run_virtually(pipeline_of(FROZEN, tmp_path))
    # Which of two tasks comes first at one moment is not fixed: a request more or less may count.
    found = [(at_s, re.sub(r"closes: 4\d ", "closes: 46 ", text)) for at_s, text in marks(result)]
    assert found == [
        (22.0, "breaker trips (1 of 3): no request has ended for 2s; no load for 5s"),
        (27.0, "breaker tries: 5s of pause are over; 5 % of the load"),
        (
            29.0,
            "breaker trips (2 of 3): no request of the probe has ended for 2s; no load for 5s",
        ),
        (34.0, "breaker tries: 5s of pause are over; 5 % of the load"),
        (39.0, "breaker closes: 46 requests of the probe ended well enough; the whole load again"),
    ]
    due = due_per_second(result)
    assert due[10] == due[50] == 200
    assert due[23] == due[25] == 0  # what is due two ticks after a trip is not planned
    assert due[28] == due[35] == 10
    assert result.ending is None
    assert run.control.guard == 1.0
    assert result.summary is not None
    assert result.summary.is_valid
    assert result.summary.sessions.check() == []


def test_a_target_that_keeps_failing_ends_the_run(tmp_path: pathlib.Path) -> None:
    result, _ = run_virtually(pipeline_of(FAILING, tmp_path))
    assert result.ending is not None
    reason = r"breaker: \d+ % of 2\d requests of the probe failed, more than 20 %"
    assert re.fullmatch(reason, result.ending.text)
    assert result.ending.code is ExitCode.GUARD
    assert [text.split(":")[0] for _, text in marks(result)] == [
        "breaker trips (1 of 1)",
        "breaker tries",
        "breaker stops the run",
    ]
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert ledger.started == ledger.succeeded + ledger.failed  # what was in flight has ended


def test_with_stop_the_first_trip_ends_the_run(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(FAILING, tmp_path, "breaker.action=stop")
    result, _ = run_virtually(pipeline)
    ((time_s, text),) = marks(result)
    # 20 requests have ended by 0.2 s, and too many of them failed from then on.
    assert time_s == pytest.approx(1.2, abs=0.1)
    assert text.startswith("breaker stops the run: 4")
    assert result.ending is not None


def test_latency_is_of_the_kind_that_was_asked_for(tmp_path: pathlib.Path) -> None:
    # Three places for a second each hold four sessions a second: they wait, and are served fast.
    text = """
        duration = "30s"
        [breaker]
        p95 = "1500ms"
        latency = "{latency}"
        action = "stop"
        [[stage]]
        use = "constant"
        rate = "4/s"
        [[stage]]
        use = "null"
        service = "1s"
        max_in_flight = 3
    """
    by_service, _ = run_virtually(pipeline_of(text.format(latency="service"), tmp_path))
    by_response, _ = run_virtually(pipeline_of(text.format(latency="response"), tmp_path))
    assert by_service.ending is None
    assert by_response.ending is not None
    assert "response p95 is over 1.5s" in by_response.ending.text


def test_the_breaker_leaves_alone_what_a_user_set(tmp_path: pathlib.Path) -> None:
    seen = []

    async def steer(run: Run) -> None:
        run.control.scale = 0.5
        for at_s in (21, 23, 28, 45):
            await run.clock.wait_until(at_s * 10**9)
            seen.append((run.control.factor_at(run.clock.now_ns()), run.control.scale))
        run.control.pause()
        await trio.sleep(1)
        seen.append((run.control.factor_at(run.clock.now_ns()), run.control.scale))

    run_virtually(pipeline_of(FROZEN, tmp_path), steer)
    assert seen == [(0.5, 0.5), (0.0, 0.5), (0.025, 0.5), (0.5, 0.5), (0.0, 0.5)]


def test_a_pause_by_a_user_is_no_silence(tmp_path: pathlib.Path) -> None:
    async def steer(run: Run) -> None:
        await run.clock.wait_until(3 * 10**9)
        run.control.pause()
        await run.clock.wait_until(15 * 10**9)
        run.control.resume()

    result, _ = run_virtually(pipeline_of(FROZEN, tmp_path, "duration=19s"), steer)
    assert marks(result) == []


def test_users_leave_and_come_back(tmp_path: pathlib.Path) -> None:
    text = FROZEN.replace('use = "constant"', 'use = "users"').replace('rate = "200/s"', "users=40")
    result, _ = run_virtually(pipeline_of(text, tmp_path, "null.service=100ms"))
    assert [text.split(":")[0] for _, text in marks(result)] == [
        "breaker trips (1 of 3)",
        "breaker tries",
        "breaker trips (2 of 3)",
        "breaker tries",
        "breaker closes",
    ]
    assert result.summary is not None
    started = result.summary.series.rows["started"].tolist()
    assert started[10] == started[50] == 40 * 10
    assert started[36] == 2 * 10


def test_the_live_status_says_where_the_guards_stand(tmp_path: pathlib.Path) -> None:
    seen: list[Any] = []
    pipeline = pipeline_of(FROZEN, tmp_path, "budget.bytes=1GiB")
    watch = pipeline.by_name["guards"]
    stage = _Telling(watch.stage, seen)
    result, _ = run_virtually(pipeline.with_stage("guards", stage))
    (status,) = seen
    assert status["guards"]["breaker"]["state"] == "open"
    assert status["guards"]["breaker"]["trips"] == 1
    assert status["guards"]["breaker"]["decides_ns"] > 24 * 10**9
    assert status["guards"]["breaker"]["reason"] == "no request has ended for 2s"
    assert status["guards"]["budget"]["bytes"] == {"spent": 0, "of": 1 << 30}
    assert status["guards"]["budget"]["requests"]["spent"] == 20 * 200 - 1
    assert result.failures == []


class _Telling:
    """The stage of the guards, and a look at the run's status at 24 s."""

    def __init__(self, watch: Any, seen: list[Any]) -> None:
        self._watch, self._seen = watch, seen
        self.accepts = watch.accepts

    async def consume(self, context: Any, inbox: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look, context.run)
            await self._watch.consume(context, inbox)
            nursery.cancel_scope.cancel()

    async def _look(self, run: Run) -> None:
        await run.clock.wait_until(24 * 10**9)
        self._seen.append(run.status())


BUDGET = """
    duration = "60s"
    seed = 1
    [budget]
    {budget}
    [[stage]]
    use = "{generator}"
    {keys}
    [[stage]]
    use = "null"
    service = "{service}"
    failures = 0.1
"""


@pytest.mark.parametrize("service", ["1ms", "700ms"])
def test_a_budget_of_requests_is_kept_to_within_what_ends_in_a_tenth_of_a_second(
    service: str, tmp_path: pathlib.Path
) -> None:
    text = BUDGET.format(
        budget="requests = 2000", generator="constant", keys='rate = "500/s"', service=service
    )
    result, _ = run_virtually(pipeline_of(text, tmp_path))
    assert result.ending is not None
    assert result.ending.text.startswith("budget: 2,000 requests are spent (")
    assert result.ending.code is ExitCode.GUARD
    assert result.summary is not None
    assert 2000 <= result.summary.total.requests <= 2000 + 2 * 50
    assert result.summary.sessions.check() == []


def test_a_budget_of_requests_counts_users_under_way(tmp_path: pathlib.Path) -> None:
    text = BUDGET.format(
        budget="requests = 1000", generator="users", keys="users = 50", service="500ms"
    )
    result, _ = run_virtually(pipeline_of(text, tmp_path))
    assert result.summary is not None
    assert result.summary.total.requests == 1000


def test_a_budget_of_errors_ends_the_run(tmp_path: pathlib.Path) -> None:
    text = BUDGET.format(
        budget="errors = 100", generator="constant", keys='rate = "500/s"', service="5ms"
    )
    result, _ = run_virtually(pipeline_of(text, tmp_path))
    assert result.ending == Ending("budget: 100 errors are spent", ExitCode.GUARD)
    assert result.summary is not None
    assert 100 <= result.summary.total.failures <= 120


def test_a_budget_that_is_not_reached_changes_nothing(tmp_path: pathlib.Path) -> None:
    text = BUDGET.format(
        budget='requests = 100_000\nbytes = "1GiB"\nerrors = 100_000',
        generator="constant",
        keys='rate = "50/s"',
        service="5ms",
    )
    with_budget, _ = run_virtually(pipeline_of(text, tmp_path))
    document = text.replace("[budget]", "").replace('requests = 100_000\nbytes = "1GiB"', "")
    without, _ = run_virtually(pipeline_of(document.replace("errors = 100_000", ""), tmp_path))
    assert with_budget.ending is None
    assert marks(with_budget) == []
    assert with_budget.summary is not None
    assert without.summary is not None
    ours, theirs = with_budget.summary.total.response, without.summary.total.response
    assert np.array_equal(ours.counts, theirs.counts)


def test_a_guard_does_not_speak_up_once_the_run_is_ending(tmp_path: pathlib.Path) -> None:
    async def steer(run: Run) -> None:
        await run.clock.wait_until(21 * 10**9)
        run.control.stop()

    result, _ = run_virtually(pipeline_of(FROZEN, tmp_path), steer)
    assert (result.ending, marks(result), result.was_stopped) == (None, [], True)


def test_a_stage_of_the_file_may_have_the_guards_name(tmp_path: pathlib.Path) -> None:
    text = FROZEN.replace('use = "null"', 'use = "null"\n    name = "guards"')
    pipeline = pipeline_of(text, tmp_path)
    assert {"guards", "guards-2"} <= set(pipeline.by_name)


def test_without_breaker_and_budget_nothing_is_put_in(tmp_path: pathlib.Path) -> None:
    text = '[[stage]]\nuse="constant"\nrate="1/s"\n[[stage]]\nuse="null"\n'
    assert "guards" not in pipeline_of(text, tmp_path).by_name
