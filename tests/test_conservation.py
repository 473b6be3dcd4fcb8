"""The law that no arrival gets lost."""

import pytest

from flux.conservation import Ledger

WHOLE = Ledger(planned=10, started=7, dropped=2, cancelled=1, succeeded=4, failed=2, aborted=1)


def test_a_ledger_that_adds_up_breaks_no_law() -> None:
    assert WHOLE.check() == []
    assert Ledger().check() == []


def test_the_equations_read_as_people_say_them() -> None:
    assert WHOLE.arrivals_equation() == "planned 10 = started 7 + dropped 2 + cancelled 1"
    assert WHOLE.sessions_equation() == "started 7 = 4 ok + 2 failed + 1 aborted"


@pytest.mark.parametrize(
    ("ledger", "broken"),
    [
        (
            Ledger(planned=5, started=4, succeeded=4),
            ["planned 5 ≠ started 4 + dropped 0 + cancelled 0 (1 missing)"],
        ),
        (
            Ledger(planned=5, started=4, dropped=3, succeeded=4),
            ["planned 5 ≠ started 4 + dropped 3 + cancelled 0 (2 too many)"],
        ),
        (
            Ledger(planned=4, started=4, succeeded=1, failed=1),
            ["started 4 ≠ 1 ok + 1 failed + 0 aborted (2 missing)"],
        ),
        (
            Ledger(planned=1, aborted=1),
            [
                "planned 1 ≠ started 0 + dropped 0 + cancelled 0 (1 missing)",
                "started 0 ≠ 0 ok + 0 failed + 1 aborted (1 too many)",
            ],
        ),
    ],
)
def test_each_broken_law_is_told_with_its_numbers(ledger: Ledger, broken: list[str]) -> None:
    assert ledger.check() == broken


def test_further_iterations_of_a_user_who_arrived_are_not_planned() -> None:
    users = Ledger(planned=10, started=21, repeated=14, dropped=2, cancelled=1, succeeded=21)
    assert users.check() == []
    assert users.arrived == 7
    assert users.accounted == 10
    expected = "planned 10 = started 21 - repeated 14 + dropped 2 + cancelled 1"
    assert users.arrivals_equation() == expected


def test_the_closed_model_plans_nothing_ahead() -> None:
    users = Ledger(started=3, succeeded=3)
    assert users.check() == []
    assert users.arrivals_equation() == ""


def test_withheld_arrivals_are_part_of_the_law() -> None:
    ledger = Ledger(planned=6, started=3, withheld=2, lost=1, succeeded=3)
    assert ledger.check() == []
    assert ledger.arrivals_equation() == (
        "planned 6 = started 3 + dropped 0 + withheld 2 + cancelled 0 + lost 1"
    )
    assert (ledger + ledger).withheld == 4


def test_ledgers_of_shards_add_up() -> None:
    both = WHOLE + WHOLE
    assert both.planned == 20
    assert both.check() == []
    assert (WHOLE + Ledger(started=1, succeeded=1)).planned is None
