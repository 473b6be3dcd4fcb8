"""Sessions: the generators that clients drive, one per arrival or iteration.

Where everything is known before a session begins, its `Send`s were made in advance, a block of
sessions at a time, and the generator only hands them out (`plain_sessions`). Where a step needs
what an earlier one captured, the time, or the user, or where there is a pause, the generator does
more (`live_sessions`).
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import attrs

from flux.flows.actions import End, Pause, Send, Session
from flux.flows.encoding import Encode
from flux.flows.step import Think
from flux.flows.template import Live, LiveKind, Named
from flux.flows.verdicts import Captures
from flux.randomness import mix64

Known: TypeAlias = Mapping[str, str]
"""Values by name."""
Play: TypeAlias = Callable[[Sequence[Send], int, int, Known], Session]
"""Makes a session of one `Send` per step, in which values that are not known yet are empty; of its
number and its user; and of the values that were fixed before it began."""

_SUCCEEDED = End(success=True, skipped=0)


@attrs.frozen(eq=False)
class Blank:
    """A place that only the session can fill."""

    position: int
    """Among the values of its step."""
    origin: Live | Named
    encode: Encode


@attrs.frozen(eq=False)
class Compiled:
    """What a session has to know about a step, besides its `Send`."""

    stops: bool
    """True when its failure ends the session; else it is allowed to fail."""
    blanks: tuple[Blank, ...]
    captures: Captures | None
    think: Think | None
    think_slot: int

    @property
    def is_plain(self) -> bool:
        """True when all there is to do is to send it."""
        return not (self.blanks or self.captures or self.think)

    @property
    def needs(self) -> frozenset[str]:
        """Names of the values that it cannot do without."""
        return frozenset(
            blank.origin.name for blank in self.blanks if isinstance(blank.origin, Named)
        )


def plain_sessions(steps: Sequence[Compiled]) -> Play:
    """Sessions of a flow whose steps are all plain."""
    count = len(steps)
    failures = [
        End(success=False, skipped=count - 1 - index) if step.stops else None
        for index, step in enumerate(steps)
    ]

    def session(prepared: Sequence[Send], seq: int, user: int, fixed: Known) -> Session:
        for send, failure in zip(prepared, failures):
            result = yield send
            if failure is not None and result.error:  # type: ignore[union-attr]  # after a Send
                yield failure
                return
        yield _SUCCEEDED

    return session


def live_sessions(
    steps: Sequence[Compiled], *, seed: int, wall_clock_ns: Callable[[], int]
) -> Play:
    """Sessions of any flow.

    A step whose captured value is missing, as the step that was to capture it was allowed to fail,
    cannot be run: it counts as skipped.

    Args:
        steps: what is to be done with each.
        seed: of the run, for think times.
        wall_clock_ns: nanoseconds since 1970.
    """
    needs = [step.needs for step in steps]
    numbered = list(enumerate(zip(steps, needs)))

    def session(prepared: Sequence[Send], seq: int, user: int, fixed: Known) -> Session:
        known = dict(fixed)
        thought: Compiled | None = None
        skipped = 0
        for index, (step, names) in numbered:
            if not names <= known.keys():
                skipped += 1
                _forget(known, step)
                continue
            if thought is not None and (pause_ns := _think_ns(thought, seed, seq)):
                yield Pause(pause_ns)
            send = prepared[index]
            if step.blanks:
                send = _filled(send, step.blanks, known, wall_clock_ns, user)
            result = yield send
            if result is None or result.error:
                if step.stops:
                    yield End(success=False, skipped=skipped + len(steps) - 1 - index)
                    return
                _forget(known, step)
            elif step.captures is not None:
                known.update(step.captures.take(result.headers, result.body))
            thought = step if step.think is not None else None
        yield End(success=True, skipped=skipped)

    return session


def _forget(known: dict[str, str], step: Compiled) -> None:
    """A capture that failed leaves nothing, not even what an earlier step captured."""
    if step.captures is not None:
        for name in step.captures.captures:
            known.pop(name, None)


def _filled(
    send: Send,
    blanks: Sequence[Blank],
    known: Mapping[str, str],
    wall_clock_ns: Callable[[], int],
    user: int,
) -> Send:
    values = list(send.values)
    for blank in blanks:
        origin = blank.origin
        if isinstance(origin, Named):
            text = known[origin.name]
        else:
            text = live_value(origin.kind, wall_clock_ns, user)
        values[blank.position] = blank.encode(text)
    return Send(send.plan, tuple(values))


def _think_ns(step: Compiled, seed: int, seq: int) -> int:
    """Uniform over the whole nanoseconds from `min` to `max`."""
    think = step.think
    if think is None or think.min == think.max:
        return think.min if think else 0
    cases = think.max - think.min + 1
    return think.min + (mix64(seed, seq, step.think_slot) * cases >> 64)


def live_value(kind: LiveKind, wall_clock_ns: Callable[[], int], user: int) -> str:
    """What it is right now."""
    if kind == "user":
        return str(user)
    now_ns = wall_clock_ns()
    if kind == "time.unix":
        return str(now_ns // 10**9)
    if kind == "time.unix_ms":
        return str(now_ns // 10**6)
    seconds, rest_ns = divmod(now_ns, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 10**6:03d}Z"
