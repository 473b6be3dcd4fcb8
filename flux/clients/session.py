"""One session under way: the flow says what to do, an exchanger does it, each request is a row."""

import attrs
import trio

from flux.clients.exchange import Exchange, Exchanger
from flux.clients.work import Work
from flux.flows.actions import End, Pause, Result, Send, Session
from flux.schemas import ErrorCode, Flag


class SessionRunner:
    """Runs sessions of one executor, each in the task of whoever asks."""

    def __init__(self, work: Work) -> None:
        """Args: work, whose log the rows go to."""
        self._work = work
        self._clock = work.context.run.clock

    async def run(
        self,
        session: Session,
        seq: int,
        user: int,
        target: int,
        due_ns: int,
        flags: Flag,
        exchanger: Exchanger,
    ) -> int:
        """Let the flow say what to do until it ends, one row per request; when the last one did."""
        row = _RowOf(seq, user, target, due_ns, flags | Flag.FIRST)
        action = next(session)
        over_ns = self._clock.now_ns()
        try:
            while not isinstance(action, End):
                if isinstance(action, Pause):
                    row.due_ns = over_ns = over_ns + action.duration_ns
                    await self._clock.wait_until(over_ns)
                    action = session.send(None)
                    continue
                row.begin(action, self._clock.now_ns())
                await self._exchange(action, row.exchange, exchanger)
                over_ns = row.end(self._clock.now_ns())
                result = self._judge(action, row)
                action = session.send(result)
                self._write(row, action)
        finally:
            # Not only where Cancelled is raised: libraries raise it in groups as well.
            if not isinstance(action, End):
                self._write_aborted(row)
            session.close()
        return over_ns

    async def _exchange(self, send: Send, exchange: Exchange, exchanger: Exchanger) -> None:
        with trio.move_on_after(send.plan.timeout_ns / 1e9) as scope:
            await exchanger.exchange(send, exchange)
        if scope.cancelled_caught:
            connecting = exchange.opened_connection and not exchange.connect_ns
            exchange.error = ErrorCode.CONNECT_TIMEOUT if connecting else ErrorCode.TIMEOUT

    def _judge(self, send: Send, row: "_RowOf") -> Result:
        exchange = row.exchange
        if not exchange.error:
            exchange.error = send.plan.judge(
                exchange.status, exchange.headers, exchange.body, row.end_ns - row.start_ns
            )
        return Result(exchange.error, exchange.headers, exchange.body)

    def _write(self, row: "_RowOf", next_action: object) -> None:
        skipped = 0
        if not row.exchange.error:
            row.flags |= Flag.SUCCESS
        if isinstance(next_action, End):
            skipped = next_action.skipped
            row.flags |= Flag.LAST | (Flag.SESSION_SUCCESS if next_action.success else Flag(0))
        row.write(self._work, skipped)
        row.next_request()

    def _write_aborted(self, row: "_RowOf") -> None:
        row.end_ns = self._clock.now_ns()
        if not row.in_flight:  # it was pausing: there is no request to tell of
            row.step, row.start_ns, row.exchange = -1, row.end_ns, Exchange()
            row.due_ns = min(row.due_ns, row.end_ns)
        row.exchange.error = ErrorCode.ABORTED
        row.flags |= Flag.ABORTED | Flag.LAST
        row.write(self._work, 0)


@attrs.define
class _RowOf:
    """The OUTCOME row of the request a session is at."""

    seq: int
    session: int
    target: int
    due_ns: int
    flags: Flag
    step: int = -1
    start_ns: int = 0
    end_ns: int = 0
    in_flight: bool = False
    exchange: Exchange = attrs.field(factory=Exchange)

    def begin(self, send: Send, now_ns: int) -> None:
        self.step, self.start_ns, self.in_flight = send.plan.index, now_ns, True
        self.exchange = Exchange(target=self.target)

    def end(self, now_ns: int) -> int:
        """The exchange has returned; where it failed, nothing was complete before."""
        complete_ns = 0 if self.exchange.error else self.exchange.end_ns
        self.end_ns = max(self.start_ns, complete_ns or now_ns)
        return self.end_ns

    def next_request(self) -> None:
        self.due_ns, self.in_flight, self.flags = self.end_ns, False, Flag(0)

    def write(self, work: Work, skipped: int) -> None:
        exchange = self.exchange
        opened = Flag.NEW_CONNECTION if exchange.opened_connection else Flag(0)
        step = self.step if self.step < 0 else self.step + work.context.first_step
        work.log.record(
            self.seq,
            self.session,
            step,
            skipped,
            self.due_ns,
            self.start_ns,
            exchange.connect_ns,
            exchange.tls_ns,
            exchange.first_byte_ns,
            self.end_ns,
            exchange.status,
            exchange.error,
            exchange.bytes_out,
            exchange.bytes_in,
            self.flags | opened,
            exchange.retries,
            self.target + work.context.first_target,
        )
