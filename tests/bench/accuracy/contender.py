"""What every contender is: a name, a model, and how it does the work and tells of it."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from tests.bench.accuracy.seen import Model, Seen
from tests.bench.peers.children import ChildRun


@attrs.frozen
class Work:
    """What is asked of a contender."""

    base_url: str
    rate_per_s: int
    seconds: int
    users: int
    """Of the closed model: how many share the rate among them."""

    @property
    def planned(self) -> int:
        """Requests that are due."""
        return self.rate_per_s * self.seconds

    @property
    def each_per_s(self) -> int:
        """What each user of the closed model contributes."""
        return self.rate_per_s // self.users


@attrs.frozen
class Job:
    """A command that is ready to be run."""

    command: list[str]
    read: Callable[[ChildRun, pathlib.Path], Seen]
    """Reads what it says from what it printed and from the files in its folder."""
    files: Mapping[str, str] = attrs.field(factory=dict)
    """Text files to be written into that folder before."""
    environment: Mapping[str, str] = attrs.field(factory=dict)


class Contender(Protocol):
    """A tool in one configuration."""

    @property
    def name(self) -> str:
        """How it is called in the table."""

    @property
    def model(self) -> Model:
        """Whether requests wait for earlier ones."""

    def version(self) -> str:
        """What it says its version is.

        Raises:
            ToolMissing: it is not there.
        """

    def job(self, work: Work) -> Job:
        """How it does the work."""
