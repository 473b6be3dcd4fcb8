"""The `hlog` sink: intervals that add up to the run."""

import pathlib

import numpy as np
import pytest

from flux.errors import StorageFailed
from flux.histogram import Histogram, read_log
from flux.stages.hlog import Hlog
from tests.outcomes import collect_all, stalled_rows
from tests.stages.loading import load, load_sample, problems
from tests.stages.sinks import consume, context_in
from tests.stages.summaries import empty_interval, final, interval


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("hlog") == Hlog()


def test_a_latency_is_one_that_is_measured() -> None:
    (problem,) = problems("hlog", 'latency = "total"')
    assert problem.startswith('latency must be one of "response", "service"')


async def test_an_interval_is_a_line_for_each_step(tmp_path: pathlib.Path) -> None:
    await consume(Hlog(), context_in(tmp_path), [empty_interval(), interval(1), final()])
    text = (tmp_path / "latency.hlog").read_text()
    assert text.startswith("#[Histogram log format version 1.3]\n#flux checkout response times\n")
    assert "#[StartTime: 1767601800.000 " in text
    (line,) = read_log(text.splitlines())
    assert (line.tag, line.start_s, line.length_s, line.max_ms) == ("login", 1.0, 1.0, 25.0)
    assert line.histogram.count == 2


@pytest.mark.parametrize("latency", ["response", "service", "lag"])
async def test_intervals_add_up_to_the_run(latency: str, tmp_path: pathlib.Path) -> None:
    summaries = collect_all([stalled_rows()])
    stage = load("hlog", f'latency = "{latency}"')
    await consume(stage, context_in(tmp_path), summaries)
    total = Histogram()
    for line in read_log((tmp_path / "latency.hlog").read_text().splitlines()):
        total.merge(line.histogram)
    np.testing.assert_array_equal(total.counts, getattr(summaries[-1].total, latency).counts)


async def test_a_plan_writes_nothing() -> None:
    await consume(Hlog(), context_in(None), [interval(0)])


async def test_a_full_disk_is_one_clear_message(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StorageFailed, match="cannot write /dev/full: No space left on device"):
        await consume(Hlog(path="/dev/full"), context_in(tmp_path), [interval(0)])
