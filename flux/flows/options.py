"""What the steps of a flow have in common."""

import time
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import attrs

from flux.flows.actions import Identity
from flux.flows.step import OnFailure
from flux.units import Duration

Success: TypeAlias = Literal["status", "userflux"]


@attrs.frozen(kw_only=True)
class FlowOptions:
    """What the steps of a flow have in common."""

    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Request headers of every step that does not have its own; placeholders are filled anew."""
    timeout: Duration = Duration(30 * 10**9)
    """Of steps that have none of their own."""
    on_failure: OnFailure = "stop"
    """Of steps that have none of their own."""
    success: Success = "status"
    """Without expectations, "status": 2xx and 3xx succeed; "userflux": 2xx with a JSON object."""
    let: Mapping[str, str] = attrs.field(factory=dict)
    """Values by name, made once per session; they may use those above them."""
    identity: Identity = "iteration"
    """Whether those values are made anew for each iteration of a user, or once for the user."""
    wall_clock_ns: Callable[[], int] = time.time_ns
    """Nanoseconds since 1970, for `time.…`: the one thing here that no seed fixes."""
    shards: int = 1
    """Processes that share the run's sessions; it sets the cost of values, never what they are."""
