"""The steps and targets of a whole run, numbered over all of its executors."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import attrs

from flux.graph import Pipeline


@attrs.frozen
class Parts:
    """What `step` and `target` in an OUTCOME row are indexes into.

    With several executors every name begins with that of its executor.
    """

    steps: tuple[str, ...]
    requests: tuple[tuple[str, str], ...]
    """Method and path of each step, placeholders unfilled; empty text where not known."""
    first_steps: Mapping[str, int]
    """Number of each executor's first step."""
    targets: tuple[str, ...]
    target_urls: tuple[str, ...]
    """What stands before the paths of a target's requests; empty text where not known."""
    first_targets: Mapping[str, int]
    """Number of each executor's first target."""

    @classmethod
    def of(cls, pipeline: Pipeline) -> "Parts":
        """The steps and targets of all executors, in order."""
        steps: list[str] = []
        requests: list[tuple[str, str]] = []
        targets: list[str] = []
        urls: list[str] = []
        first_steps, first_targets = {}, {}
        executors = pipeline.executors
        for node in executors:
            first_steps[node.name], first_targets[node.name] = len(steps), len(targets)
            prefix = f"{node.name}." if len(executors) > 1 else ""
            own_steps: Sequence[str] = getattr(node.stage, "step_names", (node.name,))
            own_targets: Sequence[str] = getattr(node.stage, "target_names", (node.name,))
            steps += [prefix + name for name in own_steps]
            targets += [prefix + name for name in own_targets]
            requests += _filled(getattr(node.stage, "requests", ()), len(own_steps), ("", ""))
            urls += _filled(getattr(node.stage, "target_urls", ()), len(own_targets), "")
        return cls(
            steps=tuple(steps),
            requests=tuple(requests),
            first_steps=first_steps,
            targets=tuple(targets),
            target_urls=tuple(urls),
            first_targets=first_targets,
        )


_T = TypeVar("_T")


def _filled(known: Sequence[_T], count: int, blank: _T) -> list[_T]:
    """As many as there are to be."""
    return [*known[:count], *[blank] * (count - len(known))]
