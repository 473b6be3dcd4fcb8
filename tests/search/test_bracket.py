"""The search for a rate, against targets with a known capacity."""

import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.search.bracket import Answer, Limit, Scope, Verdict, search

Target = Callable[[float], Verdict]


def up_to(capacity: float, beyond: Verdict = Verdict.FAILED) -> Target:
    return lambda rate: Verdict.PASSED if rate <= capacity else beyond


def run(scope: Scope, target: Target) -> tuple[Answer, list[float]]:
    """What is found, and every rate that was tried."""
    going = search(scope)
    tried = [next(going)]
    while True:
        try:
            tried.append(going.send(target(tried[-1])))
        except StopIteration as ended:
            answer: Answer = ended.value
            return answer, tried


def scripted(verdicts: dict[float, Iterator[Verdict]], rest: Target) -> Target:
    return lambda rate: next(verdicts[rate], rest(rate)) if rate in verdicts else rest(rate)


@given(capacity=st.floats(10, 9_999), precision=st.floats(0.01, 0.3))
def test_the_answer_holds_and_is_as_close_as_was_asked(capacity: float, precision: float) -> None:
    answer, tried = run(Scope(10, 10_000, precision), up_to(capacity))
    assert answer.sustained is not None
    assert answer.breaking is not None
    assert answer.sustained <= capacity < answer.breaking
    assert answer.breaking - answer.sustained <= precision * answer.sustained
    assert tried.count(answer.sustained) >= 2
    assert answer.is_confirmed
    assert answer.limit is Limit.TARGET


@given(capacity=st.floats(1, 10_000))
def test_whole_numbers_are_tried_for_users(capacity: float) -> None:
    answer, tried = run(Scope(1, 10_000, 0.0001, is_whole=True), up_to(capacity))
    assert all(rate == int(rate) for rate in tried)
    assert answer.sustained == int(capacity)


@given(capacity=st.floats(0.01, 10_000), most_tries=st.integers(1, 12))
def test_it_never_tries_more_often_than_it_may(capacity: float, most_tries: int) -> None:
    scope = Scope(10, 10_000, most_tries=most_tries)
    answer, tried = run(scope, up_to(capacity))
    assert len(tried) <= most_tries
    assert answer.sustained is None or answer.sustained <= capacity


def test_rates_double_from_the_lowest_until_one_fails_twice() -> None:
    _, tried = run(Scope(10, 10_000), up_to(50))
    assert tried[:5] == [10, 20, 40, 80, 80]
    assert tried[5] == 60


def test_a_target_that_fails_at_once_has_no_sustained_rate() -> None:
    answer, tried = run(Scope(10, 10_000), up_to(1))
    assert tried == [10, 10]
    assert answer == Answer(None, 10, Limit.TARGET, is_confirmed=True)
    assert answer.base is answer.peak is None


def test_a_target_that_never_fails_is_confirmed_at_the_highest() -> None:
    answer, tried = run(Scope(10, 100), up_to(math.inf))
    assert tried == [10, 20, 40, 80, 100, 100]
    assert answer == Answer(100, None, Limit.HIGHEST, is_confirmed=True)
    assert answer.base == 80
    assert answer.peak == 100


def test_one_bad_moment_does_not_end_the_search() -> None:
    hiccup = {20.0: iter([Verdict.FAILED, Verdict.PASSED, Verdict.PASSED])}
    answer, tried = run(Scope(10, 40), scripted(hiccup, up_to(math.inf)))
    assert tried[:4] == [10, 20, 20, 20]
    assert answer.sustained == 40


def test_an_answer_that_does_not_hold_twice_is_given_up() -> None:
    tired = {40.0: iter([Verdict.PASSED, *[Verdict.FAILED] * 9])}
    answer, _ = run(Scope(10, 10_000), scripted(tired, up_to(40)))
    assert answer.sustained is not None
    assert 35 < answer.sustained < 40
    assert answer.breaking == 40


def test_a_generator_that_cannot_keep_up_is_named_as_the_limit() -> None:
    answer, tried = run(Scope(10, 10_000), up_to(70, Verdict.INVALID))
    assert max(tried) == 80
    assert answer.limit is Limit.GENERATOR
    assert answer.sustained is not None
    assert 65 < answer.sustained <= 70


@pytest.mark.parametrize(
    ("answer", "base", "peak"),
    [
        (Answer(100, 105, Limit.TARGET, is_confirmed=True), 80, 94.5),
        (Answer(100, 200, Limit.TARGET, is_confirmed=False), 80, 100),
    ],
)
def test_recommended_rates_are_clear_of_what_breaks(
    answer: Answer, base: float, peak: float
) -> None:
    assert answer.base == pytest.approx(base)
    assert answer.peak == pytest.approx(peak)
