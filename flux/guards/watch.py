"""The stage that shows what ends to the run's breaker and budget, and does what they say.

A pipeline with a [breaker] or a [budget] has one after its executors. It looks at every batch of
outcomes, which come within 100 ms of the end of a request, and a few times a second at the time; it
does not wait for the collector's intervals, which may be long.
"""

import datetime
import logging
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import attrs
import numpy as np
import trio

from flux.columns import ABORTED, LAST, NOT_STARTED, SUCCESS, Columns
from flux.control import Ending
from flux.errors import ExitCode
from flux.guards.breaker import Breaker
from flux.guards.budget import Budget, Spending
from flux.guards.circuit import Circuit, State, Transition
from flux.guards.hosts import Contact
from flux.guards.webhook import Webhook, open_webhook
from flux.guards.window import SLOT_NS, Counts
from flux.schemas import OUTCOME, Schema
from flux.stage import Context, Inbox, Run

NAME = "guards"
"""Of the stage, unless a stage of the file has it."""


@attrs.frozen(kw_only=True)
class Watch:
    """Holds a run to its breaker and its budget."""

    accepts: ClassVar[tuple[Schema, ...]] = (OUTCOME,)

    breaker: Breaker | None = None
    budget: Budget | None = None

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The webhook's host."""
        webhook = self.breaker.webhook if self.breaker else None
        return (Contact(("breaker", "webhook"), webhook.host),) if webhook else ()

    def prepare(self) -> None:
        """Import what a webhook needs before the clock starts."""
        if self.breaker is not None and self.breaker.webhook is not None:
            import flux.clients.guarded_transport  # noqa: F401  # takes a while

    async def consume(self, context: Context, inbox: Inbox) -> None:
        """Watch until the inbox ends."""
        run = context.run
        async with AsyncExitStack() as stack:
            webhook = None
            if self.breaker is not None and self.breaker.webhook is not None:
                opening = open_webhook(self.breaker.webhook, run.manners, run.log)
                webhook = await stack.enter_async_context(opening)
            guards: list[_AtBreaker | _AtBudget] = []
            if self.breaker is not None:
                guards.append(_AtBreaker(self.breaker, run, webhook))
            if self.budget is not None:
                guards.append(_AtBudget(self.budget, run))
            for guard in guards:
                context.report_status(guard.name, guard.status)
            sessions = _Sessions(run)
            async with trio.open_nursery() as ticking:
                ticking.start_soon(_tick, run, guards, sessions)
                async for rows in inbox:
                    columns = Columns(rows)
                    sessions.take(columns)
                    for guard in guards:
                        guard.take(columns, sessions.under_way())
                ticking.cancel_scope.cancel()


async def _tick(run: Run, guards: "list[_AtBreaker | _AtBudget]", sessions: "_Sessions") -> None:
    """Show the guards nothing, a few times a second: time passes even if no request ends."""
    nothing = Columns(OUTCOME.empty(0))
    time_ns = 0
    while True:
        time_ns = max(time_ns, run.clock.now_ns()) + SLOT_NS
        await run.clock.wait_until(time_ns)
        for guard in guards:
            guard.take(nothing, sessions.under_way())


class _Sessions:
    """How many sessions are under way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._over = 0

    def take(self, rows: Columns) -> None:
        """Note which are over."""
        self._over += int(np.count_nonzero(rows.flagged(LAST | NOT_STARTED)))

    def under_way(self) -> int:
        """As the executors say; where they cannot, what was released and is not over; else 0."""
        known = self._run.open_sessions()
        if known is None:
            planned = self._run.planned()
            known = 0 if planned is None else max(0, planned - self._over)
        return known


class _AtBreaker:
    """The breaker at work in a run."""

    name = "breaker"

    def __init__(self, breaker: Breaker, run: Run, webhook: Webhook | None) -> None:
        self._breaker = breaker
        self._circuit = Circuit(breaker)
        self._run = run
        self._webhook = webhook

    def take(self, rows: Columns, under_way: int) -> None:
        """Show it a batch, and do what it says; a run that is ending is left alone."""
        if self._run.control.stopping.is_set():
            return
        counts = self._counts(rows)
        now_ns = max(0, self._run.clock.now_ns())
        transition = self._circuit.observe(now_ns, counts, is_waiting=under_way > 0)
        if transition is not None:
            self._act(transition)

    def _counts(self, rows: Columns) -> Counts:
        is_counted = rows["step"] >= 0
        is_counted &= ~rows.flagged(NOT_STARTED | ABORTED)
        is_counted &= rows["due_ns"] >= self._circuit.counted_from_ns
        rows = rows.where(is_counted)
        if not len(rows):
            return Counts()
        slow = 0
        if self._breaker.p95 is not None:
            since = "due_ns" if self._breaker.latency == "response" else "start_ns"
            slow = int(np.count_nonzero(rows["end_ns"] - rows[since] > self._breaker.p95))
        failures = len(rows) - int(np.count_nonzero(rows.flagged(SUCCESS)))
        return Counts(requests=len(rows), failures=failures, slow=slow)

    def _act(self, transition: Transition) -> None:
        control = self._run.control
        control.guard = self._circuit.factor
        stops = transition.state is State.STOPPED
        is_bad = transition.state in (State.OPEN, State.STOPPED)
        level = logging.WARNING if is_bad else logging.INFO
        self._run.mark("guard", f"breaker {self._word(transition)}", level=level)
        if self._webhook is not None:
            self._webhook.send_nowait(self._message(transition))
        if stops:
            control.stop(Ending(f"breaker: {transition.reason}", ExitCode.GUARD))

    def _word(self, transition: Transition) -> str:
        breaker, reason = self._breaker, transition.reason
        match transition.state:
            case State.OPEN:
                count = f"{transition.trips} of {breaker.trips}"
                return f"trips ({count}): {reason}; no load for {breaker.cool_down}"
            case State.HALF_OPEN:
                return f"tries: {reason}; {100 * breaker.probe:g} % of the load"
            case State.CLOSED:
                return f"closes: {reason}; the whole load again"
            case State.STOPPED:
                return f"stops the run: {reason}"

    def _message(self, transition: Transition) -> dict[str, Any]:
        return {
            "run": self._run.name,
            "guard": self.name,
            "transition": transition.state.value,
            "reason": transition.reason,
            "trips": transition.trips,
            "at": datetime.datetime.now().astimezone().isoformat(),
            "time_ns": self._run.clock.now_ns(),
        }

    def status(self) -> dict[str, Any]:
        """Where it stands."""
        circuit = self._circuit
        return {
            "state": circuit.state.value,
            "trips": circuit.trips,
            "most_trips": self._breaker.trips,
            "reason": circuit.reason,
            "factor": circuit.factor,
            "decides_ns": circuit.decides_ns,
            **attrs.asdict(circuit.counts),
        }


class _AtBudget:
    """The budget at work in a run."""

    name = "budget"

    def __init__(self, budget: Budget, run: Run) -> None:
        self._budget = budget
        self._spending = Spending()
        self._run = run

    def take(self, rows: Columns, under_way: int) -> None:
        """Add a batch to what is spent, and stop the run if that is all there is."""
        self._spending += _spent_in(rows)
        if self._run.control.stopping.is_set():
            return
        text = self._budget.spent(self._spending, under_way)
        if text is not None:
            ending = Ending(f"budget: {text}", ExitCode.GUARD)
            self._run.mark("guard", f"{ending.text}; the run ends", level=logging.WARNING)
            self._run.control.stop(ending)

    def status(self) -> dict[str, Any]:
        """What is spent, and of how much."""
        pairs = (
            ("requests", self._spending.requests, self._budget.requests),
            ("bytes", self._spending.bytes_, self._budget.bytes_),
            ("errors", self._spending.errors, self._budget.errors),
        )
        return {
            what: {"spent": spent, "of": None if limit is None else int(limit)}
            for what, spent, limit in pairs
        }


def _spent_in(rows: Columns) -> Spending:
    """What requests have cost, those that the end of the run cut among them."""
    rows = rows.where((rows["step"] >= 0) & ~rows.flagged(NOT_STARTED)) if len(rows) else rows
    return Spending(
        requests=len(rows),
        bytes_=int(rows["bytes_in"].sum() + rows["bytes_out"].sum()),
        errors=len(rows) - int(np.count_nonzero(rows.flagged(SUCCESS))),
    )
