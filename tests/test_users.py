"""Runs of users under virtual time: kept in and arriving, bounded and not, whole and in shards."""

import pathlib
from typing import Any

import jsonschema
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from flux.console import format_summary
from flux.control import Control
from flux.engine import RunResult
from flux.errors import UsageError
from flux.pipeline import Pipeline
from flux.plan import make_plan
from flux.result_file import result_document
from flux.result_schema import result_schema
from flux.schemas import Flag, Rows
from flux.stage import Shard
from tests.outcomes import make_context
from tests.test_engine import Rowkeeper, pipeline_of, planned, run_here, run_virtually, with_sink

MS = 10**6
SECOND = 10**9


def stages(*tables: str, top: str = "", null: str = 'service = "100ms"') -> str:
    """A pipeline of these stages above `null`."""
    return "\n".join([f"seed = 3\n{top}", *(f"[[stage]]\n{one}" for one in tables), _null(null)])


def _null(keys: str) -> str:
    return f'[[stage]]\nuse = "null"\n{keys}\n'


def run_stages(tmp_path: pathlib.Path, *tables: str, **options: Any) -> tuple[RunResult, Rows]:
    return run_virtually(pipeline_of(stages(*tables, **options), tmp_path))


def begun_by(rows: Rows) -> list[int]:
    """How many iterations each user has begun."""
    first = rows[rows["flags"] & Flag.FIRST != 0]
    counts: list[int] = np.bincount(first["session"]).tolist()
    return counts


async def _stop_after(seconds: float, control: Control) -> None:
    await trio.sleep(seconds)
    control.stop()


def run_stopped(pipeline: Pipeline, after_s: float) -> tuple[RunResult, Rows]:
    keeper, control = Rowkeeper(), Control()

    async def main() -> RunResult:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_after, after_s, control)
            result = await run_here(with_sink(pipeline, "keeper", keeper), control=control)
            nursery.cancel_scope.cancel()
        return result

    return trio.run(main, clock=MockClock(autojump_threshold=0)), keeper.rows


# Users who are kept in.


def test_each_user_makes_its_iterations_and_the_run_ends_with_the_last(
    tmp_path: pathlib.Path,
) -> None:
    result, rows = run_stages(
        tmp_path, 'use = "users"\nusers = 4\niterations = 3\nthink = "400ms"', top='duration = "1h"'
    )
    assert begun_by(rows) == [3, 3, 3, 3]
    assert sorted(rows["seq"].tolist()) == list(range(12))
    assert rows["end_ns"].max() == 1100 * MS
    assert result.summary is not None
    assert not result.was_stopped
    ledger = result.summary.sessions
    assert (ledger.planned, ledger.started, ledger.repeated) == (None, 12, 8)
    assert ledger.check() == []


def test_a_run_of_bounded_users_needs_no_duration(tmp_path: pathlib.Path) -> None:
    _, rows = run_stages(tmp_path, 'use = "users"\nusers = 3\niterations = 5')
    assert begun_by(rows) == [5, 5, 5]


def test_a_bound_in_all_holds_besides_the_bound_of_each(tmp_path: pathlib.Path) -> None:
    _, rows = run_stages(tmp_path, 'use = "users"\nusers = 3\niterations = 5\ncount = 7')
    assert len(rows) == 7
    _, rows = run_stages(tmp_path, 'use = "users"\nusers = 3\niterations = 2\ncount = 7')
    assert begun_by(rows) == [2, 2, 2]


def test_users_who_join_later_have_as_many_iterations(tmp_path: pathlib.Path) -> None:
    _, rows = run_stages(
        tmp_path,
        'use = "users"\nusers = 5\niterations = 4',
        'use = "ramp"\nup = "10s"',
        top='duration = "1h"',
    )
    assert begun_by(rows) == [4] * 5
    assert rows["end_ns"].max() == 9400 * MS  # the last one joins at 9 s


def test_the_duration_ends_what_bounded_users_have_left(tmp_path: pathlib.Path) -> None:
    users = 'use = "users"\nusers = 2\niterations = 1000'
    _, rows = run_stages(tmp_path, users, top='duration = "1s"', null='service = "110ms"')
    assert begun_by(rows) == [10, 10]


def test_a_user_who_comes_back_goes_on_with_what_it_has_left(tmp_path: pathlib.Path) -> None:
    # In for 1 s, out for 1 s, and in again, with 15 iterations of 110 ms.
    shape = 'use = "curve"\n' + "\n".join(
        f'[[stage.segment]]\nkind = "constant"\nduration = "1s"\nlevel = {level}'
        for level in (1, 0, 1, 1)
    )
    users = 'use = "users"\nusers = 1\niterations = 15'
    _, rows = run_stages(tmp_path, users, shape, top='duration = "4s"', null='service = "110ms"')
    starts_ms = np.sort(rows["start_ns"]) // MS
    assert starts_ms.tolist() == [*range(0, 1000, 110), *range(2000, 2500, 110)]
    again = rows[np.argsort(rows["start_ns"])]["flags"] & Flag.AGAIN != 0
    assert again.tolist() == [False] + [True] * 14


def test_pausing_does_not_end_a_run_of_bounded_users(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(
        stages('use = "users"\nusers = 2\niterations = 20', top='duration = "1h"'), tmp_path
    )
    keeper, control = Rowkeeper(), Control()

    async def main() -> RunResult:
        async with trio.open_nursery() as nursery:

            async def steer() -> None:
                await trio.sleep(0.55)
                control.pause()
                await trio.sleep(10)
                control.resume()

            nursery.start_soon(steer)
            return await run_here(with_sink(pipeline, "keeper", keeper), control=control)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert begun_by(keeper.rows) == [20, 20]
    starts_s = keeper.rows["start_ns"] / 1e9
    assert not ((starts_s > 1.0) & (starts_s < 10.5)).any()


def test_an_iteration_is_due_when_the_rest_before_it_is_over(tmp_path: pathlib.Path) -> None:
    _, rows = run_stages(tmp_path, 'use = "users"\nusers = 1\niterations = 3\nthink = "1s"')
    assert np.sort(rows["due_ns"]).tolist() == [0, 1100 * MS, 2200 * MS]
    assert (rows["due_ns"] == rows["start_ns"]).all()


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_of_bounded_users_make_up_the_whole(count: int, tmp_path: pathlib.Path) -> None:
    # Seven shards of five users: two of them have nobody, and end at once.
    think = 'think = { use = "exponential", every = "300ms" }'
    pipeline = pipeline_of(stages(f'use = "users"\nusers = 5\niterations = 4\n{think}'), tmp_path)
    _, whole = run_virtually(pipeline)
    parts = [run_virtually(pipeline, shard=Shard(index, count))[1] for index in range(count)]
    assert _lives(np.concatenate(parts)) == _lives(whole)
    assert begun_by(whole) == [4] * 5


def _lives(rows: Rows) -> list[tuple[int, int, int]]:
    """What became of users: all but the numbers of iterations."""
    columns = (rows[name].tolist() for name in ("session", "due_ns", "end_ns"))
    return sorted(zip(*columns))


def test_what_users_cannot_show_is_said_with_numbers(tmp_path: pathlib.Path) -> None:
    # Ten users who each ask every 100 ms; nobody is answered from 20 s to 30 s.
    result, rows = run_stages(
        tmp_path,
        'use = "users"\nusers = 10\npace = "100ms"',
        top='duration = "60s"',
        null='service = "5ms"\nstall = { at = "20s", for = "10s" }',
    )
    assert result.summary is not None
    assert result.summary.pulse is not None
    found = result.summary.pulse.standstill()
    assert found is not None
    assert (found.start_ns, found.end_ns, found.waiting) == (20 * SECOND, 30_005 * MS, 10)
    assert (found.rate_per_s, found.unsent) == (100, round(10.005 * 100))
    assert "while 10 were under way; at the median rate of 100/s" in result.summary.hidden
    assert (rows["end_ns"] - rows["due_ns"] > SECOND).sum() == 10


def test_the_result_and_the_screen_say_what_users_cannot_show(tmp_path: pathlib.Path) -> None:
    users, _ = run_stages(
        tmp_path,
        'use = "users"\nusers = 10\npace = "100ms"',
        top='duration = "20s"',
        null='service = "5ms"\nstall = { at = "9s", for = "2s" }',
    )
    arrivals, _ = run_stages(tmp_path, ARRIVALS, top='duration = "5s"')
    documents = []
    for result in (users, arrivals):
        assert result.summary is not None
        document = result_document(result.summary, make_context().run)
        jsonschema.validate(document, result_schema())
        documents.append(document["closed_model"])
    assert documents[1] is None
    assert documents[0]["standstill"] == {
        "start_ns": 9 * SECOND,
        "end_ns": 11_005 * MS,
        "waiting": 10,
        "rate_per_s": 100.0,
        "unsent": round(2.005 * 100),
    }
    assert users.summary is not None
    page = " ".join(format_summary(users.summary, make_context().run).split())
    assert f"users {documents[0]['text']}" in page
    assert "No request began from 9.00 s to 11.01 s, while 10 were under way" in page


def test_users_are_planned_by_time_alone(tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(stages('use = "users"\nusers = 2\niterations = 3\ncount = 4'), tmp_path)
    with pytest.raises(UsageError, match="no end that could be planned"):
        make_plan(pipeline, seed=3)
    text = stages('use = "users"\nusers = 2\niterations = 3', top='duration = "5s"')
    batches: list[Rows] = []
    make_plan(pipeline_of(text, tmp_path), seed=3, take=batches.append)
    assert sorted(np.concatenate(batches)["change"].tolist()) == [-1, -1, 1, 1]


# Users who arrive.

THREE = 'use = "visitors"\niterations = 3\nthink = { use = "exponential", every = "700ms" }'
ARRIVALS = 'use = "exponential"\nrate = "20/s"'


def test_each_arrival_makes_its_iterations_and_the_first_is_due_when_it_is(
    tmp_path: pathlib.Path,
) -> None:
    text = stages(ARRIVALS, 'use = "ramp"\nup = "5s"', THREE, top='duration = "10s"')
    pipeline = pipeline_of(text, tmp_path)
    result, rows = run_virtually(pipeline)
    arrivals = planned(pipeline)
    first = np.sort(rows[rows["flags"] & Flag.AGAIN == 0], order="session")
    assert len(arrivals) > 100
    assert first["session"].tolist() == arrivals["seq"].tolist()
    assert first["due_ns"].tolist() == first["start_ns"].tolist() == arrivals["due_ns"].tolist()
    assert begun_by(rows) == [3] * len(arrivals)
    assert sorted(rows["seq"].tolist()) == list(range(3 * len(arrivals)))
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert (ledger.planned, ledger.arrived) == (len(arrivals), len(arrivals))
    assert ledger.started == ledger.succeeded == len(rows)
    assert result.summary.is_valid
    assert result.summary.hidden.startswith("users arrive when they are due")


def test_one_iteration_per_visit_is_the_open_model(tmp_path: pathlib.Path) -> None:
    whole, visits = (
        np.sort(run_stages(tmp_path, ARRIVALS, *more, top='duration = "10s"')[1], order="seq")
        for more in ((), ('use = "visitors"\niterations = 1',))
    )
    assert visits.tolist() == whole.tolist()


def test_visits_go_on_after_the_last_arrival(tmp_path: pathlib.Path) -> None:
    _, rows = run_stages(
        tmp_path,
        'use = "constant"\nrate = "1/s"\ncount = 2',
        'use = "visitors"\niterations = 5\nthink = "60s"',
        top='drain = "1s"',
    )
    assert begun_by(rows) == [5, 5]


def test_a_stay_bounds_when_iterations_begin(tmp_path: pathlib.Path) -> None:
    result, rows = run_stages(
        tmp_path,
        'use = "constant"\nrate = "1/s"\ncount = 2',
        'use = "visitors"\nstay = "1s"\nthink = "200ms"',
    )
    # Each begins at 0, 300, 600 and 900 ms after it was due, and not at 1,200 ms.
    starts_ms = np.sort(rows["start_ns"]) // MS
    assert starts_ms.tolist() == [1000, 1300, 1600, 1900, 2000, 2300, 2600, 2900]
    assert result.summary is not None
    assert result.summary.sessions.check() == []


def test_visitors_beyond_the_most_in_flight_wait_outside(tmp_path: pathlib.Path) -> None:
    result, rows = run_stages(
        tmp_path,
        'use = "constant"\nrate = "10/s"\ncount = 3',
        'use = "visitors"\niterations = 2\nthink = "300ms"',
        null='service = "100ms"\nmax_in_flight = 1',
    )
    first = np.sort(rows[rows["flags"] & Flag.AGAIN == 0], order="session")
    assert (first["due_ns"] // MS).tolist() == [100, 200, 300]
    assert (first["start_ns"] // MS).tolist() == [100, 600, 1100]
    assert (first["flags"] & Flag.HELD != 0).tolist() == [False, True, True]
    assert not (rows["flags"] & Flag.AGAIN != 0)[rows["flags"] & Flag.HELD != 0].any()
    assert result.summary is not None
    assert result.summary.held_sessions == 2


def test_visitors_who_find_no_place_are_dropped_and_counted(tmp_path: pathlib.Path) -> None:
    result, rows = run_stages(
        tmp_path,
        'use = "constant"\nrate = "10/s"\ncount = 10',
        'use = "visitors"\niterations = 3\nthink = "100ms"',
        null='service = "90ms"\nmax_in_flight = 1\non_late = "drop"',
    )
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert (ledger.planned, ledger.arrived, ledger.dropped, ledger.repeated) == (10, 2, 8, 4)
    assert sorted(rows["seq"].tolist()) == list(range(14))
    dropped = rows[rows["flags"] & Flag.DROPPED != 0]
    assert sorted(dropped["session"].tolist()) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert not result.summary.is_valid


def test_stopping_sends_visitors_home_after_their_flow(tmp_path: pathlib.Path) -> None:
    text = stages(
        'use = "constant"\nrate = "10/s"',
        'use = "visitors"\niterations = 50\nthink = "50ms"',
        top='duration = "1h"',
    )
    result, rows = run_stopped(pipeline_of(text, tmp_path), 5.01)
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert ledger.cancelled > 0
    assert ledger.aborted == 0
    begun = rows[rows["flags"] & (Flag.CANCELLED) == 0]
    assert begun["start_ns"].max() <= 5010 * MS
    assert begun["end_ns"].max() <= 5110 * MS
    assert ledger.planned == ledger.arrived + ledger.cancelled


def test_aborting_loses_no_visitor(tmp_path: pathlib.Path) -> None:
    text = stages(ARRIVALS, THREE, top='duration = "1h"', null='service = "30s"')
    pipeline, control, keeper = pipeline_of(text, tmp_path), Control(), Rowkeeper()

    async def main() -> RunResult:
        async with trio.open_nursery() as nursery:

            async def abort() -> None:
                await trio.sleep(35)
                control.abort()

            nursery.start_soon(abort)
            return await run_here(with_sink(pipeline, "keeper", keeper), control=control)

    result = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert result.summary is not None
    ledger = result.summary.sessions
    assert ledger.check() == []
    assert min(ledger.aborted, ledger.cancelled, ledger.repeated) > 0
    assert len(set(keeper.rows["seq"].tolist())) == len(keeper.rows)


@pytest.mark.parametrize("count", [2, 3])
def test_shards_of_visitors_make_up_the_whole(count: int, tmp_path: pathlib.Path) -> None:
    pipeline = pipeline_of(stages(ARRIVALS, THREE, top='duration = "10s"'), tmp_path)
    result, whole = run_virtually(pipeline)
    parts = [run_virtually(pipeline, shard=Shard(index, count)) for index in range(count)]
    assert _lives(np.concatenate([rows for _, rows in parts])) == _lives(whole)
    summaries = [part.summary for part, _ in parts if part.summary is not None]
    merged = summaries[0].merge(summaries[1:])
    assert result.summary is not None
    assert merged.sessions == result.summary.sessions
    assert merged.sessions.check() == []


def test_a_plan_of_visitors_is_their_arrivals(tmp_path: pathlib.Path) -> None:
    text = stages(ARRIVALS, THREE, top='duration = "10s"')
    made = make_plan(pipeline_of(text, tmp_path), seed=3)
    assert not made.is_closed
    assert made.arrivals == len(
        planned(pipeline_of(stages(ARRIVALS, top='duration = "10s"'), tmp_path))
    )


# Many.


def test_ten_thousand_users_each_rest_as_their_seed_says(tmp_path: pathlib.Path) -> None:
    result, rows = run_stages(
        tmp_path,
        'use = "users"\nusers = 10_000\niterations = 2\nthink = { use = "uniform", every = "20s" }',
        'use = "ramp"\nup = "10s"',
    )
    assert result.summary is not None
    assert result.summary.sessions.check() == []
    assert result.summary.is_valid
    assert begun_by(rows) == [2] * 10_000
    assert (rows["start_ns"] == rows["due_ns"]).all()
    first, second = np.split(np.sort(rows, order=["session", "start_ns"]).reshape(-1, 2), 2, axis=1)
    joined_ms = first["start_ns"].ravel() / MS
    # One a millisecond, in the middle of it: user i joins where the level passes i + 1/2.
    assert np.abs(joined_ms - (np.arange(10_000) + 0.5)).max() < 1e-3
    rested_s = (second["start_ns"] - first["end_ns"]).ravel() / 1e9
    assert 14 <= rested_s.min() < rested_s.max() <= 26
    # Uniform on 20 s ± 30 %: its standard deviation is 3.46 s, that of the mean 0.035 s.
    assert rested_s.mean() == pytest.approx(20, abs=4 * 0.035)
