"""What a stage sends and tells is looked at where flux takes it."""

import re
from typing import Any

import numpy as np
import pytest

from flux.errors import WrongOutput
from flux.output_checks import BatchCheck, checked_cuts, checked_factors, checked_gaps
from flux.schemas import ARRIVAL, DEMAND, OUTCOME, ROSTER, SUMMARY, USERS, Rows, Schema
from flux.testing import make_requests

TIMES = np.arange(3) * 10**9


def says(text: str) -> Any:
    return pytest.raises(WrongOutput, match=re.escape(text))


def demand(*rows: tuple[int, int, float, float]) -> Rows:
    return DEMAND.rows(rows)


def test_a_batch_that_was_sent_can_not_be_written_to() -> None:
    rows = OUTCOME.empty(2)
    BatchCheck(OUTCOME).check(rows)
    with pytest.raises(ValueError, match="read-only"):
        rows["status"] = 1


@pytest.mark.parametrize(
    ("batch", "what"),
    [
        ([1, 2], "a list"),
        (None, "nothing"),
        (np.zeros(3), "an array (3,) of float64"),
        (OUTCOME.empty(4).reshape(2, 2), "an array (2, 2) of other columns"),
        (DEMAND.empty(2), "an array (2,) of other columns"),
        (OUTCOME.empty(2)[0], "a void"),
    ],
)
def test_a_batch_is_an_array_with_the_columns_of_its_schema(batch: Any, what: str) -> None:
    with says(f"it sent {what} instead of an array of OUTCOME rows"):
        BatchCheck(OUTCOME).check(batch)


def test_a_collector_sends_summaries() -> None:
    with says("it sent an array (1,) of other columns instead of a Summary"):
        BatchCheck(SUMMARY).check(OUTCOME.empty(1))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("schema", [DEMAND, USERS])
def test_a_level_is_a_finite_number_from_0_on(schema: Schema, wrong: float) -> None:
    with says(f"it made the level {wrong:g} at 2 s"):
        BatchCheck(schema).check(demand((0, 10**9, 1, 1), (10**9, 2 * 10**9, 1, wrong)))


@pytest.mark.parametrize(
    "batches",
    [
        [demand((0, 5, 1, 1), (6, 9, 1, 1))],
        [demand((0, 5, 1, 1), (4, 9, 1, 1))],
        [demand((5, 9, 1, 1), (0, 5, 1, 1))],
        [demand((0, 0, 1, 1))],
        [demand((0, 5, 1, 1)), demand((4, 9, 1, 1))],
        [demand((0, 5, 1, 1)), demand((6, 9, 1, 1))],
    ],
)
def test_rows_of_demand_follow_each_other(batches: list[Rows]) -> None:
    check = BatchCheck(DEMAND)
    for batch in batches[:-1]:
        check.check(batch)
    with says("rows of DEMAND that do not follow each other"):
        check.check(batches[-1])


def test_what_follows_an_empty_batch_follows_what_was_before_it() -> None:
    check = BatchCheck(DEMAND)
    for batch in (demand((3, 5, 1, 1)), DEMAND.empty(0), demand((5, 9, 1, 1))):
        check.check(batch)


@pytest.mark.parametrize("schema", [ARRIVAL, ROSTER])
def test_what_is_due_comes_in_order(schema: Schema) -> None:
    first, second = schema.empty(2), schema.empty(2)
    first["due_ns"], second["due_ns"] = [3, 3], [3, 2]
    check = BatchCheck(schema)
    check.check(first)
    with says(f"rows of {schema.name} that are not in order of due_ns"):
        check.check(second)
    late = schema.empty(1)
    late["due_ns"] = 2
    with says("not in order of due_ns"):
        check.check(late)


@pytest.mark.parametrize(
    ("column", "wrong", "hint"),
    [
        ("step", 2, "step is -1 to 1"),
        ("step", -2, "step is -1 to 1"),
        ("target", 1, "target is -1 to 0"),
        ("error", 500, "error is 0 to 27"),
    ],
)
def test_a_row_names_a_step_a_target_and_an_error_that_there_are(
    column: str, wrong: int, hint: str
) -> None:
    check = BatchCheck(OUTCOME, steps=2, targets=1)
    check.check(make_requests(2, step=[1, -1], target=[0, -1]))
    columns: dict[str, Any] = {column: [0, wrong]}
    with pytest.raises(WrongOutput, match=f"{column} = {wrong}\n.*{hint}"):
        check.check(make_requests(2, **columns))


def test_a_request_does_not_end_before_it_starts() -> None:
    with says("end_ns is before its start_ns"):
        BatchCheck(OUTCOME).check(make_requests(2, end_ns=[10**9, 0], start_ns=5))


@pytest.mark.parametrize("given", [0.5, np.full(3, 0.5), [0, 1, 2], np.array([True, False, True])])
def test_factors_are_a_number_for_each_time_or_one_for_all(given: Any) -> None:
    factors = checked_factors(given, TIMES)
    assert factors.dtype == np.float64
    assert factors.tolist() == np.broadcast_to(np.asarray(given, float), 3).tolist()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (np.ones(2), "an array (2,) of float64"),
        (np.ones((3, 1)), "an array (3, 1) of float64"),
        (np.ones(3, complex), "an array (3,) of complex128"),
        (["a", "b", "c"], "a list"),
        ([[1], [2, 3], 4], "a list"),
        (None, "nothing"),
    ],
)
def test_factors_of_another_shape_are_refused(given: Any, what: str) -> None:
    with says(f"factor_at gave {what} for 3 times"):
        checked_factors(given, TIMES)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.5])
def test_a_factor_is_a_finite_number_from_0_on(wrong: float) -> None:
    with says(f"factor_at gave {wrong:g} at 2 s"):
        checked_factors(np.array([1, 1, wrong]), TIMES)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (np.ones(2), "an array (2,) of float64"),
        (np.ones((3, 1)), "an array (3, 1) of float64"),
        (None, "nothing"),
    ],
)
def test_gaps_are_as_many_as_were_asked_for(given: Any, what: str) -> None:
    with says(f"it drew {what} where 3 gaps were asked for"):
        checked_gaps(given, 3)


@pytest.mark.parametrize("wrong", [np.nan, -1.0])
def test_a_gap_is_a_number_from_0_on(wrong: float) -> None:
    with says(f"it drew a gap of {wrong:g}"):
        checked_gaps(np.array([1, wrong]))


def test_a_gap_may_be_infinite() -> None:
    assert checked_gaps([1, np.inf]).tolist() == [1, np.inf]


@pytest.mark.parametrize("given", [np.array([1.5e9]), 5, None, np.ones((2, 2), np.int64)])
def test_cuts_are_whole_nanoseconds(given: Any) -> None:
    with says("cuts gave"):
        checked_cuts(given)


def test_no_cuts_may_be_an_empty_list() -> None:
    assert checked_cuts([]).dtype == np.int64
