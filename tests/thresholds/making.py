"""Thresholds for tests."""

from collections.abc import Sequence
from typing import Any

from flux.parts import RunStep
from flux.thresholds.resolve import Threshold, resolve_thresholds
from tests.outcomes import STEPS

TAGGED = tuple(RunStep(name, tags={"kind": "page" if name == "list" else "api"}) for name in STEPS)


def threshold(expect: str, phases: Sequence[str] = (), **keys: Any) -> Threshold:
    """One threshold, of the keys of its table."""
    _, made, problems = resolve_thresholds([{"expect": expect, **keys}], TAGGED, phases)
    assert problems == []
    return made[0]
