"""Events that cancel blocks of code."""

import pytest
import trio

from flux.cancelling_event import CancellingEvent


async def test_it_cancels_its_blocks_and_what_follows_goes_on(
    autojump_clock: trio.abc.Clock,
) -> None:
    event, ended_s = CancellingEvent(), []

    async def wait() -> None:
        with event.cancelling():
            await trio.sleep(10)
        ended_s.append(trio.current_time())
        await trio.sleep(1)
        ended_s.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.sleep(1)
        event.set()
    assert ended_s == pytest.approx([1, 1, 2, 2])


async def test_a_block_that_begins_after_it_is_cancelled_at_its_first_checkpoint(
    autojump_clock: trio.abc.Clock,
) -> None:
    event, reached = CancellingEvent(), []
    event.set()
    with event.cancelling():
        reached.append("before a checkpoint")
        await trio.sleep(10)
        reached.append("after it")
    assert reached == ["before a checkpoint"]
    assert trio.current_time() == 0


async def test_an_event_that_is_never_set_changes_nothing(autojump_clock: trio.abc.Clock) -> None:
    with CancellingEvent().cancelling():
        await trio.sleep(3)
    assert trio.current_time() == pytest.approx(3)


async def test_a_block_that_is_over_is_not_cancelled(autojump_clock: trio.abc.Clock) -> None:
    event = CancellingEvent()
    with event.cancelling():
        await trio.sleep(1)
    event.set()
    await trio.sleep(1)
    assert trio.current_time() == pytest.approx(2)


async def test_a_failure_in_a_block_comes_out_as_it_is() -> None:
    event = CancellingEvent()
    with pytest.raises(KeyError), event.cancelling():
        raise KeyError


async def test_waiting_ends_when_it_is_set(autojump_clock: trio.abc.Clock) -> None:
    event = CancellingEvent()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(event.wait)
        await trio.sleep(2)
        assert not event.is_set()
        event.set()
    assert event.is_set()
    assert trio.current_time() == pytest.approx(2)
