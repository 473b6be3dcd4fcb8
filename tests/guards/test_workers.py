"""A breaker's pause in worker processes: every one of them hears of it from the same tick on."""

import pathlib

import numpy as np
import trio

from flux.control import Control
from flux.pipeline import Pipeline
from flux.stage import Run
from flux.workers.steering import Change, SteeredControl
from tests.workers.running import pipeline_of, run_live

TEXT = """
    duration = "1500ms"
    tick = "50ms"
    seed = 3
    [[stage]]
    use = "constant"
    rate = "400/s"
    [[stage]]
    use = "null"
    processes = 2
"""


def test_a_change_carries_the_guards_factor() -> None:
    control = Control(scale=2.0)
    control.guard = 0.25
    change = Change.of(control, 0)
    steered = SteeredControl()
    steered.add(Change.of(Control(), -1))
    steered.add(change)
    assert steered.factor_at(0) == 1.0
    assert steered.factor_at(1) == 0.5
    assert not change.is_same(Change.of(Control(scale=2.0), 0))


async def test_workers_send_nothing_while_a_guard_holds_the_load(tmp_path: pathlib.Path) -> None:
    async def steer(run: Run, _: Pipeline) -> None:
        await run.clock.wait_until(300_000_000)
        run.control.guard = 0.0
        await run.clock.wait_until(900_000_000)
        run.control.guard = 0.5

    pipeline = pipeline_of(TEXT, tmp_path)
    with trio.fail_after(60):
        _, rows = await run_live(pipeline, steer)
    due_ns = np.sort(rows["due_ns"])
    assert set(np.diff(due_ns[due_ns < 300_000_000])) == {2_500_000}
    assert set(np.diff(due_ns[due_ns > 1_300_000_000])) == {5_000_000}
    # From one tick to the next the level goes from one factor to the other; at most three ticks and
    # the time to pass it on lie between the word and that.
    silent_ns = due_ns[(due_ns > 600_000_000) & (due_ns < 900_000_000)]
    assert silent_ns.tolist() == []
