"""Full collections stay away from a run, but for one a minute."""

import gc
import time
from collections.abc import Iterator

import pytest

from flux.garbage import seldom_collected


@pytest.fixture
def fulls() -> Iterator[list[int]]:
    """The generation of each collection that CPython began by itself, or that was asked for."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def make_many() -> list[list[int]]:
    """So many that CPython would collect the oldest generation several times."""
    return [[number] for number in range(400_000)]


def test_objects_that_pile_up_are_left_alone(fulls: list[int]) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with seldom_collected():
        fulls.clear()
        kept = make_many()
        assert fulls.count(0) > 100
        assert fulls.count(2) == 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
    assert len(kept) == 400_000


def test_once_a_minute_the_oldest_are_collected(
    fulls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    with seldom_collected():
        fulls.clear()
        kept = [make_many()]
        seconds[0] = 59.9
        kept.append(make_many())
        assert fulls.count(2) == 0
        seconds[0] = 60.0
        kept.append(make_many())
        assert fulls.count(2) == 1
        seconds[0] = 119.0
        kept.append(make_many())
        assert fulls.count(2) == 1
        seconds[0] = 121.0
        kept.append(make_many())
        assert fulls.count(2) == 2
