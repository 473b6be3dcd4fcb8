"""The stage that stands for an executor whose sessions are driven by worker processes.

It sends what its workers send, and keeps the laws of conservation where one of them dies: each
arrival of its share becomes a row, and the run has a finding that names it.
"""

from functools import partial
from typing import Any, ClassVar

import attrs
import trio

from flux.columns import AGAIN, FIRST, NOT_STARTED
from flux.errors import FluxError
from flux.generator import Generator
from flux.graph import Pipeline
from flux.log import LOG_FILE
from flux.schemas import OUTCOME, ROSTER, Rows, Schema
from flux.stage import Context, Outbox
from flux.summary import Finding
from flux.workers.books import Books
from flux.workers.job import Order, shard_of
from flux.workers.keys import OnWorkerLoss
from flux.workers.link import Count, Frame, Kind
from flux.workers.lost import Share, cut_rows, lost_rows, lost_users
from flux.workers.process import WorkerProcess
from flux.workers.steering import Change, Steering, change_after_ns

POLLS_PER_TICK = 4
SHORTEST_POLL_S = 0.005

FOREVER_NS = 2**62


@attrs.frozen(eq=False)
class WorkerPool:
    """An executor, driven by processes that are ready when it is made; see `flux.workers`."""

    emits: ClassVar[Schema] = OUTCOME

    executor: Any
    """The stage as it was written."""
    workers: tuple[WorkerProcess, ...]
    pipeline: Pipeline
    """What the workers run."""

    @property
    def step_names(self) -> tuple[str, ...]:
        """The executor's."""
        names: tuple[str, ...] = getattr(self.executor, "step_names", ())
        return names or tuple(node.name for node in self.pipeline.executors)

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """The executor's."""
        requests: tuple[tuple[str, str], ...] = getattr(self.executor, "requests", ())
        return requests

    @property
    def target_names(self) -> tuple[str, ...]:
        """The executor's."""
        names: tuple[str, ...] = getattr(self.executor, "target_names", ())
        return names or tuple(node.name for node in self.pipeline.executors)

    @property
    def target_urls(self) -> tuple[str, ...]:
        """The executor's."""
        urls: tuple[str, ...] = getattr(self.executor, "target_urls", ())
        return urls

    async def produce(self, context: Context, outbox: Outbox) -> None:
        """Send what the workers send until all of them have ended.

        Raises:
            FluxError: a stage failed in a worker, which is named.
        """
        on_loss: OnWorkerLoss = getattr(self.executor, "on_worker_loss", "continue")
        await _PoolRun(self, context, outbox, on_loss).run()


@attrs.define(eq=False)
class _Member:
    """A worker during the run."""

    worker: WorkerProcess
    share: Share
    books: Books
    users: Books
    """Users who arrived and were heard of, by their number."""
    planned: int | None = None
    open_sessions: int | None = None
    generator: Generator | None = None
    """What it knows of itself, once it has ended well."""
    fate: str = ""
    """How it died, if it did."""
    died_ns: int = 0

    @property
    def tells_open(self) -> bool:
        """Whether it is known how many sessions it has open, if only that it has none any more."""
        return self.open_sessions is not None or bool(self.fate)


class _PoolRun:
    """A pool at work in one run."""

    def __init__(
        self, pool: WorkerPool, context: Context, outbox: Outbox, on_loss: OnWorkerLoss
    ) -> None:
        self._context, self._run, self._outbox = context, context.run, outbox
        self._on_loss = on_loss
        executor = pool.pipeline.executors[0]
        self._has_users = executor.accepts is ROSTER
        self._plans_ahead = pool.pipeline.plans_ahead(executor)
        self._steering = Steering([Change.of(self._run.control, -1)])
        self._stopped_ns: int | None = None
        self._failures: list[FluxError] = []
        self._status: dict[str, Any] = {}
        self._tells_open = False
        count = len(pool.workers)
        shards = [shard_of(self._run.shard, worker.number, count) for worker in pool.workers]
        shares = [Share(pool.pipeline, self._run, shard, self._steering) for shard in shards]
        self._members = [
            _Member(worker, share, Books(share.shard), Books(share.shard))
            for worker, share in zip(pool.workers, shares)
        ]

    async def run(self) -> None:
        """Let the workers begin, pass on what goes to and fro, and settle what is left."""
        async with trio.open_nursery() as steering:
            for member in self._members:
                order = Order.of(self._run, member.share.shard, self._steering.changes[0])
                steering.start_soon(member.worker.tell, Kind.GO, order)
            steering.start_soon(self._steer)
            steering.start_soon(self._pass_on_stop)
            steering.start_soon(self._pass_on_abort)
            async with trio.open_nursery() as listening:
                for member in self._members:
                    listening.start_soon(self._listen, member)
            steering.cancel_scope.cancel()
        for member in self._members:
            if member.generator is not None:
                self._context.report_generator(member.generator)
            if member.fate:
                await self._settle(member)
        if self._failures:
            raise self._failures[0]

    async def _tell_all(self, kind: Kind, value: object = None) -> None:
        for member in self._members:
            await member.worker.tell(kind, value)

    async def _steer(self) -> None:
        """Look for changes of the level a few times a tick, and pass them on."""
        control = self._run.control
        pause_s = max(SHORTEST_POLL_S, self._run.tick_ns / 1e9 / POLLS_PER_TICK)
        while True:
            await trio.sleep(pause_s)
            change = Change.of(control, change_after_ns(self._run))
            if not change.is_same(self._steering.changes[-1]):
                self._steering.add(change)
                await self._tell_all(Kind.CHANGE, change)

    async def _pass_on_stop(self) -> None:
        await self._run.control.stopping.wait()
        self._stopped_ns = self._run.clock.now_ns()
        await self._tell_all(Kind.STOP)

    async def _pass_on_abort(self) -> None:
        await self._run.control.aborting.wait()
        await self._tell_all(Kind.ABORT)

    async def _listen(self, member: _Member) -> None:
        """Take in what a worker sends until it says that nothing follows, or is gone."""
        while (frame := await member.worker.link.receive()) is not None:
            match frame.kind:
                case Kind.ROWS | Kind.COUNT:
                    self._note_count(member, frame.count)
                    if frame.kind is Kind.ROWS:
                        self._note_rows(member, rows := frame.rows)
                        await self._outbox.send(rows)
                case Kind.END:
                    name = f"worker {member.worker.number}"
                    member.generator = attrs.evolve(frame.value, name=name)
                    return
                case _:
                    self._take_word(member, frame)
        await self._note_loss(member)

    def _note_rows(self, member: _Member, rows: Rows) -> None:
        member.books.add(rows)
        if self._has_users and self._plans_ahead:
            kinds = rows["flags"] & (FIRST | AGAIN | NOT_STARTED)
            member.users.note_over(rows["session"][(kinds != 0) & (kinds & AGAIN == 0)])

    def _note_count(self, member: _Member, count: Count) -> None:
        member.planned, member.open_sessions = count.planned, count.open_sessions
        self._report_planned()
        if not self._tells_open and all(one.tells_open for one in self._members):
            self._tells_open = True
            self._context.report_gauge(self._open_sessions)

    def _open_sessions(self) -> int:
        return sum(member.open_sessions or 0 for member in self._members if not member.fate)

    def _report_planned(self) -> None:
        self._context.report_planned(sum(member.planned or 0 for member in self._members))

    def _take_word(self, member: _Member, frame: Frame) -> None:
        if frame.kind is Kind.LOG:
            for level, text, details in frame.value:
                number, extra = member.worker.number, {"traceback": details}
                self._run.log.log(level, "worker %d: %s", number, text, extra=extra)
        elif frame.kind is Kind.MARKS:
            if member is self._speaker:
                self._run.marks.extend(frame.value)
        elif frame.kind is Kind.STATUS:
            if member is self._speaker:
                self._take_status(frame.value)
        elif frame.kind is Kind.STOPPED:
            self._run.control.stop(frame.value)
        elif frame.kind is Kind.FAILED:
            text, hint, details = frame.value
            if details and self._run.folder is not None:  # its log has told them
                hint = f"the traceback is in {self._run.folder / LOG_FILE}"
            self._failures.append(FluxError(f"{member.worker.name}: {text}", hint=hint))

    @property
    def _speaker(self) -> _Member | None:
        """The worker whose marks and status stand for those of all: the first that lives.

        What workers note they note each for itself, as that a target is not healthy any more, and
        the run shall have it once. The log has it from all of them.
        """
        return next((member for member in self._members if not member.fate), None)

    def _take_status(self, status: dict[str, Any]) -> None:
        for what in status.keys() - self._status.keys():
            self._context.report_status(what, partial(self._told, what))
        self._status = status

    def _told(self, what: str) -> Any:
        return self._status.get(what)

    async def _note_loss(self, member: _Member) -> None:
        member.died_ns = self._run.clock.now_ns()
        member.fate = await member.worker.wait_fate()
        told = f"; it said: {member.worker.told}" if member.worker.told else ""
        text = f"{_fate(member)}{told}"
        self._run.log.error("%s", text)
        if self._on_loss == "stop":
            self._run.control.stop()

    async def _settle(self, member: _Member) -> None:
        """Send a row for each session of a dead worker that has no end, and say so."""
        cut = cut_rows(member.books, member.died_ns)
        heard = (member.users if self._has_users else member.books).over
        lost = 0

        async def take(arrivals: Rows) -> None:
            nonlocal lost
            rows = self._lost(member, arrivals)
            if len(rows):
                lost += len(rows)
                await self._outbox.send(rows)

        if len(cut):
            await self._outbox.send(cut)
        if not self._plans_ahead:
            users = await member.share.count_users(member.died_ns)
            what = f"its {users} users were gone from then on"
        else:
            until_ns = FOREVER_NS if self._stopped_ns is None else self._stopped_ns
            await member.share.each_arrival(until_ns, take)
            member.planned = heard + lost + (0 if self._has_users else len(cut))
            self._report_planned()
            what = f"{lost} arrivals of its share were lost"
        if len(cut):
            what += f" and {len(cut)} sessions cut"
        self._report_fatal(f"{_fate(member)}: {what}")

    def _lost(self, member: _Member, arrivals: Rows) -> Rows:
        if self._has_users:
            return lost_users(arrivals, member.books, member.users, member.died_ns)
        return lost_rows(arrivals, member.books, member.died_ns)

    def _report_fatal(self, text: str) -> None:
        self._run.log.error("%s", text)
        remedy = "find out what ended it: its last words are in the log, a lack of memory in dmesg"
        self._context.report_finding(Finding(text, is_fatal=True, remedy=remedy))


def _fate(member: _Member) -> str:
    return f"{member.worker.name} {member.fate} at {member.died_ns / 1e9:.1f} s"
