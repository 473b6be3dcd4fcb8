"""What tests of stages are given."""

import pathlib
from typing import ClassVar

import attrs
import numpy as np
import pytest

from flux.config.problems import InvalidPipeline
from flux.errors import FluxError, WrongOutput
from flux.plug_in import (
    NO_CUTS,
    OUTCOME,
    ArrivalGenerator,
    Context,
    Duration,
    Factors,
    Gaps,
    Inbox,
    Profile,
    Rows,
    Schema,
    Shaper,
    Times,
)
from flux.schemas import DEMAND
from flux.stages.csv import Csv
from flux.stages.json import Json
from flux.stages.sine import Sine
from flux.testing import (
    check_stage,
    make_requests,
    make_stage,
    plan_arrivals,
    plan_contexts,
    plan_demand,
    run_sink,
    run_text,
    wanted_by,
)
from tests.stages.loading import load

SECOND = 10**9


def test_contexts_name_the_stages_and_their_source() -> None:
    stages = [load("constant", 'rate = "1/s"'), *[load("noise")] * 2]
    contexts = plan_contexts(stages, SECOND)
    assert [one.stage for one in contexts] == ["constant", "noise", "noise2"]
    assert {one.source_name for one in contexts} == {"constant"}
    assert all(one.source is stages[0] for one in contexts)
    assert [name for name, _ in contexts[0].shapers] == ["noise", "noise2"]


def test_demand_covers_the_whole_duration_in_ticks() -> None:
    rows = plan_demand([load("constant", 'rate = "3/s"')], 1_050_000_000, tick_ns=SECOND // 10)
    assert rows["start_ns"].tolist() == [n * SECOND // 10 for n in range(11)]
    assert rows["end_ns"][-1] == 1_050_000_000


def test_count_bounds_the_arrivals() -> None:
    assert len(plan_arrivals([load("constant", 'rate = "9/s"')], SECOND, count=4)) == 4


def test_wanted_integrates_the_demand() -> None:
    rows = DEMAND.rows([(0, SECOND, 0.0, 10.0), (SECOND, 3 * SECOND, 4.0, 4.0)])
    times = np.array([0, SECOND // 2, SECOND, 2 * SECOND, 3 * SECOND])
    assert wanted_by(rows, times).tolist() == pytest.approx([0, 1.25, 5, 9, 13])


# What is wrong is raised as it is, and not in groups.


@attrs.frozen(kw_only=True)
class Sunk(Shaper):
    """Raises."""

    def factor_at(self, time_ns: Times) -> Factors:
        raise ZeroDivisionError("no sea")


@attrs.frozen(kw_only=True)
class Torn(Shaper):
    """Changes times."""

    def profile(self, context: Context) -> Profile:
        return TornProfile()


class TornProfile:
    """Every second row is missing."""

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        return NO_CUTS

    def shape(self, demand: Rows) -> Rows:
        return demand[::2]


@attrs.frozen(kw_only=True)
class Backwards(ArrivalGenerator):
    """Negative gaps."""

    def gaps(self, random: np.random.Generator, count: int) -> Gaps:
        return np.full(count, -1.0)


def test_what_a_shaper_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError, match="no sea"):
        plan_demand([load("constant", 'rate = "3/s"'), Sunk()], SECOND)


def test_rows_are_checked_as_in_a_run() -> None:
    with pytest.raises(WrongOutput, match="do not follow each other"):
        plan_demand([load("constant", 'rate = "3/s"'), Torn()], SECOND)


def test_gaps_are_checked_as_in_a_run() -> None:
    with pytest.raises(WrongOutput, match="it drew a gap of -1"):
        plan_arrivals([make_stage(Backwards, 'rate = "3/s"')], SECOND)


# A class.


@attrs.frozen(kw_only=True)
class Bare(Shaper):
    """One key that nobody explains, and a sample that is not right."""

    period: Duration

    sample: ClassVar[str] = '[[stage]]\nuse = "bare"\nperiod = 5\n'

    def factor_at(self, time_ns: Times) -> Factors:
        return np.ones(len(time_ns))


def test_a_built_in_stage_is_complete() -> None:
    check_stage(Sine)


def test_everything_that_a_class_lacks_is_said_at_once() -> None:
    with pytest.raises(
        FluxError,
        match=r"^Bare must say what its key period means: a text below the field; it must have a "
        r"sample that is its own \[\[stage\]\] table: its sample is not right: period must be a ",
    ):
        check_stage(Bare)


def test_a_class_that_is_no_stage_is_told_so_first() -> None:
    with pytest.raises(FluxError, match=r"^TornProfile must be decorated itself"):
        check_stage(TornProfile)


def test_a_stage_is_made_as_a_pipeline_makes_it() -> None:
    assert make_stage(Sine, 'period = "2s"') == Sine(period=Duration.parse("2s"))
    with pytest.raises(FluxError, match=r"^period must be a duration.*; phase must be at least 0"):
        make_stage(Sine, "period = 5\nphase = -1")
    with pytest.raises(FluxError, match=r"^TornProfile must be decorated itself"):
        make_stage(TornProfile)


# A sink, and a whole pipeline.


@attrs.frozen(kw_only=True)
class Leaky:
    """A sink that fails."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)

    async def consume(self, context: Context, inbox: Inbox) -> None:
        async for _ in inbox:
            raise OSError("no more room")


def test_a_sink_writes_what_it_is_given(tmp_path: pathlib.Path) -> None:
    rows = make_requests(3, step=[0, 1, 0])
    run_sink(Csv(), [rows[:2], rows[2:]], tmp_path, steps=["login", "buy"])
    lines = (tmp_path / "requests.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["seq", "0", "1", "2"]
    assert [",buy," in line for line in lines] == [False, False, True, False]


def test_a_sink_without_a_folder_writes_nothing() -> None:
    run_sink(Csv(), [make_requests(3)])


def test_what_a_sink_raises_is_raised() -> None:
    with pytest.raises(OSError, match="no more room"):
        run_sink(Leaky(), [make_requests(1)])


PIPELINE = """
    duration = "10s"
    [[stage]]
    use = "constant"
    rate = "10/s"
    [[stage]]
    use = "null"
    service = "5ms"
    [[stage]]
    use = "json"
    {keys}
"""


def test_a_pipeline_runs_in_virtual_time(tmp_path: pathlib.Path) -> None:
    summary = run_text(PIPELINE.format(keys=""), tmp_path)
    assert (summary.sessions.planned, summary.total.successes) == (100, 100)
    assert summary.total.service.count == 100
    assert (tmp_path / "result.json").is_file()


def test_a_summary_of_a_pipeline_can_be_given_to_a_sink(tmp_path: pathlib.Path) -> None:
    summary = run_text(PIPELINE.format(keys=""), tmp_path)
    run_sink(Json(path="again.json"), [summary], tmp_path)
    assert (tmp_path / "again.json").is_file()


def test_a_wrong_pipeline_has_its_report(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidPipeline, match=r"test:\d+:\d+: stage\[2\]\.pth is not a known key"):
        run_text(PIPELINE.format(keys='pth = "x"'), tmp_path)


def test_a_stage_that_fails_in_a_pipeline_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "result.json").mkdir()
    with pytest.raises(FluxError, match=r"cannot write .*result\.json"):
        run_text(PIPELINE.format(keys=""), tmp_path)
