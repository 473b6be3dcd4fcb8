"""How a run stands, in words: the same lines for the live view and for `flux live`.

Each line names what it is about and has a tone, so that whoever shows it can make bad news stand
out, and leave out good news where there is no room. Signs say it too, as colours may be off.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from flux.units import Duration

Standing: TypeAlias = Mapping[str, Any]
"""As `flux.screen.standing.standing_of` makes it."""

Tone: TypeAlias = Literal["bad", "warn", "good", "quiet"]

_SIGNS: Mapping[bool | None, tuple[str, Tone]] = {
    True: ("✓", "good"),
    False: ("✗", "bad"),
    None: ("·", "quiet"),
}
_SPENDING = ("requests", "bytes", "errors")


@attrs.frozen
class Told:
    """One line."""

    name: str
    """What it is about; lines about one thing follow each other."""
    text: str
    tone: Tone = "quiet"


def tell(standing: Standing, phases: Sequence[str] = ()) -> Iterator[Told]:
    """Everything that there is to say beside rates and latencies.

    Args:
        standing: of the run.
        phases: titles of those that the last interval was in.
    """
    yield from _level(standing, phases)
    yield from _breaker(standing["breaker"])
    yield from _budget(standing["budget"])
    yield from _targets(standing["targets"])
    yield from _thresholds(standing["thresholds"])


def _level(standing: Standing, phases: Sequence[str]) -> Iterator[Told]:
    """What has changed the rate, and what is about to."""
    control, spikes = standing["control"], standing["spikes"]
    if control["paused"]:
        yield Told("level", "PAUSED: no load until `flux live resume`", "warn")
    changes = []
    if control["scale"] not in (1.0, 0.0):
        changes.append(f"rate ×{control['scale']:g}")
    if control["scale"] == 0:
        changes.append("rate ×0: no load")
    if control["guard"] not in (1.0, 0.0):
        changes.append(f"guard ×{control['guard']:g}")
    if spike := control["spike"]:
        ends = short(spike["ends_in_ns"])
        changes.append(f"SPIKE ×{spike['factor_now']:.3g} of ×{spike['factor']:g}, ends in {ends}")
    if spikes and spikes["factor_now"] != 1:
        changes.append(f"SPIKE ×{spikes['factor_now']:.3g}")
    if changes:
        yield Told("level", ", ".join(changes), "warn")
    plan = [f"phase {title}" for title in phases]
    if spikes and spikes["next_in_ns"] is not None:
        plan.append(f"next spike in {short(spikes['next_in_ns'])}")
    if plan:
        yield Told("plan", ", ".join(plan))


def _breaker(breaker: Standing | None) -> Iterator[Told]:
    if breaker is None:
        return
    trips = f"trip {breaker['trips']} of {breaker['most_trips']}"
    waits = short(breaker["decides_in_ns"] or 0)
    match breaker["state"]:
        case "open":
            text = f"OPEN, no load, tries again in {waits} ({trips}): {breaker['reason']}"
            yield Told("breaker", text, "bad")
        case "half_open":
            share = f"{100 * breaker['factor']:g} % of the load"
            text = f"HALF OPEN, {share}, decides in {waits} ({trips}): {breaker['reason']}"
            yield Told("breaker", text, "warn")
        case "stopped":
            yield Told("breaker", f"STOPPED the run: {breaker['reason']}", "bad")
        case _:
            again = f" again, after {trips}" if breaker["trips"] else ""
            yield Told("breaker", f"closed{again}", "good")


def _budget(budget: Standing | None) -> Iterator[Told]:
    limited = [name for name in _SPENDING if budget and budget[name]["of"] is not None]
    if budget and limited:
        spent = (f"{budget[name]['spent']:,} of {budget[name]['of']:,} {name}" for name in limited)
        yield Told("budget", f"spent {', '.join(spent)}")


def _targets(targets: Sequence[Standing]) -> Iterator[Told]:
    """A line for each that is not healthy, and one for the others."""
    for target in targets:
        if target["healthy"] is False:
            text = f"✗ {target['name']} is not healthy: {target['problem'] or 'not yet again'}"
            yield Told(
                "targets", f"{text}; it has {100 * target['share']:.3g} % of sessions", "bad"
            )
    well = [target["name"] for target in targets if target["healthy"]]
    if well:
        yield Told("targets", f"✓ {len(well)} of {len(targets)} healthy: {', '.join(well)}", "good")


def _thresholds(thresholds: Sequence[Standing]) -> Iterator[Told]:
    """What was measured comes first, and names of steps last, as they may be long and be cut."""
    width = max((len(one["observed_text"]) for one in thresholds), default=0)
    for one in thresholds:
        sign, tone = _SIGNS[one["holds"]]
        text = f"{sign} {one['observed_text']:>{width}}  {one['metric']} {one['expect']}"
        if one["reason"]:
            text += f" ({one['reason']})"
        if one["holds"] and one["first_failed_ns"] is not None:
            text += f" (failed at {short(one['first_failed_ns'])})"
        if one["scope"]:
            text += f" [{one['scope']}]"
        yield Told("thresholds", text, tone)


def short(time_ns: int) -> str:
    """A time in whole seconds: "1m5s"."""
    return str(Duration(max(0, round(time_ns / 1e9)) * 10**9))
