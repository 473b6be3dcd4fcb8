"""What the numbers in OUTCOME rows stand for: names, URLs and the time of 0 ns."""

import datetime
from collections.abc import Sequence
from typing import Self, TypeVar

import attrs

from flux.rows import Basis
from flux.stage import Context

_T = TypeVar("_T")


@attrs.frozen
class Facts:
    """What a format has to know of a run beside its rows."""

    name: str
    """Of the pipeline."""
    started_at: datetime.datetime
    """Wall-clock time of 0 ns, with its zone."""
    steps: tuple[str, ...]
    """Names of the steps, by their numbers."""
    requests: tuple[tuple[str, str], ...] = ()
    """Method and path of each step, as far as known."""
    targets: tuple[str, ...] = ("",)
    """Names of the targets, by their numbers."""
    target_urls: tuple[str, ...] = ()
    """What stands before the paths, for each target, as far as known."""
    bases: tuple[Basis, ...] = ("due", "start")
    """Which of these the rows tell. Where it is one, the other column holds the same times."""

    @classmethod
    def of(cls, context: Context) -> Self:
        """Those of the run that a sink is in."""
        return cls(
            name=context.run.name,
            started_at=context.run.started_at,
            steps=context.steps,
            requests=context.requests,
            targets=context.targets,
            target_urls=context.target_urls,
        )

    def step(self, number: int) -> str:
        """Name of a step; empty for none."""
        return self.steps[number] if number >= 0 else ""

    def method(self, step: int) -> str:
        """Of a step; empty if not known."""
        return _of(self.requests, step, ("", ""))[0]

    def url(self, step: int, target: int) -> str:
        """Where a step's requests to a target go; empty if not known."""
        return _of(self.target_urls, target, "") + _of(self.requests, step, ("", ""))[1]


def _of(known: Sequence[_T], number: int, otherwise: _T) -> _T:
    return known[number] if 0 <= number < len(known) else otherwise
