"""Long work gives way: not before it must, and then each time that it has been long enough."""

import pytest

from flux.metrics.turns import TURN_S, Turns


async def test_others_have_their_turn_once_this_one_was_long_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, given = 0.0, []

    async def checkpoint() -> None:
        given.append(now_s)

    monkeypatch.setattr("time.perf_counter", lambda: now_s)
    monkeypatch.setattr("trio.lowlevel.checkpoint", checkpoint)
    turns = Turns()
    for share in (0, 0.9, 1, 1.5, 2, 5):
        now_s = share * TURN_S
        await turns.give_way()
    assert given == [TURN_S, 2 * TURN_S, 5 * TURN_S]
