"""The law that no arrival gets lost: what was planned, and what became of it.

    planned = started - repeated + dropped + withheld + cancelled + lost
    started = succeeded + failed + aborted

Both hold at the end of every run, of every shard of it, and of their sum. What is planned is
arrivals: each begins one session, or if it is a user who stays for several iterations, the first
of them, and the others are repeated.
"""

from collections.abc import Iterator

import attrs


@attrs.frozen
class Ledger:
    """How many sessions there were, by what became of them.

    In the closed model a session is one iteration of a virtual user. In the ledger of an interval
    the second law need not hold: a session may start in one interval and end in another.
    """

    planned: int | None = None
    """Arrivals that were released; None in the closed model, where nothing is planned ahead."""
    started: int = 0
    """Sessions that began."""
    repeated: int = 0
    """Iterations, begun or withheld, that a user had after its first one."""
    dropped: int = 0
    """Arrivals that could not start in time and were given up."""
    withheld: int = 0
    """Arrivals that were given up because no target that they might have gone to was healthy."""
    cancelled: int = 0
    """Arrivals that were not yet due when the run was stopped."""
    lost: int = 0
    """Arrivals of a worker process that died; what became of them is not known."""
    succeeded: int = 0
    """Sessions that reached their end, with every step as it should be."""
    failed: int = 0
    """Sessions that reached their end in any other way."""
    aborted: int = 0
    """Sessions that the end of the run cut short."""

    @property
    def arrived(self) -> int:
        """Arrivals that began, each counted once; it is too low by what was withheld of users."""
        return self.started - self.repeated

    @property
    def accounted(self) -> int:
        """Arrivals of which something became."""
        return self.arrived + self.dropped + self.withheld + self.cancelled + self.lost

    @property
    def ended(self) -> int:
        """Sessions that are over."""
        return self.succeeded + self.failed + self.aborted

    def __add__(self, other: "Ledger") -> "Ledger":
        """Both together; what was planned is known only if both know it."""
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in attrs.fields(Ledger)
            if field.name != "planned"
        }
        known = self.planned is not None and other.planned is not None
        planned = (self.planned or 0) + (other.planned or 0) if known else None
        return Ledger(planned=planned, **sums)

    def arrivals_equation(self) -> str:
        """The first law in numbers, as it should be; empty in the closed model."""
        if self.planned is None:
            return ""
        repeated = f" - repeated {self.repeated}" if self.repeated else ""
        withheld = f" + withheld {self.withheld}" if self.withheld else ""
        lost = f" + lost {self.lost}" if self.lost else ""
        return (
            f"planned {self.planned} = started {self.started}{repeated} + dropped {self.dropped}"
            f"{withheld} + cancelled {self.cancelled}{lost}"
        )

    def sessions_equation(self) -> str:
        """The second law in numbers, as it should be."""
        right = f"{self.succeeded} ok + {self.failed} failed + {self.aborted} aborted"
        return f"started {self.started} = {right}"

    def check(self) -> list[str]:
        """The laws that are broken, each with its numbers; empty if both hold."""
        return list(self._broken())

    def _broken(self) -> Iterator[str]:
        if self.planned is not None and self.accounted != self.planned:
            yield _unequal(self.arrivals_equation(), self.accounted - self.planned)
        if self.ended != self.started:
            yield _unequal(self.sessions_equation(), self.ended - self.started)


def _unequal(equation: str, surplus: int) -> str:
    word = "too many" if surplus > 0 else "missing"
    return f"{equation.replace('=', '≠', 1)} ({abs(surplus)} {word})"
