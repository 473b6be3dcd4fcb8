"""The keys of a `[[threshold]]`, as they are written; what they mean is for `resolve`."""

from typing import Annotated

import attrs

from flux.config.rules import above
from flux.units import Duration


@attrs.frozen(kw_only=True)
class ThresholdTable:
    """Something that the numbers of a run must fulfil."""

    expect: str
    """What must hold, as in "p(95) < 250ms": an aggregate, a comparison and a limit."""
    metric: str = "response"
    """What is looked at."""
    step: str | None = None
    """Only the requests of this step; of all steps if absent."""
    tag: str | None = None
    """Only the requests of the steps that have this tag: "name=value"."""
    phase: str | None = None
    """Only what was due in this phase; in all but warm-up if absent."""
    error: str | None = None
    """For the metric `failed`: only requests that failed for this reason, as in "timeout"."""
    abort: bool = False
    """Stop the run as soon as it does not hold."""
    after: Duration = Duration(0)
    """How long the run goes on before it is looked at for the first time."""
    window: Annotated[Duration, above(0)] | None = None
    """While the run goes on, look at this much of it, up to now; at all of it if absent."""
