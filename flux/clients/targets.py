"""The `[[stage.targets]]` tables of `http`: several servers, each with a weight."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import attrs

from flux.clients.target import Target
from flux.config.problems import Violation
from flux.config.rules import above
from flux.flows.step import at


@attrs.frozen(kw_only=True)
class WeightedTarget:
    """One of several servers; every session goes to one of them."""

    url: Target
    """As `target`: "http://127.0.0.1:8080/api", or "demo"."""
    name: str | None = None
    """What rows and reports call it; host, port and path of its URL when absent."""
    weight: Annotated[float, above(0)] = 1.0
    """How many sessions go to it, relative to the weights of the other targets."""

    @property
    def title(self) -> str:
        """What rows and reports call it."""
        return self.url.title if self.name is None else self.name

    def check(self) -> Iterator[Violation]:
        """A name says something."""
        if self.name is not None and not self.name.strip():
            yield Violation("must not be blank", key="name")


def check_targets(targets: Sequence[WeightedTarget]) -> Iterator[Exception]:
    """Problems of several targets, at paths below the executor."""
    titles: set[str] = set()
    for index, target in enumerate(targets):
        if target.title in titles:
            if target.name is None:
                violation = Violation("needs a name of its own: its URL is that of one above")
                yield at(("targets", index), violation)
            else:
                yield at(("targets", index, "name"), Violation("is the name of a target above"))
        titles.add(target.title)
