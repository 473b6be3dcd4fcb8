"""The steps of a run: those of each executor in turn, under the names that reports have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs


@attrs.frozen
class RunStep:
    """A step; `step` in an OUTCOME row is its place among all of them."""

    executor: str
    """Name of the stage that runs it."""
    name: str
    """As reports have it: with the executor's name before it, if there are several executors."""
    request: tuple[str, str] = ("", "")
    """Method and URL, placeholders unfilled; empty when not known."""
    tags: Mapping[str, str] = attrs.field(factory=dict)


def steps_of(executors: Iterable[tuple[str, Any]]) -> tuple[RunStep, ...]:
    """The steps of these executors, each given as its name and stage, in the order of the run."""
    return tuple(_steps(list(executors)))


def _steps(executors: Sequence[tuple[str, Any]]) -> Iterator[RunStep]:
    for executor, stage in executors:
        names: Sequence[str] = getattr(stage, "step_names", (executor,))
        requests: Sequence[tuple[str, str]] = getattr(stage, "requests", ())
        tags: Sequence[Mapping[str, str]] = getattr(stage, "step_tags", ())
        for index, name in enumerate(names):
            yield RunStep(
                executor,
                name if len(executors) == 1 else f"{executor}.{name}",
                requests[index] if index < len(requests) else ("", ""),
                tags[index] if index < len(tags) else {},
            )
