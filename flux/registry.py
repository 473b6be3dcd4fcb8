"""Which stages there are: everything installed under the entry-point group `flux.stages`.

Built-in stages register there like any plug-in. Listing reads metadata only; a stage's module is
imported when a pipeline uses it, or when somebody asks to have it explained.
"""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import attrs

from flux.config.problems import did_you_mean
from flux.errors import FluxError, UsageError
from flux.stage import kind_of

GROUP = "flux.stages"


@attrs.frozen
class StageEntry:
    """A stage that is installed, and maybe not yet imported."""

    name: str
    """What `use` has to say."""
    package: str
    """Distribution it comes from."""
    version: str
    target: str
    """`module:class`."""
    _entry_point: importlib.metadata.EntryPoint = attrs.field(repr=False, eq=False)

    def load(self) -> type[Any]:
        """Import the stage.

        Raises:
            FluxError: if it cannot be imported or is no stage; the package is named.
        """
        try:
            stage: type[Any] = self._entry_point.load()
        except (ImportError, AttributeError, SyntaxError) as error:
            raise FluxError(
                f"stage {self.name!r} of package {self.package} cannot be imported: {error}",
                hint=f"its entry point is {self.target}",
            ) from error
        if not (isinstance(stage, type) and attrs.has(stage)):
            raise FluxError(
                f"stage {self.name!r} of package {self.package} must be an attrs class",
                hint=f"its entry point is {self.target}",
            )
        try:
            kind_of(stage)
        except (TypeError, AttributeError) as error:
            raise FluxError(
                f"stage {self.name!r} of package {self.package} is no stage: {error}"
            ) from error
        return stage


def find_stages() -> Mapping[str, StageEntry]:
    """Every installed stage by name, sorted.

    Raises:
        FluxError: if two packages bring a stage of the same name.
    """
    found: dict[str, StageEntry] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        distribution = point.dist
        entry = StageEntry(
            name=point.name,
            package=distribution.name if distribution else "unknown",
            version=distribution.version if distribution else "",
            target=point.value,
            entry_point=point,
        )
        other = found.setdefault(point.name, entry)
        if other.target != entry.target or other.package != entry.package:
            raise FluxError(
                f"two packages bring a stage {point.name!r}: "
                f"{other.package} ({other.target}) and {entry.package} ({entry.target})",
                hint="uninstall one of them",
            )
    return dict(sorted(found.items()))


def load_stage(name: str) -> type[Any]:
    """Import one stage by name.

    Raises:
        UsageError: if there is none of that name.
    """
    stages = find_stages()
    if name not in stages:
        raise UsageError(
            f"there is no stage {name!r}",
            hint=did_you_mean(name, stages) or "`flux stages` lists them",
        )
    return stages[name].load()
