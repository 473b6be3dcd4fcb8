"""Which target a session goes to: by weight and health, and by nothing else."""

from collections import Counter

import pytest

from flux.clients.target_choice import OnUnhealthy, TargetChoice

WEIGHTS = (1.0, 3.0, 6.0)
SEQS = range(6000)


def choice_of(
    *unhealthy: int, shards: int = 1, seed: int = 7, on_unhealthy: OnUnhealthy = "others"
) -> TargetChoice:
    choice = TargetChoice(WEIGHTS, seed=seed, shards=shards, on_unhealthy=on_unhealthy)
    for target in unhealthy:
        choice.set_healthy(target, False)
    return choice


def picks(choice: TargetChoice) -> list[int]:
    return [choice.pick(seq) for seq in SEQS]


def shares(picked: list[int]) -> list[float]:
    counts = Counter(picked)
    return [counts[target] / len(picked) for target in range(len(WEIGHTS))]


# Four standard deviations of the share among that many sessions, at the most.
TOLERANCE = 4 * 0.5 / len(SEQS) ** 0.5


def test_targets_have_sessions_by_their_weights() -> None:
    assert shares(picks(choice_of())) == pytest.approx([0.1, 0.3, 0.6], abs=TOLERANCE)
    assert choice_of().shares == pytest.approx((0.1, 0.3, 0.6))


@pytest.mark.parametrize("unhealthy", [(), (1,)])
def test_the_pick_depends_on_neither_shards_nor_order(unhealthy: tuple[int, ...]) -> None:
    whole = picks(choice_of(*unhealthy))
    third = choice_of(*unhealthy, shards=3)
    assert [third.pick(seq) for seq in reversed(SEQS[1::3])] == whole[1::3][::-1]
    assert picks(choice_of(*unhealthy, seed=8)) != whole


def test_the_share_of_an_unhealthy_target_goes_to_the_others_by_their_weights() -> None:
    choice = choice_of(1)
    assert shares(picks(choice)) == pytest.approx([1 / 7, 0, 6 / 7], abs=TOLERANCE)
    assert choice.shares == pytest.approx((1 / 7, 0, 6 / 7))


def test_sessions_of_healthy_targets_stay_where_they_are() -> None:
    before, after = picks(choice_of()), picks(choice_of(1))
    assert [new for old, new in zip(before, after) if old != 1] == [
        old for old in before if old != 1
    ]


def test_a_target_that_is_healthy_again_has_its_sessions_back() -> None:
    choice = choice_of(1)
    choice.set_healthy(1, True)
    assert picks(choice) == picks(choice_of())
    assert choice.shares == pytest.approx(choice_of().shares)


def test_withheld_sessions_are_those_that_the_target_would_have_had() -> None:
    choice = choice_of(1, on_unhealthy="withhold")
    assert picks(choice) == [~1 if target == 1 else target for target in picks(choice_of())]
    assert choice.shares == pytest.approx((0.1, 0, 0.6))


def test_with_nobody_healthy_every_session_is_withheld() -> None:
    choice = choice_of(0, 1, 2)
    assert picks(choice) == [~target for target in picks(choice_of())]
    assert choice.shares == (0, 0, 0)
