"""Thresholds on a phase, and on everything but warm-up."""

import pytest

from flux.collection import Collection
from flux.phases import Phase
from flux.summary import Summary
from flux.thresholds import judge
from flux.thresholds.resolve import resolve_thresholds
from tests.outcomes import SECOND_NS, STEPS, as_rows, request
from tests.thresholds.making import TAGGED, threshold

PHASES = (
    Phase("warm", 0, SECOND_NS, is_warmup=True),
    Phase("base", SECOND_NS, 2 * SECOND_NS),
    Phase("peak", 2 * SECOND_NS, None),
)
NAMES = [phase.name for phase in PHASES]


def final() -> Summary:
    """Requests of 900 ms in warm-up, 5 ms in base and 50 ms in peak: 10, 20 and 40 of them."""
    rows = []
    for start_s, count, taken_ms in ((0, 10, 900), (1, 20, 5), (2, 40, 50)):
        for number in range(count):
            due_ns = start_s * SECOND_NS + 1 + number * 1_000_000
            rows.append(request(due_ns, due_ns + taken_ms * 1_000_000))
    collection = Collection(STEPS, SECOND_NS, phases=PHASES)
    collection.add(as_rows(rows))
    return list(collection.finish(3 * SECOND_NS, len(rows)))[-1]


@pytest.mark.parametrize(
    ("expect", "keys", "observed"),
    [
        ("max < 1s", {"phase": "warm"}, 900e6),
        ("max < 1s", {"phase": "base"}, 5e6),
        ("max < 1s", {"phase": "peak"}, 50e6),
        ("max < 1s", {}, 50e6),
        ("count > 1", {"metric": "requests", "phase": "base"}, 20),
        ("count > 1", {"metric": "requests"}, 60),
        ("rate > 1/s", {"metric": "requests", "phase": "peak"}, 40),
        ("rate > 1/s", {"metric": "requests"}, 30),
        ("count > 1", {"metric": "sessions", "phase": "warm"}, 10),
        ("count > 1", {"metric": "sessions"}, 60),
    ],
)
def test_a_threshold_looks_at_its_phase_or_at_all_but_warm_up(
    expect: str, keys: dict[str, str], observed: float
) -> None:
    (verdict,) = judge([threshold(expect, NAMES, **keys)], final())
    assert verdict.observed == pytest.approx(observed)
    assert verdict.judgement == "passed"


def test_a_phase_that_was_never_reached_fails_its_threshold() -> None:
    late = threshold("max < 1s", ["late"], phase="late")
    (verdict,) = judge([late], final())
    assert (verdict.judgement, verdict.reason) == ("failed", "there were no requests")


def test_a_phase_that_is_not_there_is_refused() -> None:
    table = {"expect": "max < 1s", "phase": "peek"}
    _, _, (problem,) = resolve_thresholds([table], TAGGED, NAMES)
    assert problem.path == ("threshold", 0, "phase")
    assert problem.rule == "names no phase"
    assert problem.hint is not None
    assert "peak" in problem.hint
