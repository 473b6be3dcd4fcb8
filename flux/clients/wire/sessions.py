"""Sessions under way: what each asks for is sent, what comes back is judged, recorded, and told.

`_send` and `complete` are the hot ones; see `flux.clients.wire.loop` for how they are reached.
"""

import ssl
from collections.abc import Sequence
from functools import partial

import trio

from flux.clients.refusing import refuse_host
from flux.clients.wire.cookies import CookieJar
from flux.clients.wire.decode import decode
from flux.clients.wire.encode import Step
from flux.clients.wire.errors import BadResponse
from flux.clients.wire.heads import Head
from flux.clients.wire.loop import Loop
from flux.clients.wire.models import Model, OpenModel
from flux.clients.wire.pool import Pool
from flux.clients.wire.redirects import STATUSES, follow
from flux.clients.wire.resolve import Resolver
from flux.clients.wire.response import ResponseReader
from flux.clients.wire.settings import Origin, WireSettings
from flux.clients.wire.user_models import ClosedModel, VisitorsModel
from flux.clients.wire.visit import Home, Visit
from flux.clients.work import Work
from flux.flows.actions import Action, End, Pause, Result, Send, Session
from flux.schemas import ROSTER, ErrorCode, Flag

# Plain numbers: an IntFlag's operators take a microsecond each.
_FIRST, _LAST, _SUCCESS = int(Flag.FIRST), int(Flag.LAST), int(Flag.SUCCESS)
_LAST_SUCCESS = int(Flag.LAST | Flag.SESSION_SUCCESS)
_ABORTED = int(Flag.ABORTED | Flag.LAST)

_RESULTS = tuple(Result(code) for code in ErrorCode)
"""Results without headers and body, by code."""

_IDEMPOTENT = (b"GET ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"TRACE ")
"""Source: RFC 9110, 9.2.2."""


class Sessions:
    """All sessions of a run, the model that starts them, and the pools that carry them."""

    def __init__(
        self, work: Work, targets: Sequence[WireSettings], loop: Loop, nursery: trio.Nursery
    ) -> None:
        self.settings = settings = targets[0]
        self._targets = {target.origin: target for target in reversed(targets)}
        self.loop = loop
        run = work.context.run
        self.resolver = Resolver(
            nursery, settings.resolve_ttl_s, run.manners.hosts, partial(refuse_host, run)
        )
        self._origin_ns = loop.origin_ns
        self._log_row = work.log.record
        self.begin = work.flow.begin
        """What a session of the open model does, by its number and user."""
        self._context: ssl.SSLContext | None = None
        self._pools: dict[Origin, Pool] = {}
        self.homes = [
            self._make_home(work, work.context.first_target + index, target)
            for index, target in enumerate(targets)
        ]
        self.model = self._make_model(work)

    def _make_home(self, work: Work, number: int, target: WireSettings) -> Home:
        steps = tuple(
            Step(plan, target.origin.authority, target.base_path, work.context.first_step)
            for plan in work.flow.plans
        )
        return Home(number, steps, self._pool(target.origin))

    def _make_model(self, work: Work) -> Model:
        if work.schema is not ROSTER:
            return OpenModel(self, work)
        model = VisitorsModel if work.are_arrivals else ClosedModel
        return model(self, self.loop, work)

    def start(self, visit: Visit, seq: int, actions: Session, due_ns: int, flags: int) -> None:
        """Begin a session."""
        visit.seq = seq
        visit.flags = flags | _FIRST
        visit.is_in_flight = False
        visit.actions = actions
        visit.advance = actions.send
        action = next(actions)
        if type(action) is Send:
            self._send(visit, action, due_ns)
        elif type(action) is End:
            # Later, for the session that follows might end at once as well.
            self.loop.soon(self.model.on_end, visit, self.loop.now_ns())
        else:
            self._act(visit, action, self.loop.now_ns())

    def _act(self, visit: Visit, action: Action, now_ns: int) -> None:
        """Do what the session wants next, other than at its start."""
        if type(action) is Send:
            self._send(visit, action, now_ns)
        elif type(action) is End:
            visit.is_in_flight = False
            self.model.on_end(visit, now_ns)
        elif isinstance(action, Pause):
            visit.is_in_flight = False
            visit.due_ns = now_ns + action.duration_ns
            self.loop.later(visit.due_ns, self._after_pause, visit)
        else:
            raise TypeError(f"a flow asked for {action!r}")

    def _after_pause(self, visit: Visit, number: int) -> None:
        if visit in self.model.live:
            self._act(visit, visit.advance(None), visit.due_ns)

    def _send(self, visit: Visit, send: Send, due_ns: int) -> None:
        home = visit.home
        step = home.steps[send.plan.index]
        request, visit.body_bytes = step.encode(send.values)
        visit.step = step
        visit.is_in_flight = True
        visit.due_ns = due_ns
        visit.first_byte_ns = visit.connect_ns = visit.tls_ns = 0
        visit.retries = visit.redirects = 0
        visit.request = request
        if visit.jar is not None:
            self._add_cookies(visit, home.pool.origin)
        visit.start_ns = 0
        home.pool.carry(visit)

    def complete(self, visit: Visit, head: Head, body: bytes | None, end_ns: int) -> None:
        """Judge a complete response, write its row, and go on with the session."""
        status, bytes_in, headers, encoding = head
        if encoding is not None and body is not None:
            try:
                body = decode(body, encoding)
            except BadResponse as error:
                self._fail(visit, error.code, end_ns)
                return
        step = visit.step
        error_code = step.judge(status, headers, body, end_ns - visit.start_ns)
        if headers is None and body is None:
            action = visit.advance(_RESULTS[error_code])
        else:
            action = visit.advance(Result(error_code, headers, body))
        self._record(visit, action, status, error_code, bytes_in, end_ns)
        self._act(visit, action, end_ns)

    def _fail(self, visit: Visit, code: ErrorCode, end_ns: int) -> None:
        """There is no complete response: tell the session, and go on with it."""
        action = visit.advance(_RESULTS[code])
        self._record(visit, action, 0, code, 0, end_ns)
        self._act(visit, action, end_ns)

    def _record(
        self, visit: Visit, action: Action, status: int, error: int, bytes_in: int, end_ns: int
    ) -> None:
        flags = visit.flags if error else visit.flags | _SUCCESS
        skipped = 0
        if type(action) is End:
            skipped = action.skipped
            flags |= _LAST_SUCCESS if action.success else _LAST
        visit.flags = 0
        self._log_row(
            visit.seq,
            visit.user,
            visit.step.number,
            skipped,
            visit.due_ns,
            visit.start_ns,
            visit.connect_ns,
            visit.tls_ns,
            visit.first_byte_ns,
            end_ns,
            status,
            error,
            visit.body_bytes,
            bytes_in,
            flags,
            visit.retries,
            visit.home.number,
        )

    # The less common turns of an exchange

    def lose(self, visit: Visit, code: ErrorCode, *, is_stale: bool) -> None:
        """A request has failed: send it again if that is safe and may help, or give it up."""
        if is_stale and not visit.retries and visit.request.startswith(_IDEMPOTENT):
            visit.retries += 1
            pool = visit.connection.pool if visit.connection else visit.home.pool
            pool.wait(visit, first=True)
            return
        self._fail_now(visit, code)

    def _fail_now(self, visit: Visit, code: ErrorCode) -> None:
        now_ns = self.loop.now_ns()
        visit.start_at(now_ns)
        self._fail(visit, code, now_ns)

    def is_special(self, status: int, reader: ResponseReader) -> bool:
        """Whether a response asks for more than to be judged: a redirect, or cookies to keep."""
        if status in STATUSES and self.settings.max_redirects:
            return reader.first(b"location") is not None
        return self.settings.keeps_cookies and reader.first(b"set-cookie") is not None

    def take_special(self, visit: Visit, status: int, reader: ResponseReader) -> bool:
        """Keep its cookies and follow its redirect; True when the exchange goes on."""
        pool = visit.connection.pool if visit.connection else visit.home.pool
        cookies = reader.all(b"set-cookie") if self.settings.keeps_cookies else []
        if cookies:
            visit.jar = visit.jar or CookieJar()
            visit.jar.store(cookies, pool.origin.host, _target(visit.request))
        location = reader.first(b"location")
        if status not in STATUSES or not self.settings.max_redirects or location is None:
            return False
        try:
            if visit.redirects == self.settings.max_redirects:
                raise BadResponse(ErrorCode.REDIRECTS)
            visit.request, origin = follow(visit.request, pool.origin, status, location)
        except BadResponse as error:
            self.loop.soon(self._fail_now, visit, error.code)
            return True
        visit.redirects += 1
        visit.first_byte_ns = 0
        self._add_cookies(visit, origin)
        self._pool(origin).carry(visit)
        return True

    def _add_cookies(self, visit: Visit, origin: Origin) -> None:
        """Add the cookies the session has for there, unless the step brings its own."""
        if visit.jar is None or visit.step.has_cookies:
            return
        cookies = visit.jar.header(origin.host, _target(visit.request), origin.is_secure)
        if cookies:
            line = b"\r\nCookie: %b\r\n" % cookies
            visit.request = visit.request.replace(b"\r\n", line, 1)

    # Pools

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            where: tuple[str, int] | str = (origin.host, origin.port)
            if target := self._targets.get(origin):
                where = target.unix_socket or target.connect_to or where
            self._pools[origin] = pool = Pool(self, origin, where)
        return pool

    def is_target(self, origin: Origin) -> bool:
        """Whether a target is there; else it was reached by a redirect."""
        return origin in self._targets

    def ssl_context(self) -> ssl.SSLContext:
        """The context of all https connections."""
        if self._context is None:
            self._context = self.settings.tls.context()
        return self._context

    # The end

    def abort(self) -> None:
        """Give up everything in flight, with a row for each."""
        now_ns = self.loop.now_ns()
        for visit in list(self.model.live):
            self._abort(visit, now_ns)
        self.model.live.clear()
        self.model.running = 0

    def _abort(self, visit: Visit, now_ns: int) -> None:
        if visit.rest_number >= 0:
            return
        visit.actions.close()
        step, body_bytes = -1, 0
        if not visit.is_in_flight:  # it was pausing: there is no request to tell of
            visit.start_ns = now_ns
            visit.due_ns = min(visit.due_ns, now_ns)
            visit.first_byte_ns = visit.connect_ns = visit.tls_ns = visit.retries = 0
        else:
            step, body_bytes = visit.step.number, visit.body_bytes
            visit.start_at(now_ns)  # it may be one that was to be sent at the end of the round
        self._log_row(
            visit.seq,
            visit.user,
            step,
            0,
            visit.due_ns,
            visit.start_ns,
            visit.connect_ns,
            visit.tls_ns,
            visit.first_byte_ns,
            now_ns,
            0,
            ErrorCode.ABORTED,
            body_bytes,
            0,
            visit.flags | _ABORTED,
            visit.retries,
            visit.home.number,
        )

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()


def _target(request: bytes) -> str:
    """Path and query of a request."""
    return request.split(b" ", 2)[1].decode("latin-1")
