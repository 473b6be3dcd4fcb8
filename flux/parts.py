"""The steps and targets of a whole run, numbered over all of its executors."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from flux.graph import Pipeline


@attrs.frozen
class RunStep:
    """A step as thresholds choose it."""

    name: str
    """As reports have it."""
    tags: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Parts:
    """What `step` and `target` in an OUTCOME row are indexes into.

    With several executors every name begins with that of its executor.
    """

    steps: tuple[str, ...]
    requests: tuple[tuple[str, str], ...]
    """Method and path of each step, placeholders unfilled; empty text where not known."""
    tags: tuple[Mapping[str, str], ...]
    """Of each step."""
    first_steps: Mapping[str, int]
    """Number of each executor's first step."""
    targets: tuple[str, ...]
    target_urls: tuple[str, ...]
    """What stands before the paths of a target's requests; empty text where not known."""
    first_targets: Mapping[str, int]
    """Number of each executor's first target."""

    @property
    def run_steps(self) -> tuple[RunStep, ...]:
        """The steps with their tags."""
        return tuple(map(RunStep, self.steps, self.tags))

    @classmethod
    def of(cls, pipeline: "Pipeline") -> "Parts":
        """The steps and targets of all executors, in order."""
        return cls.of_stages([(node.name, node.stage) for node in pipeline.executors])

    @classmethod
    def of_stages(cls, executors: Sequence[tuple[str, Any]]) -> "Parts":
        """The same for executors each given as its name and stage."""
        steps: list[str] = []
        requests: list[tuple[str, str]] = []
        tags: list[Mapping[str, str]] = []
        targets: list[str] = []
        urls: list[str] = []
        first_steps, first_targets = {}, {}
        for name, stage in executors:
            first_steps[name], first_targets[name] = len(steps), len(targets)
            prefix = f"{name}." if len(executors) > 1 else ""
            own_steps: Sequence[str] = getattr(stage, "step_names", (name,))
            own_targets: Sequence[str] = getattr(stage, "target_names", (name,))
            steps += [prefix + title for title in own_steps]
            targets += [prefix + title for title in own_targets]
            requests += _filled(getattr(stage, "requests", ()), len(own_steps), ("", ""))
            tags += _filled(getattr(stage, "step_tags", ()), len(own_steps), {})
            urls += _filled(getattr(stage, "target_urls", ()), len(own_targets), "")
        return cls(
            steps=tuple(steps),
            requests=tuple(requests),
            tags=tuple(tags),
            first_steps=first_steps,
            targets=tuple(targets),
            target_urls=tuple(urls),
            first_targets=first_targets,
        )


_T = TypeVar("_T")


def _filled(known: Sequence[_T], count: int, blank: _T) -> list[_T]:
    """As many as there are to be."""
    return [*known[:count], *[blank] * (count - len(known))]
