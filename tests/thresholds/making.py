"""Thresholds for tests."""

from typing import Any

from flux.run_steps import RunStep
from flux.thresholds.resolve import Threshold, resolve_thresholds
from tests.outcomes import STEPS

TAGGED = tuple(
    RunStep("http", name, tags={"kind": "page" if name == "list" else "api"}) for name in STEPS
)


def threshold(expect: str, **keys: Any) -> Threshold:
    """One threshold, of the keys of its table."""
    _, made, problems = resolve_thresholds([{"expect": expect, **keys}], TAGGED)
    assert problems == []
    return made[0]
