"""The longest time in which users asked for nothing, and when it means something."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.standstill import MAX_SLOTS, SLOT_NS, Pulse, Standstill, describe

MS = 10**6
SECOND = 10**9

Times = npt.NDArray[np.int64]


def even(rate: int, start_s: float, end_s: float) -> Times:
    """Beginnings at an even rate."""
    return (np.arange(round(start_s * rate), round(end_s * rate)) * (SECOND // rate)).astype(
        np.int64
    )


def pulse_of(begins_ns: Times, ends_ns: Times) -> Pulse:
    pulse = Pulse()
    pulse.add(begins_ns, ends_ns)
    return pulse


def stalled(rate: int = 100, waiting: int = 4) -> tuple[Times, Times]:
    """Answers in 5 ms, but from 20 s to 30 s to nobody; the last ones before are waiting."""
    begins_ns = np.concatenate([even(rate, 0, 20), even(rate, 30, 40)])
    ends_ns = begins_ns + 5 * MS
    last = 20 * rate
    ends_ns[last - waiting : last] = 30 * SECOND
    return begins_ns, ends_ns


def test_a_stall_is_found_to_the_nanosecond_with_what_it_kept_back() -> None:
    found = pulse_of(*stalled()).standstill()
    assert found == Standstill(19_990 * MS, 30 * SECOND, 4, 100.0)
    assert found.unsent == 1001


def test_a_pause_in_which_nobody_waited_is_none() -> None:
    assert pulse_of(*stalled(waiting=0)).standstill() is None


def test_a_pause_that_chance_would_make_is_none() -> None:
    gaps_s = np.random.default_rng(7).exponential(0.1, 3000)
    begins_ns = (np.cumsum(gaps_s) * 1e9).astype(np.int64)
    # Everybody waits for very long, so that chance alone speaks for a pause.
    assert pulse_of(begins_ns, begins_ns + 30 * SECOND).standstill() is None


@pytest.mark.parametrize(("pause_s", "is_found"), [(1.0, False), (1.3, False), (1.5, True)])
def test_a_pause_counts_from_where_chance_is_below_one_in_a_thousand(
    pause_s: float, is_found: bool
) -> None:
    # 200 requests at 10/s: ln(1000 · 200) = 12.2 requests make 1.22 s, and 0.1 s is one gap.
    first = even(10, 0, 10)
    begins_ns = np.concatenate([first, first + int((10 + pause_s - 0.2) * SECOND)])
    assert (pulse_of(begins_ns, begins_ns + 3 * SECOND).standstill() is not None) == is_found


def test_a_run_too_short_for_a_rate_has_none() -> None:
    begins_ns = np.concatenate([even(100, 0, 3), even(100, 6, 8)])
    assert pulse_of(begins_ns, begins_ns + 4 * SECOND).standstill() is None
    assert Pulse().standstill() is None
    assert pulse_of(np.array([5]), np.array([7])).standstill() is None


def test_seconds_of_the_stall_do_not_lower_the_rate() -> None:
    # It stands still for most of the run.
    begins_ns = np.concatenate([even(100, 0, 10), even(100, 90, 100)])
    found = pulse_of(begins_ns, begins_ns + 85 * SECOND).standstill()
    assert found is not None
    assert found.rate_per_s == 100


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_batches_in_any_order_and_shards_come_to_the_same(seed: int, parts: int) -> None:
    begins_ns, ends_ns = stalled()
    order = np.random.default_rng(seed).permutation(len(begins_ns))
    chunks = np.array_split(order, parts)
    pulses = [pulse_of(begins_ns[chunk], ends_ns[chunk]) for chunk in chunks]
    merged = pulses[0].merge(pulses[1:])
    assert merged.standstill() == pulse_of(begins_ns, ends_ns).standstill()


def test_a_long_run_has_longer_slots_and_the_same_stall() -> None:
    length_s = 3 * MAX_SLOTS * SLOT_NS // SECOND
    begins_ns = np.concatenate([even(1, 0, length_s // 2), even(1, length_s // 2 + 600, length_s)])
    ends_ns = begins_ns + 700 * SECOND
    found = pulse_of(begins_ns, ends_ns).standstill()
    assert found is not None
    assert found.seconds == 601
    assert found.rate_per_s == 1
    short = pulse_of(begins_ns[:100], ends_ns[:100])
    long = pulse_of(begins_ns[100:], ends_ns[100:])
    assert short.merge([long]).standstill() == long.merge([short]).standstill() == found


def test_the_line_says_who_waits_and_for_how_long() -> None:
    found = Standstill(20 * SECOND, 30 * SECOND, 1200, 12.34)
    text = describe(found, do_arrive=False)
    assert text.startswith("users wait for the answer before they ask again: ")
    assert text.endswith(
        "No request began from 20.00 s to 30.00 s, while 1,200 were under way; "
        "at the median rate of 12.3/s about 123 would have"
    )
    arriving = describe(None, do_arrive=True)
    assert arriving.startswith("users arrive when they are due, but each waits for the answer")
    assert arriving.endswith("not once per request that would have come")
