"""Value types of the keys `processes` and `on_worker_loss` of executors."""

import os
from typing import ClassVar, Literal, Self, TypeAlias

import attrs

from flux.config.problems import Violation

OnWorkerLoss: TypeAlias = Literal["continue", "stop"]

MAX_PROCESSES = 1024
"""More is a slip of the finger on any machine."""


@attrs.frozen
class Processes:
    """How many processes drive an executor's sessions: a number, or "auto"."""

    type_text: ClassVar[str] = 'a whole number, or "auto"'

    number: int | None = 1
    """At least 1; None stands for "auto"."""

    def __str__(self) -> str:
        return '"auto"' if self.number is None else str(self.number)

    @property
    def count(self) -> int:
        """The number of processes; for "auto", of the CPUs that this process may use."""
        return len(os.sched_getaffinity(0)) if self.number is None else self.number

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read a number or "auto"."""
        if value == "auto":
            return cls(None)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Violation(f"must be {cls.type_text}")
        if not 1 <= value <= MAX_PROCESSES:
            raise Violation(f"must be from 1 to {MAX_PROCESSES}")
        return cls(value)


ONE = Processes()
"""Everything in the process of the run itself."""
