"""Frames of the live view, made from summaries and drawn as text."""

import json
from typing import Any

import attrs
import pytest
from rich.console import Console

from flux.control import Control, Spike
from flux.schemas import ErrorCode, Flag
from flux.screen.drawing import WIDTH, draw, sparkline
from flux.screen.frames import MOST_STEPS, Frame, FrameMaker
from flux.screen.standing import standing_of, state_of
from flux.screen.telling import tell
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
    *intervals, _ = collect_all([as_rows(rows)], end_ns=2 * SECOND_NS)
    maker = FrameMaker(run or run_for())
    for interval in intervals:
        maker.add(interval)
    return maker.frame()


def drawn(
    frame: Frame, rates_per_s: list[float] | None = None, width: int = 100, height: int = 40
) -> str:
    console = Console(width=width, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(draw(frame, rates_per_s or [], width, height))
    return capture.get()


def threshold_told(
    expect: str, *, holds: bool | None, reason: str = "", scope: str = ""
) -> dict[str, Any]:
    known = {"metric": "response", "observed_text": "9.9 ms", "aborts": False}
    failed_ns = SECOND_NS if holds is False else None
    asked = {"expect": expect, "scope": scope, "holds": holds, "reason": reason}
    return {**known, **asked, "first_failed_ns": failed_ns}


def target_told(name: str, *, healthy: bool | None) -> dict[str, Any]:
    problem = "refused" if healthy is False else ""
    return {"name": name, "healthy": healthy, "problem": problem, "share": float(bool(healthy))}


LONG = "a name that is far too long for any terminal that people have " * 4


def full_frame() -> Frame:
    """A frame with something of everything, and with long names."""
    frame = frame_of()
    step = {**frame["steps"][0], "name": LONG}
    expects = [f"p(9{number}) < 1s" for number in range(5)]
    mark = {"time_ns": SECOND_NS, "text": LONG}
    breaker = {"state": "open", "trips": 1, "most_trips": 3, "reason": LONG, "factor": 0.0}
    return {
        **frame,
        "name": LONG,
        "steps": [step] * MOST_STEPS,
        "hidden_steps": 5,
        "phases": [LONG],
        "breaker": {**breaker, "decides_in_ns": 4 * SECOND_NS},
        "targets": [target_told(LONG, healthy=number > 2) for number in range(9)],
        "thresholds": [
            *(threshold_told(expect, holds=True, scope=LONG) for expect in expects),
            threshold_told("max < 1ms", holds=False),
            threshold_told("count > 5", holds=None, reason=LONG),
        ],
        "marks": [mark] * 3,
    }


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


@pytest.mark.parametrize("width", [20, 60, 80, 100, 200])
@pytest.mark.parametrize("height", [1, 5, 12, 23, 60])
def test_a_picture_fits_its_terminal(width: int, height: int) -> None:
    for frame in (frame_of(), full_frame()):
        lines = drawn(frame, [1.0] * 100, width, height).splitlines()
        assert max(map(len, lines)) <= min(width, WIDTH)
        assert len(lines) <= height


def test_bad_news_stay_longest_and_what_is_left_out_is_counted() -> None:
    shown = drawn(full_frame(), height=16)
    assert "✗ 9.9 ms  response max < 1ms" in shown
    assert "OPEN, no load, tries again in 4s (trip 1 of 3)" in shown
    assert "total" in shown
    assert "✓ 9.9 ms" not in shown
    assert "  and 2 more\n" in drawn(full_frame(), height=18)


def test_a_name_that_is_too_long_is_cut_and_not_the_numbers_beside_it() -> None:
    (line,) = [
        line for line in drawn(full_frame(), height=60).splitlines() if "service p99" in line
    ]
    (step, *_) = [line for line in drawn(full_frame()).splitlines() if "100        0" in line]
    assert step.startswith("a name that is far")
    assert "…" in step
    assert len(step) == len(line) == 100


def test_a_narrow_terminal_has_fewer_columns() -> None:
    heads = [
        next(line for line in drawn(frame_of(), width=width).splitlines() if "so far" in line)
        for width in (100, 60, 40)
    ]
    assert [head.split()[2:] for head in heads] == [
        ["requests", "failed", "p50", "p95", "p99", "max", "service", "p99"],
        ["requests", "failed", "p95", "p99"],
        ["requests", "failed", "p99"],
    ]


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


def told(run: Run, *phases: str, **standing: Any) -> list[tuple[str, str]]:
    return [(one.name, one.text) for one in tell({**standing_of(run), **standing}, phases)]


def test_what_somebody_changed_is_told() -> None:
    control = Control(scale=1.5, spike=Spike(-SECOND_NS, 3, 3 * SECOND_NS))
    run = run_for(control)
    assert told(run) == [("level", "rate ×1.5, SPIKE ×3 of ×3, ends in 2s")]
    control.pause()
    assert told(run)[0] == ("level", "PAUSED: no load until `flux live resume`")
    assert state_of(run) == "paused"
    control.stop()
    assert state_of(run) == "stopping"
    control.abort()
    assert state_of(run) == "giving up"


def test_the_plan_says_its_phase_and_when_the_next_spike_comes() -> None:
    stages = {"spikes": {"next_spike_ns": 12 * SECOND_NS, "spike_factor": 2.5}}
    run = attrs.evolve(run_for(), status=lambda: stages)
    assert told(run, "peak") == [
        ("level", "SPIKE ×2.5"),
        ("plan", "phase peak, next spike in 12s"),
    ]


@pytest.mark.parametrize(
    ("state", "trips", "text"),
    [
        ("closed", 0, "closed"),
        ("closed", 2, "closed again, after trip 2 of 3"),
        ("open", 1, "OPEN, no load, tries again in 4s (trip 1 of 3): too slow"),
        ("half_open", 1, "HALF OPEN, 20 % of the load, decides in 4s (trip 1 of 3): too slow"),
        ("stopped", 4, "STOPPED the run: too slow"),
    ],
)
def test_a_breaker_says_what_it_does_and_for_how_long(state: str, trips: int, text: str) -> None:
    decides_ns = 4 * SECOND_NS if state in ("open", "half_open") else None
    known = {"state": state, "trips": trips, "most_trips": 3, "reason": "too slow", "factor": 0.2}
    stages = {"guards-2": {"breaker": {**known, "decides_ns": decides_ns}}}
    run = attrs.evolve(run_for(), status=lambda: stages)
    assert told(run) == [("breaker", text)]


def test_a_budget_says_what_is_limited() -> None:
    stages = {
        "guards": {
            "budget": {
                "requests": {"spent": 1200, "of": 100_000},
                "bytes": {"spent": 5, "of": None},
                "errors": {"spent": 3, "of": 10},
            }
        }
    }
    run = attrs.evolve(run_for(), status=lambda: stages)
    assert told(run) == [("budget", "spent 1,200 of 100,000 requests, 3 of 10 errors")]


def test_each_target_that_is_not_healthy_has_a_line() -> None:
    targets = [target_told(name, healthy=name != "b") for name in "abc"]
    assert told(run_for(), targets=targets) == [
        ("targets", "✗ b is not healthy: refused; it has 0 % of sessions"),
        ("targets", "✓ 2 of 3 healthy: a, c"),
    ]
    unknown = [target_told(name, healthy=None) for name in "abc"]
    assert told(run_for(), targets=unknown) == []


def test_what_a_plug_in_calls_its_targets_is_left_alone() -> None:
    stages = {"mine": {"targets": ["a", {"b": 1}], "breaker": "fine", "budget": 3}}
    run = attrs.evolve(run_for(), status=lambda: stages)
    assert told(run) == []


def test_a_threshold_is_told_with_its_value_and_why_it_is_not_judged_yet() -> None:
    mended = {**threshold_told("max < 1s", holds=True), "first_failed_ns": 5 * SECOND_NS}
    found = told(
        run_for(),
        thresholds=[
            threshold_told("p(95) < 1ms", holds=False, scope="step login"),
            mended,
            threshold_told("count > 5", holds=None, reason="the end decides"),
        ],
    )
    assert found == [
        ("thresholds", "✗ 9.9 ms  response p(95) < 1ms [step login]"),
        ("thresholds", "✓ 9.9 ms  response max < 1s (failed at 5s)"),
        ("thresholds", "· 9.9 ms  response count > 5 (the end decides)"),
    ]
