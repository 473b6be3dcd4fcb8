"""What is spent, and what a budget says to it."""

from typing import Any

import pytest

from flux.guards.budget import Budget, Spending
from flux.units import Size


@pytest.mark.parametrize(
    ("budget", "spending", "under_way", "text"),
    [
        ({"requests": 10}, {"requests": 9}, 0, None),
        ({"requests": 10}, {"requests": 10}, 0, "10 requests are spent (10 ended, 0 under way)"),
        ({"requests": 10}, {"requests": 7}, 3, "10 requests are spent (7 ended, 3 under way)"),
        ({"requests": 10}, {"requests": 7}, 2, None),
        ({"bytes_": Size.parse("1KiB")}, {"bytes_": 1023}, 9, None),
        ({"bytes_": Size.parse("1KiB")}, {"bytes_": 1024}, 9, "1KiB are spent"),
        ({"errors": 3}, {"requests": 99, "errors": 2}, 9, None),
        ({"errors": 3}, {"requests": 99, "errors": 4}, 9, "3 errors are spent"),
        ({"requests": 10, "errors": 3}, {"requests": 5, "errors": 5}, 0, "3 errors are spent"),
    ],
)
def test_a_budget_is_spent_when_its_limit_is_reached(
    budget: dict[str, Any], spending: dict[str, int], under_way: int, text: str | None
) -> None:
    assert Budget(**budget).spent(Spending(**spending), under_way) == text


def test_spending_adds_up() -> None:
    one, other = Spending(requests=1, bytes_=2, errors=3), Spending(requests=10, bytes_=20)
    assert one + other == Spending(requests=11, bytes_=22, errors=3)
