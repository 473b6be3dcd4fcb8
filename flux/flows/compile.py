"""From steps to a flow: names are resolved, slots are given out, requests and judges are built.

All checking is in `check_flow`, which an executor calls from its own `check`, so that problems are
reported at their place in the file; `compile_flow` refuses what that would have reported.

Slots. Each random value of a flow has slots of its own (`flux.randomness`), numbered in the order
in which the values are written: those of `let`, then step by step the think time, the target, the
headers and the body. They begin at 2³², out of the way of whatever else is drawn for an arrival.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from flux.config.problems import Violation, key_text
from flux.flows.actions import Flow, RequestPlan, Send
from flux.flows.beginnings import Beginnings, Sends
from flux.flows.check import flow_problems
from flux.flows.draws import Seqs
from flux.flows.encoding import Encode
from flux.flows.options import FlowOptions
from flux.flows.plan import Drawn, Fits, Origin, Request, build_request
from flux.flows.sessions import Compiled, Play, live_sessions, plain_sessions
from flux.flows.step import Step
from flux.flows.template import Live, Named, Placeholder, parse
from flux.flows.values import Values
from flux.flows.verdicts import Captures, make_judge, wants_body, wants_headers

FIRST_SLOT = 1 << 32

Runs: TypeAlias = Callable[[Seqs], npt.NDArray[np.bool_]]
"""Which of these sessions run a flow: (n,) int64 to (n,) bool."""


def compile_flow(
    steps: Sequence[Step],
    *,
    seed: int,
    defaults: FlowOptions,
    first_index: int = 0,
    runs: Runs | None = None,
) -> Flow:
    """Compile.

    Args:
        steps: in order, each without problems of its own.
        seed: of the run.
        defaults: what the steps have in common.
        first_index: number of the first step, where several flows make up one.
        runs: which sessions run this flow, where others run another one; it sets the cost of
            values, never what they are.

    Raises:
        Violation: the first that `check_flow` would yield, or a file that cannot be read.
    """
    for path, violation in flow_problems(steps, defaults):
        raise Violation(f"{key_text(path)} {violation.rule}", hint=violation.hint)
    return _Compiler(steps, seed, defaults, first_index, runs).flow()


class _Compiler:
    """Compiles one flow that has no problems."""

    def __init__(
        self,
        steps: Sequence[Step],
        seed: int,
        options: FlowOptions,
        first_index: int,
        runs: Runs | None,
    ) -> None:
        self._steps = steps
        self._seed = seed
        self._options = options
        self._first_index = first_index
        self._runs = runs
        self._next_slot = FIRST_SLOT
        self._let: dict[str, tuple[str | Origin, ...]] = {}
        self._at_start: dict[str, Live] = {}
        self._is_of_user = options.identity == "user"
        for name, text in options.let.items():
            self._let[name] = tuple(self._value_of_let(name, text))
        self._is_of_user = False  # what steps draw is the iteration's own

    def flow(self) -> Flow:
        """Everything but the names of values, which were needed to get here."""
        slots, requests = [], []
        for index, step in enumerate(self._steps):
            slots.append(self._take_slots(1))
            requests.append(self._request(index, step))
        captures = self._captures(requests)
        plans = tuple(map(self._plan, range(len(self._steps)), self._steps, requests, captures))
        compiled = list(map(self._compiled, self._steps, requests, captures, slots))
        begins = Beginnings(
            play=self._play(compiled),
            own=self._sends(plans, requests, is_of_user=False),
            brought=self._sends(plans, requests, is_of_user=True),
            places_brought=tuple(
                tuple(n for n, place in enumerate(request.places) if place.is_of_user)
                for request in requests
            ),
            at_start={name: live.kind for name, live in self._at_start.items()},
            wall_clock_ns=self._options.wall_clock_ns,
        )
        if self._options.identity == "user":
            return Flow(plans, begins.begin_first, "user", begins.begin_user)
        return Flow(plans, begins.begin)

    def _play(self, compiled: Sequence[Compiled]) -> Play:
        if all(step.is_plain for step in compiled):
            return plain_sessions(compiled)
        return live_sessions(compiled, seed=self._seed, wall_clock_ns=self._options.wall_clock_ns)

    def _take_slots(self, count: int) -> int:
        first = self._next_slot
        self._next_slot += count
        return first

    def _value_of_let(self, name: str, text: str) -> Iterator[str | Origin]:
        """What is random gets slots once; what is live gets a name, to be fixed at the start."""
        for part in parse(text):
            if isinstance(part, str):
                yield part
                continue
            for one in self._expand(part):
                if isinstance(one, Live):
                    hidden = f"{name}/{len(self._at_start)}"  # no name that can be written
                    self._at_start[hidden] = one
                    yield Named(hidden)
                else:
                    yield one

    def _expand(self, placeholder: Placeholder) -> tuple[str | Origin, ...]:
        meaning = placeholder.meaning
        if isinstance(meaning, Named):
            return self._let.get(meaning.name, (meaning,))
        if isinstance(meaning, Live):
            return (meaning,)
        return (Drawn(meaning, self._take_slots(meaning.slots), self._is_of_user),)

    def _request(self, index: int, step: Step) -> Request:
        try:
            return build_request(step, self._options.headers, self._expand)
        except OSError as error:
            rule = f"step[{index}].file cannot be read: {error.strerror or error}"
            raise Violation(rule) from error

    def _captures(self, requests: Sequence[Request]) -> list[Captures | None]:
        fits: dict[str, set[Fits]] = {}
        for place in (place for request in requests for place in request.places):
            if isinstance(place.origin, Named) and place.fits is not None:
                fits.setdefault(place.origin.name, set()).add(place.fits)
        by_name = {name: tuple(found) for name, found in fits.items()}
        return [Captures(step.capture, by_name) if step.capture else None for step in self._steps]

    def _plan(
        self, index: int, step: Step, request: Request, captures: Captures | None
    ) -> RequestPlan:
        success = self._options.success
        return request.plan(
            step,
            self._first_index + index,
            timeout_ns=int(step.timeout or self._options.timeout),
            wants_headers=wants_headers(step.expect, captures),
            wants_body=wants_body(step.expect, success, captures),
            judge=make_judge(step.expect, success, captures),
        )

    def _compiled(
        self, step: Step, request: Request, captures: Captures | None, slot: int
    ) -> Compiled:
        return Compiled(
            stops=(step.on_failure or self._options.on_failure) == "stop",
            blanks=request.blanks,
            captures=captures,
            think=step.think,
            think_slot=slot,
        )

    def _sends(
        self, plans: Sequence[RequestPlan], requests: Sequence[Request], *, is_of_user: bool
    ) -> Sends:
        drawn = [
            place
            for request in requests
            for place in request.places
            if place.is_drawn and place.is_of_user is is_of_user
        ]
        if not drawn:
            always = [
                Send(plan, (b"",) * len(request.places)) for plan, request in zip(plans, requests)
            ]
            return lambda seq: always
        pairs = list(zip(plans, requests))
        runs = None if is_of_user else self._runs  # which flow a user will run is not known
        values = Values[tuple[Send, ...]](
            lambda seqs: _block_of_running(pairs, self._seed, seqs, runs, is_of_user=is_of_user),
            width=sum(place.width for place in drawn),
            shards=self._options.shards,
        )
        return values.of


def _block_of_running(
    pairs: Sequence[tuple[RequestPlan, Request]],
    seed: int,
    seqs: Seqs,
    runs: Runs | None,
    *,
    is_of_user: bool,
) -> list[tuple[Send, ...]]:
    """The same, with nothing for sessions that run another flow."""
    if runs is None:
        return _block(pairs, seed, seqs, is_of_user=is_of_user)
    running = runs(seqs)
    of_running = _block(pairs, seed, seqs[running], is_of_user=is_of_user) if running.any() else ()
    made = iter(of_running)
    return [next(made) if is_running else () for is_running in running.tolist()]


def _block(
    pairs: Sequence[tuple[RequestPlan, Request]], seed: int, seqs: Seqs, *, is_of_user: bool
) -> list[tuple[Send, ...]]:
    """The `Send`s of these sessions, or users, with the values that are drawn by their number."""
    columns: dict[tuple[Origin, Encode], list[bytes]] = {}
    sends: list[Iterable[Send]] = []
    for plan, request in pairs:
        if not any(place.is_drawn and place.is_of_user is is_of_user for place in request.places):
            sends.append(repeat(Send(plan, (b"",) * len(request.places))))
            continue
        filled: list[Iterable[bytes]] = []
        for place in request.places:
            key = (place.origin, place.encode)
            is_mine = isinstance(place.origin, Drawn) and place.is_of_user is is_of_user
            if isinstance(place.origin, Drawn) and is_mine and key not in columns:
                draw, slot = place.origin.draw, place.origin.slot
                columns[key] = draw.column(seed, seqs, slot, place.encode)
            filled.append(columns.get(key) or repeat(b""))
        sends.append([Send(plan, values) for values in zip(*filled)])
    return list(zip(*sends))
