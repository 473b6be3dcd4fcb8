"""Live control: what the pacer multiplies the level by, and how a run is told to end."""

import pytest
import trio
import trio.testing

from flux.control import Control, Ending, Spike
from flux.errors import ExitCode


@pytest.mark.parametrize(
    ("at_s", "factor"),
    [(-0.1, 1), (0, 1), (1.5, 2), (3, 3), (9, 1), (100, 1)],
)
def test_a_spike_rises_for_a_third_and_falls_for_two(at_s: float, factor: float) -> None:
    spike = Spike(start_ns=0, factor=3.0, duration_ns=9 * 10**9)
    assert spike.factor_at(int(at_s * 1e9)) == pytest.approx(factor)


def test_a_spike_ends_without_a_jump() -> None:
    spike = Spike(start_ns=0, factor=3.0, duration_ns=10**9)
    assert spike.factor_at(10**9 - 1) == pytest.approx(1, abs=1e-6)


def test_pause_wins_over_scale_and_spike() -> None:
    control = Control(scale=2.0)
    control.start_spike(0, 3.0, 3 * 10**9)
    assert control.factor_at(10**9) == pytest.approx(6.0)
    control.pause()
    assert control.factor_at(10**9) == 0
    control.resume()
    assert control.factor_at(5 * 10**9) == 2.0


def test_aborting_is_stopping_too() -> None:
    control = Control()
    control.stop()
    assert (control.stopping.is_set(), control.aborting.is_set()) == (True, False)
    control = Control()
    control.abort()
    assert (control.stopping.is_set(), control.aborting.is_set()) == (True, True)


def test_what_ended_a_run_first_is_what_ended_it() -> None:
    control = Control()
    control.stop(Ending("budget of 10 requests is spent", ExitCode.GUARD))
    control.stop(Ending("p(95) < 1ms failed", ExitCode.THRESHOLDS_FAILED))
    assert control.ending == Ending("budget of 10 requests is spent", ExitCode.GUARD)


def test_a_run_that_was_stopped_by_hand_has_no_other_ending() -> None:
    control = Control()
    control.stop()
    control.stop(Ending("budget of 10 requests is spent", ExitCode.GUARD))
    assert control.ending is None


async def test_who_lingers_is_sent_away_and_the_run_is_not_stopped() -> None:
    control = Control()
    assert not control.leave()
    left: list[str] = []

    async def linger(name: str) -> None:
        with control.lingering():
            await trio.Event().wait()
        left.append(name)

    async with trio.open_nursery() as nursery:
        for name in ("one", "two"):
            nursery.start_soon(linger, name)
        await trio.testing.wait_all_tasks_blocked()
        assert control.leave()
    assert sorted(left) == ["one", "two"]
    assert not control.stopping.is_set()
    assert not control.leave()
