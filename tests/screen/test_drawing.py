"""Frames of the live view, made from summaries and drawn as text."""

import json

import attrs
import pytest
from rich.console import Console

from flux.control import Control, Spike
from flux.schemas import ErrorCode, Flag
from flux.screen.drawing import draw, sparkline
from flux.screen.frames import MOST_STEPS, Frame, FrameMaker, notes_of, state_of
from flux.stage import Run
from tests.outcomes import SECOND_NS, as_rows, collect_all, make_context, not_started, request


@attrs.frozen
class Standstill:
    """A clock that always says 0."""

    is_live: bool = False

    def now_ns(self) -> int:
        return 0

    async def wait_until(self, time_ns: int) -> None:
        raise NotImplementedError


def run_for(control: Control | None = None, duration_ns: int | None = 10 * SECOND_NS) -> Run:
    run = make_context(clock=Standstill(), duration_ns=duration_ns).run
    return attrs.evolve(run, control=control or Control())


def frame_of(run: Run | None = None) -> Frame:
    """Of a run of two seconds with a failure, a dropped arrival and a step for each second."""
    failure = request(
        due_ns=SECOND_NS, step=1, flags=Flag.FIRST | Flag.LAST, error=int(ErrorCode.TIMEOUT)
    )
    rows = [request(due_ns=at_ns) for at_ns in range(0, SECOND_NS // 2, SECOND_NS // 200)]
    rows += [failure, not_started(SECOND_NS + 1, Flag.DROPPED)]
    *intervals, _ = collect_all([as_rows(rows)])
    maker = FrameMaker(run or run_for())
    for interval in intervals:
        frame = maker.frame(interval)
    return frame


def drawn(frame: Frame, rates_per_s: list[float] | None = None, width: int = 100) -> str:
    console = Console(width=width, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(draw(frame, rates_per_s or []))
    return capture.get()


def test_a_frame_is_plain_data_and_adds_up() -> None:
    frame = frame_of()
    assert json.loads(json.dumps(frame)) == frame
    assert [step["requests"] for step in frame["steps"]] == [100, 1, 0]
    assert frame["total"]["requests"] == 101
    assert frame["sessions"] == {"due": 102, "started": 101, "dropped": 1, "cancelled": 0}
    assert frame["errors"] == {"timeout": 1}


def test_a_percentile_of_too_few_values_is_not_shown() -> None:
    login, listing, buy = frame_of()["steps"]
    assert login["response_ns"]["p99"] == 5_000_000
    assert listing["response_ns"] == {"p50": None, "p95": None, "p99": None, "max": 5_000_000}
    assert buy["response_ns"]["max"] is None


def test_everything_known_is_drawn() -> None:
    text = drawn(frame_of(), [100.0, 1.0])
    for shown in ("login", "timeout: 1", "1 dropped", "20%", "2s of 10s, 8s left", "█▁"):
        assert shown in text


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_picture_fits_its_terminal(width: int) -> None:
    lines = drawn(frame_of(), [1.0] * 100, width).splitlines()
    assert max(map(len, lines)) <= min(width, 100)


def test_a_run_without_an_end_has_no_bar() -> None:
    text = drawn(frame_of(run_for(duration_ns=None)))
    assert "2s so far; it runs until it is stopped" in text


def test_steps_past_what_fits_are_counted() -> None:
    frame = frame_of()
    many = {**frame, "steps": frame["steps"][:1] * MOST_STEPS, "hidden_steps": 5}
    assert "and 5 more steps" in drawn(many)


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0, 0], "  "), ([0, 1, 8], " ▁█"), ([5, 1, 2, 4, 8], "▁▂▄█"), ([1e-9], "█")],
)
def test_bars_are_eighths_of_the_largest(values: list[float], bars: str) -> None:
    assert sparkline(values, 4) == bars


def test_what_somebody_changed_is_noted() -> None:
    control = Control(scale=1.5, spike=Spike(-SECOND_NS, 3, 3 * SECOND_NS))
    run = run_for(control)
    assert notes_of(run) == ["rate ×1.5", "spike ×3.00"]
    control.pause()
    assert state_of(run) == notes_of(run)[0] == "paused"
    control.stop()
    assert state_of(run) == "stopping"
    control.abort()
    assert state_of(run) == "giving up"
