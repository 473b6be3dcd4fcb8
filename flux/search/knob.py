"""Which key of a pipeline sets its load: the rate, or the users, of its only source."""

import attrs

from flux.errors import UsageError
from flux.graph import Pipeline
from flux.units import Duration


@attrs.frozen
class Knob:
    """The key that a search turns."""

    key: str
    """As `--set` names it."""
    is_users: bool
    """True: it is a number of users; else a rate."""

    @property
    def unit(self) -> str:
        """What stands behind a number."""
        return " users" if self.is_users else "/s"

    def overrides(self, load: float, duration: Duration, seed: int) -> list[str]:
        """What makes a run of this load, as `KEY=VALUE`."""
        value = f"{load:.0f}" if self.is_users else f'"{load!r}/s"'
        return [f"{self.key}={value}", f'duration="{duration}"', f"seed={seed}"]


def find_knob(pipeline: Pipeline) -> Knob:
    """The key of this pipeline.

    Raises:
        UsageError: it cannot be searched, and why.
    """
    if not pipeline.thresholds:
        raise UsageError(
            "a search needs to know what must hold: the pipeline has no [[threshold]]",
            hint='add one, as in [[threshold]] with expect = "p(95) < 250ms"',
        )
    if pipeline.settings.phase:
        raise UsageError("a search tries one load at a time: the pipeline has phases")
    sources = [node for node in pipeline.nodes if not node.inputs]
    if len(sources) != 1:
        names = ", ".join(node.name for node in sources)
        raise UsageError(f"a search turns one source, and the pipeline has {names}")
    (source,) = sources
    if hasattr(source.stage, "users"):
        return Knob(f"{source.name}.users", is_users=True)
    if getattr(source.stage, "rate", None) is None:
        raise UsageError(
            f"a search turns a rate, and stage {source.name!r} is not given one",
            hint='write its load as rate = "10/s"',
        )
    return Knob(f"{source.name}.rate", is_users=False)
