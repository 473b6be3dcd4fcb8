"""`null`: an executor without a target, which answers from a model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, ClassVar

import attrs

from flux.arrivals import end_of_source_ns
from flux.clients.exchange import Exchange, Exchanger
from flux.clients.outcome_log import OutcomeLog
from flux.clients.tasks import drive
from flux.clients.work import Limits, OnLate, Work
from flux.clock import Clock
from flux.config.rules import above, at_least, between
from flux.flows.actions import Action, End, Flow, RequestPlan, Result, Send, Session, Text
from flux.randomness import uniform
from flux.schemas import ARRIVAL, OUTCOME, ROSTER, ErrorCode, Schema
from flux.stage import Context, Inbox, Outbox
from flux.units import Duration
from flux.workers.keys import ONE, OnWorkerLoss, Processes

_FAILURE_SLOT = 0


@attrs.frozen(kw_only=True)
class Stall:
    """A time in which the modelled target answers nobody."""

    at: Duration
    """When it freezes, from the start of the run."""
    for_: Duration
    """How long it stays frozen."""


@attrs.frozen(kw_only=True)
class Null:
    """Answers each session with one modelled request: a service time, and maybe a stall.

    Requests do not wait for each other. One that is begun while the target is frozen, or that is
    not over when it freezes, ends after the thaw, with the rest of its service time still to go.
    """

    accepts: ClassVar[tuple[Schema, ...]] = (ARRIVAL, ROSTER)
    emits: ClassVar[Schema] = OUTCOME
    sample: ClassVar[str] = '[[stage]]\nuse = "null"\nservice = "5ms"\n'

    service: Duration = Duration(0)
    """How long a request takes."""
    failures: Annotated[float, between(0, 1)] = 0.0
    """Share of requests that fail with status 503, drawn from the seed and the arrival's number."""
    stall: Stall | None = None
    """When the target freezes, and for how long; never if absent."""
    max_in_flight: Annotated[int, at_least(1)] = 10_000
    """Sessions open at once, at the most."""
    on_late: OnLate = "queue"
    """What becomes of an arrival that finds no place: "queue" waits for one, "drop" gives it up."""
    max_lag: Annotated[Duration, above(0)] | None = None
    """An arrival that could not start this long after it was due is dropped; never if absent."""
    processes: Processes = ONE
    """Worker processes that share the sessions; "auto": one for each CPU that flux may use. What
    bounds the run (max_in_flight) is divided among them; none gets less than 1."""
    on_worker_loss: OnWorkerLoss = "continue"
    """When a worker process dies, its share counts as lost and the run as invalid, and the others
    "continue" or "stop"."""

    @property
    def step_names(self) -> tuple[str, ...]:
        """Its one step."""
        return ("null",)

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """Method and path of its one step."""
        return (("GET", "null:"),)

    async def run(self, context: Context, inbox: Inbox, outbox: Outbox) -> None:
        """Answer every session that is due."""
        work = Work(
            context=context,
            inbox=inbox,
            schema=context.given or ARRIVAL,
            flow=Flow((_PLAN,), _session),
            limits=Limits(self.max_in_flight, self.on_late, self.max_lag),
            log=OutcomeLog(outbox),
            habits=context.habits,
            ends_ns=end_of_source_ns(context) if context.given is ARRIVAL else None,
        )
        model = _Model(self, context.run.clock, context.run.seed)

        @asynccontextmanager
        async def open_model() -> AsyncIterator[Exchanger]:
            yield model

        await drive(work, open_model)

    def ends_at(self, start_ns: int) -> int:
        """When a request that starts then is answered."""
        end_ns = start_ns + self.service
        if self.stall is None:
            return end_ns
        frozen_ns, thawed_ns = int(self.stall.at), self.stall.at + self.stall.for_
        if end_ns <= frozen_ns or start_ns >= thawed_ns:
            return end_ns
        return end_ns + thawed_ns - max(start_ns, frozen_ns)


def _judge(status: int, headers: object, body: object, latency_ns: int) -> ErrorCode:
    return ErrorCode.NONE if status < 400 else ErrorCode.STATUS


_PLAN = RequestPlan(
    index=0,
    name="null",
    method="GET",
    target=Text((b"/",)),
    headers=(),
    body=None,
    timeout_ns=3600 * 10**9,
    wants_headers=False,
    wants_body=False,
    judge=_judge,
)


def _session(seq: int, user: int) -> Session:
    result: Result | None = yield Send(_PLAN, (str(seq).encode(),))
    end: Action = End(success=result is not None and not result.error, skipped=0)
    yield end


@attrs.frozen
class _Model:
    """The target: it sleeps instead of working."""

    stage: Null
    clock: Clock
    seed: int

    async def exchange(self, send: Send, exchange: Exchange) -> None:
        """Wait as long as the modelled target would take."""
        await self.clock.wait_until(self.stage.ends_at(self.clock.now_ns()))
        exchange.first_byte_ns = self.clock.now_ns()
        fails = uniform(self.seed, int(send.values[0]), _FAILURE_SLOT) < self.stage.failures
        exchange.status = 503 if fails else 200
