"""Structuring is strict: exact types, exact paths, every problem at once."""

import pathlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import attrs
import pytest

from flux.config.problems import Problem, Violation
from flux.config.rules import NotEmpty, above, between
from flux.config.structure import structure
from flux.units import Duration, Rate, Size


@attrs.frozen(kw_only=True)
class Inner:
    status: int = 200
    from_: float = 0.0


@attrs.frozen(kw_only=True)
class Outer:
    rate: Annotated[Rate, above(0)]
    wait: Duration | None = None
    size: Size | None = None
    share: Annotated[float, between(0, 1)] = 0.5
    name: Annotated[str, NotEmpty()] = "x"
    flag: bool = False
    mode: Literal["queue", "drop"] = "queue"
    file: pathlib.Path | None = None
    inner: tuple[Inner, ...] = ()
    headers: dict[str, str] = attrs.field(factory=dict)

    def check(self) -> Iterator[Violation]:
        if self.flag and self.wait is None:
            yield Violation("needs wait", key="flag", hint='write wait = "1s"')


def problems_of(document: Any) -> list[tuple[str, str]]:
    made, problems = structure(Outer, document)
    assert (made is None) == bool(problems)
    return sorted((".".join(map(str, one.path)), one.rule) for one in problems)


def test_takes_values_of_the_right_types() -> None:
    made, problems = structure(
        Outer,
        {
            "rate": "20/s",
            "wait": "1m30s",
            "size": "64KiB",
            "share": 1,
            "inner": [{"status": 201, "from": 2}],
            "headers": {"x": "y"},
            "file": "body.json",
        },
        base=pathlib.Path("/base"),
    )
    assert not problems
    assert made == Outer(
        rate=Rate(20),
        wait=Duration.parse("90s"),
        size=Size(65536),
        share=1.0,
        inner=(Inner(status=201, from_=2.0),),
        headers={"x": "y"},
        file=pathlib.Path("/base/body.json"),
    )
    assert isinstance(made.share, float)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, [("rate", "is required")]),
        ({"rate": "20/s", "share": "0.5"}, [("share", "must be a number")]),
        ({"rate": "20/s", "share": True}, [("share", "must be a number")]),
        ({"rate": "20/s", "share": 2}, [("share", "must be at least 0 and at most 1")]),
        ({"rate": "20/s", "share": float("nan")}, [("share", "must be a finite number")]),
        ({"rate": "20/s", "flag": 1}, [("flag", "must be true or false")]),
        ({"rate": "20/s", "name": 5}, [("name", "must be text")]),
        ({"rate": "20/s", "name": ""}, [("name", "must not be empty")]),
        ({"rate": "20/s", "mode": "burst"}, [("mode", 'must be one of "queue", "drop"')]),
        ({"rate": "0/s"}, [("rate", "must be greater than 0")]),
        (
            {"rate": "20/s", "inner": [{"status": 2.0}]},
            [("inner.0.status", "must be a whole number")],
        ),
        ({"rate": "20/s", "inner": {"status": 2}}, [("inner", "must be an array")]),
        ({"rate": "20/s", "inner": [5]}, [("inner.0", "must be a table")]),
        ({"rate": "20/s", "inner": [{"from_": 1}]}, [("inner.0.from_", "is not a known key")]),
        ({"rate": "20/s", "headers": {"x": 1}}, [("headers.x", "must be text")]),
        ({"rate": "20/s", "flag": True}, [("flag", "needs wait")]),
        ([], [("", "must be a table")]),
    ],
)
def test_names_the_path_and_the_rule(document: Any, expected: list[tuple[str, str]]) -> None:
    assert problems_of(document) == expected


def test_reports_every_problem_at_once() -> None:
    document = {
        "rate": 20,
        "wait": "5",
        "hraders": {},
        "inner": [{"status": 200}, {"stauts": 1, "from": "x"}],
        "headers": {"a": 1, "b": "fine", "c": False},
    }
    assert [path for path, _ in problems_of(document)] == [
        "headers.a",
        "headers.c",
        "hraders",
        "inner.1.from",
        "inner.1.stauts",
        "rate",
        "wait",
    ]


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"rate": 20}, 'write "20/s"'),
        ({"rate": "20/s", "wait": 30}, 'write "30s"'),
        ({"rate": "20/s", "size": 64}, 'write "64KiB"'),
        ({"rate": "20/s", "mode": "drp"}, "did you mean 'drop'?"),
        ({"rate": "20/s", "shre": 1}, "did you mean 'share'?"),
    ],
)
def test_hints_at_the_way_out(document: Any, hint: str) -> None:
    _, problems = structure(Outer, document)
    assert [one.hint for one in problems] == [hint]


def test_an_unknown_key_is_marked_as_such() -> None:
    _, problems = structure(Outer, {"rate": "1/s", "zzz": 1}, ("stage", 3))
    assert problems == [
        Problem(
            ("stage", 3, "zzz"),
            "is not a known key",
            "the keys are rate, wait, size, share, name, flag, mode, file, inner, headers",
            has_value=False,
            unknown_key=True,
        )
    ]
