"""Which stages there are: everything installed under the entry-point group `flux.stages`.

Built-in stages register there like any plug-in. Listing reads metadata only; a stage's module is
imported when a pipeline uses it, or when somebody asks to have it explained. So what is wrong with
a plug-in is said to those who use it, and to nobody else.
"""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import attrs

from flux.blame import OWN_PACKAGE
from flux.config.problems import did_you_mean
from flux.errors import FluxError, UsageError
from flux.stage_contract import faults_of

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
    rival: "StageEntry | None" = None
    """A stage of the same name that another package brings, or this one twice."""

    @property
    def use(self) -> str:
        """The name, as of a stage in its place."""
        return self.name

    @property
    def module(self) -> str:
        """Module that its class is in."""
        return self.target.partition(":")[0]

    def load(self) -> type[Any]:
        """Import the stage.

        Raises:
            FluxError: if it cannot be imported, is no stage, or has a rival; the package is named.
        """
        if self.rival is not None:
            raise FluxError(
                f"two packages bring a stage {self.name!r}: "
                f"{self.package} ({self.target}) and {self.rival.package} ({self.rival.target})",
                hint=self._way_out(self.rival),
            )
        title = f"stage {self.name!r} of package {self.package}"
        try:
            stage: Any = self._entry_point.load()
        except (Exception, SystemExit) as error:
            # A module may raise anything, and what an entry point names need not be there.
            reason = str(error) if isinstance(error, ImportError) else _named(error)
            raise FluxError(
                f"{title} cannot be imported: {reason}",
                hint=f"its entry point is {self.target}: mend or uninstall {self.package}",
            ) from error
        faults = list(faults_of(stage))
        if faults:
            raise FluxError(
                f"{title} is no stage: {self.target} {'; it '.join(faults)}",
                hint=f"this is for the author of {self.package}: see docs/plug-ins.md",
            )
        loaded: type[Any] = stage
        return loaded

    def _way_out(self, rival: "StageEntry") -> str:
        others = [one.package for one in (self, rival) if one.package != OWN_PACKAGE]
        if len(others) == 2 and others[0] != others[1]:
            return "uninstall one of them"
        return f"uninstall {others[0]}, or give its stage a name of its own" if others else ""


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def find_stages() -> Mapping[str, StageEntry]:
    """Every installed stage by name, sorted; of two of one name the first, with its rival."""
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
        # One that is found twice is the same: sys.path may lead to it in two ways.
        if (other.target, other.package) != (entry.target, entry.package):
            found[point.name] = attrs.evolve(other, rival=entry)
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
