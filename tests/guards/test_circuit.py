"""The breaker's state machine, by tables: a row is a moment, what ended, and what comes of it."""

from typing import Any

import pytest

from flux.guards.breaker import Breaker
from flux.guards.circuit import Circuit, State, Transition
from flux.guards.window import SLOT_NS, Counts, Window
from flux.units import Duration

CLOSED, OPEN, HALF_OPEN, STOPPED = State.CLOSED, State.OPEN, State.HALF_OPEN, State.STOPPED


def breaker_of(**keys: Any) -> Breaker:
    """A breaker on a fifth of failures, with times as text and round numbers."""
    known: dict[str, Any] = {
        "window": "10s",
        "sustained": "2s",
        "cool_down": "30s",
        "probe_for": "10s",
        "error_share": 0.2,
        **keys,
    }
    for key in ("window", "sustained", "cool_down", "probe_for", "silence", "p95"):
        if isinstance(known.get(key), str):
            known[key] = Duration.parse(known[key])
    return Breaker(**known)


def observe(
    circuit: Circuit, at_s: float, requests: int, failures: int = 0, slow: int = 0
) -> Transition | None:
    counts = Counts(requests, failures, slow)
    return circuit.observe(round(at_s * 1e9), counts, is_waiting=True)


def states(
    breaker: Breaker, rows: list[tuple[float, int, int]]
) -> list[tuple[float, State, float]]:
    """When it went into which state, and the factor there."""
    circuit = Circuit(breaker)
    found = []
    for at_s, requests, failures in rows:
        transition = observe(circuit, at_s, requests, failures)
        if transition is not None:
            assert transition.state is circuit.state
            found.append((at_s, circuit.state, circuit.factor))
    return found


GOOD, BAD = (50, 0), (50, 50)


def seconds(*parts: tuple[int, int, tuple[int, int]]) -> list[tuple[float, int, int]]:
    """(from, to, (requests, failures)) as a row for each second."""
    return [(float(at_s), *each) for start, end, each in parts for at_s in range(start, end)]


def test_a_target_that_is_well_trips_nothing() -> None:
    assert states(breaker_of(), seconds((0, 100, GOOD))) == []


def test_it_trips_once_it_has_been_too_much_for_as_long_as_sustained() -> None:
    # From 20 s on: at 22 s, 3 of 10 seconds are bad, 30 %; since then without a break.
    rows = seconds((0, 20, GOOD), (20, 30, BAD))
    assert states(breaker_of(), rows) == [(24.0, OPEN, 0.0)]


def test_what_does_not_last_does_not_trip() -> None:
    # Three bad seconds in ten are too much until the first has left the window.
    rows = seconds((0, 10, GOOD), (10, 13, BAD), (13, 40, GOOD))
    assert states(breaker_of(sustained="9s"), rows) == []
    assert states(breaker_of(sustained="7s"), rows) == [(19.0, OPEN, 0.0)]


def test_exactly_the_share_is_not_too_much() -> None:
    assert states(breaker_of(), seconds((0, 100, (50, 10)))) == []
    assert states(breaker_of(sustained="0s"), seconds((0, 3, (50, 11)))) == [(0.0, OPEN, 0.0)]


def test_few_requests_say_nothing() -> None:
    rows = seconds((0, 60, (1, 1)))  # ten in the window
    assert states(breaker_of(min_requests=11), rows) == []
    assert states(breaker_of(min_requests=10), rows)[0] == (11.0, OPEN, 0.0)


def test_it_tries_after_the_pause_and_closes_when_that_is_good() -> None:
    rows = seconds((0, 3, BAD), (3, 32, (0, 0)), (32, 50, (3, 0)))
    assert states(breaker_of(probe=0.1), rows) == [
        (2.0, OPEN, 0.0),
        (32.0, HALF_OPEN, 0.1),
        (42.0, CLOSED, 1.0),
    ]


def test_it_trips_again_as_soon_as_the_probe_is_bad_enough() -> None:
    rows = seconds((0, 3, BAD), (3, 33, (0, 0)), (33, 50, (5, 2)))
    # 20 requests of the probe have ended at 36 s.
    assert states(breaker_of(), rows) == [
        (2.0, OPEN, 0.0),
        (32.0, HALF_OPEN, 0.05),
        (36.0, OPEN, 0.0),
    ]


def test_a_small_probe_is_judged_at_its_end_by_what_there_is() -> None:
    rows = seconds((0, 3, BAD), (3, 33, (0, 0)), (33, 34, (1, 1)), (34, 50, (0, 0)))
    assert states(breaker_of(), rows)[-1] == (42.0, OPEN, 0.0)


def test_a_probe_of_which_nothing_has_ended_goes_on() -> None:
    rows = seconds((0, 3, BAD), (3, 70, (0, 0)), (70, 71, (1, 0)))
    assert states(breaker_of(), rows)[1:] == [(32.0, HALF_OPEN, 0.05), (70.0, CLOSED, 1.0)]


def test_the_trip_after_the_last_pause_stops_the_run() -> None:
    rows = [(second / 2, 50, 50) for second in range(1000)]
    found = states(breaker_of(trips=2), rows)
    assert [state for _, state, _ in found] == [OPEN, HALF_OPEN, OPEN, HALF_OPEN, STOPPED]


def test_with_stop_the_first_trip_stops_the_run_and_nothing_follows() -> None:
    found = states(breaker_of(action="stop"), seconds((0, 100, BAD)))
    assert [(at_s, state) for at_s, state, _ in found] == [(2.0, STOPPED)]


def test_after_a_pause_the_past_does_not_count() -> None:
    """So that a breaker that tripped on latency can close again."""
    circuit = Circuit(breaker_of(error_share=None, p95="100ms", sustained="0s"))
    transition = observe(circuit, 1, 1000, slow=1000)
    assert transition is not None
    assert transition.state is OPEN
    assert observe(circuit, 2, 500, slow=500) is None  # what was in flight
    assert observe(circuit, 31, 0) is not None
    assert circuit.counted_from_ns == 31 * 10**9
    assert circuit.counts == Counts()
    assert observe(circuit, 35, 30, slow=1) is None
    transition = observe(circuit, 41, 1)
    assert transition is not None
    assert transition.state is CLOSED
    # The window is a new one: what it has now is from after the probe.
    observe(circuit, 42, 7)
    assert circuit.counts == Counts(7)


@pytest.mark.parametrize(
    ("requests", "slow", "trips"),
    [(20, 1, False), (20, 2, True), (100, 5, False), (100, 6, True), (25, 1, False), (21, 2, True)],
)
def test_p95_is_over_when_more_than_a_twentieth_was_slow(
    requests: int, slow: int, trips: bool
) -> None:
    circuit = Circuit(breaker_of(error_share=None, p95="100ms", sustained="0s"))
    assert (observe(circuit, 1, requests, slow=slow) is not None) == trips


def test_silence_trips_while_sessions_are_under_way() -> None:
    circuit = Circuit(breaker_of(error_share=None, silence="2s"))
    assert circuit.observe(10**9, Counts(1), is_waiting=True) is None
    assert circuit.observe(60 * 10**9, Counts(), is_waiting=False) is None
    assert circuit.observe(61 * 10**9, Counts(), is_waiting=True) is None
    transition = circuit.observe(62 * 10**9, Counts(), is_waiting=True)
    assert transition == Transition(OPEN, "no request has ended for 2s", 1)


def test_silence_of_the_probe_counts_from_its_beginning() -> None:
    circuit = Circuit(breaker_of(silence="2s", sustained="0s"))
    observe(circuit, 1, 50, 50)
    assert observe(circuit, 31, 0) is not None
    assert observe(circuit, 32.9, 0) is None
    transition = observe(circuit, 33, 0)
    assert transition == Transition(OPEN, "no request of the probe has ended for 2s", 2)


@pytest.mark.parametrize(
    ("keys", "counts", "reason"),
    [
        ({}, Counts(400, 100), "25 % of 400 requests in the last 10s failed, more than 20 %"),
        (
            {"p95": "250ms", "latency": "service"},
            Counts(1000, 0, 77),
            "service p95 is over 250ms: 7.7 % of 1,000 requests in the last 10s took longer",
        ),
    ],
)
def test_the_reason_has_the_value_and_the_limit(
    keys: dict[str, Any], counts: Counts, reason: str
) -> None:
    circuit = Circuit(breaker_of(sustained="0s", **keys))
    transition = circuit.observe(0, counts, is_waiting=True)
    assert transition is not None
    assert transition.reason == circuit.reason == reason


def test_a_window_forgets_slot_by_slot() -> None:
    window = Window(3 * SLOT_NS)
    for slot in range(6):
        window.add(slot * SLOT_NS, Counts(1 << slot))
    assert window.counts == Counts(0b111000)
    window.add(6 * SLOT_NS, Counts())
    assert window.counts == Counts(0b110000)
    window.add(100 * SLOT_NS, Counts())
    assert window.counts == Counts()


def test_a_window_shorter_than_a_slot_is_one_slot() -> None:
    window = Window(1)
    window.add(0, Counts(1))
    window.add(SLOT_NS - 1, Counts(2))
    assert window.counts == Counts(3)
    window.add(SLOT_NS, Counts(4))
    assert window.counts == Counts(4)
