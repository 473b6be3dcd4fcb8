"""How a run stands right now, as plain data: one source for the live view and for `flux live`.

Nothing is computed here but what somebody may ask for at any moment; rates and latencies of whole
intervals are the affair of `flux.screen.frames`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from flux.stage import Run

_TARGET_KEYS = {"name", "healthy", "problem", "share"}
_GUARD_KEYS = {"breaker": {"state", "decides_ns"}, "budget": {"requests", "bytes", "errors"}}


def standing_of(run: Run) -> dict[str, Any]:
    """What there is to know without an interval; docs/live.md has the keys."""
    now_ns, stages = run.clock.now_ns(), run.status()
    return {
        "name": run.name,
        "state": state_of(run),
        "elapsed_ns": max(0, now_ns),
        "left_ns": None if run.duration_ns is None else max(0, run.duration_ns - now_ns),
        "open_sessions": run.open_sessions(),
        "control": _control(run, now_ns),
        "spikes": _spikes(stages, now_ns),
        "breaker": _breaker(stages, now_ns),
        "budget": _guard(stages, "budget"),
        "targets": list(_targets(stages)),
        "thresholds": run.thresholds(),
        "stages": stages,
    }


def state_of(run: Run) -> str:
    """What the run is at."""
    if run.control.aborting.is_set():
        return "giving up"
    if run.control.stopping.is_set():
        return "stopping"
    if run.duration_ns is not None and run.clock.now_ns() > run.duration_ns:
        return "draining"
    return "paused" if run.control.paused else "running"


def _told(stages: Mapping[str, Mapping[str, Any]], what: str) -> Iterator[Any]:
    """What stages say about this, those that have nothing to say left out."""
    return (told[what] for told in stages.values() if told.get(what) is not None)


def _control(run: Run, now_ns: int) -> dict[str, Any]:
    control = run.control
    return {
        "scale": control.scale,
        "paused": control.paused,
        "guard": control.guard,
        "factor": control.factor_at(now_ns),
        "spike": _asked_spike(run, now_ns),
    }


def _asked_spike(run: Run, now_ns: int) -> dict[str, Any] | None:
    """The one that somebody asked for, if it is on."""
    spike = run.control.spike
    if spike is None or now_ns >= spike.start_ns + spike.duration_ns:
        return None
    return {
        "factor": spike.factor,
        "factor_now": spike.factor_at(now_ns),
        "ends_in_ns": spike.start_ns + spike.duration_ns - now_ns,
    }


def _spikes(stages: Mapping[str, Mapping[str, Any]], now_ns: int) -> dict[str, Any] | None:
    """Those of the plan; None if it has none."""
    factors = list(_told(stages, "spike_factor"))
    if not factors:
        return None
    starts_ns = [start_ns for start_ns in _told(stages, "next_spike_ns") if start_ns is not None]
    next_in_ns = min(starts_ns) - now_ns if starts_ns else None
    return {"factor_now": math.prod(factors), "next_in_ns": next_in_ns}


def _targets(stages: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Those of all executors; a plug-in may call something else its targets."""
    for told in _told(stages, "targets"):
        for target in told if isinstance(told, list) else ():
            if isinstance(target, dict) and target.keys() >= _TARGET_KEYS:
                yield target


def _guard(stages: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    found = (one for one in _told(stages, name) if isinstance(one, dict))
    return next((one for one in found if _GUARD_KEYS[name] <= one.keys()), None)


def _breaker(stages: Mapping[str, Mapping[str, Any]], now_ns: int) -> dict[str, Any] | None:
    """As its guard has it, with how long it waits yet."""
    found = _guard(stages, "breaker")
    if found is None:
        return None
    decides_ns = found["decides_ns"]
    return {**found, "decides_in_ns": None if decides_ns is None else max(0, decides_ns - now_ns)}
