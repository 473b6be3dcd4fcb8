"""The connections to one origin: bounded, reused last in, first out, never stampeding.

A request that finds no idle connection waits, and one more connection is opened as long as there
are more requests waiting than connections being opened. Which connection serves it is decided by
which is ready first, one that was opened or one that another request has done with. So a target
that slows down does not meet a burst of connections that nobody needs any more: at the most
`max_connecting` are under way, and at the most `max_connections` exist.

Reusing the last one in keeps a few connections busy and lets the rest grow old, which is what
browsers' and proxies' pools do, and what finds a dead connection soonest.
"""

import socket
import ssl
import sys
from collections import deque
from typing import TYPE_CHECKING

from flux.clients.wire.connection import Connection
from flux.clients.wire.deadlines import NEVER_NS
from flux.clients.wire.opening import Opening
from flux.clients.wire.resolve import Address
from flux.clients.wire.settings import Origin
from flux.clients.wire.visit import Visit
from flux.schemas import ErrorCode, Flag

if TYPE_CHECKING:
    from flux.clients.wire.sessions import Sessions

_NEW_CONNECTION = int(Flag.NEW_CONNECTION)


class Pool:
    """Connections to one origin, and the requests that wait for one."""

    def __init__(self, sessions: "Sessions", origin: Origin, where: tuple[str, int] | str) -> None:
        self.sessions = sessions
        self.loop = sessions.loop
        self.origin = origin
        self.idle: list[Connection] = []
        """Ready for a request, the last one used at the end; some may have been closed since."""
        self.waiting: deque[Visit] = deque()
        self.connections: set[Connection] = set()
        """All that are open."""
        self.watched_ns = NEVER_NS
        self._where = where
        self._opening: set[Opening] = set()
        self._most = sessions.settings.max_connections or sys.maxsize
        self._most_opening = sessions.settings.max_connecting
        self.source_address = sessions.settings.source_address
        self._spare = sessions.settings.spare_connections
        self._context: ssl.SSLContext | None = None
        self._session: ssl.SSLSession | None = None
        if origin.is_secure:
            self._context = sessions.ssl_context()
            # An origin reached by a redirect has its own name; the override is for targets.
            override = sessions.settings.tls.server_name if sessions.is_target(origin) else None
            self._server_name = override or origin.host

    # Requests

    def carry(self, visit: Visit) -> None:
        """Send the visit's request on an idle connection, or have it wait for one."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if not connection.is_closed:
                if not connection.is_kept:
                    visit.flags |= _NEW_CONNECTION
                connection.begin(visit)
                break
        else:
            self.wait(visit)
        if len(idle) < self._spare:
            self._open_ahead(self.loop.now_ns() + visit.step.timeout_ns)

    def wait(self, visit: Visit, *, first: bool = False) -> None:
        """Have it wait for a connection to be opened or to become idle."""
        visit.connection = None
        visit.start_at(self.loop.now_ns())
        if first:
            self.waiting.appendleft(visit)
        else:
            self.waiting.append(visit)
        if visit.deadline_ns < self.watched_ns:
            self.loop.deadlines.watch(self, visit.deadline_ns)
        self._open_for_waiting()

    def release(self, connection: Connection) -> None:
        """A response is complete: the connection is there for whoever waits longest."""
        connection.is_kept = True
        if self.waiting:
            connection.begin(self.waiting.popleft())
        else:
            self.idle.append(connection)

    # Opening

    def _open_for_waiting(self) -> None:
        while len(self._opening) < len(self.waiting) and self._may_open():
            self._open(self.waiting[len(self._opening)].deadline_ns)

    def _open_ahead(self, deadline_ns: int) -> None:
        if len(self.idle) + len(self._opening) < self._spare and self._may_open():
            self._open(deadline_ns)

    def _may_open(self) -> bool:
        opening = len(self._opening)
        return opening < self._most_opening and opening + len(self.connections) < self._most

    def _open(self, deadline_ns: int) -> None:
        opening = Opening(self, deadline_ns)
        self._opening.add(opening)
        self.loop.deadlines.watch(opening, deadline_ns)
        if isinstance(self._where, str):
            opening.begin([(socket.AF_UNIX, self._where)], ErrorCode.NONE)
            return
        self.sessions.resolver.resolve(
            *self._where, lambda addresses, code: opening.begin(self._reachable(addresses), code)
        )

    def _reachable(self, addresses: list[Address]) -> list[Address]:
        """Those of the source address's family, in a list of their own."""
        if self.source_address is None:
            return list(addresses)
        family = socket.AF_INET6 if ":" in self.source_address else socket.AF_INET
        return [address for address in addresses if address[0] == family]

    def wrap(self, opened: socket.socket) -> ssl.SSLSocket:
        """The socket with TLS around it, the handshake still to be made."""
        if self._context is None:
            raise ValueError(f"{self.origin} has no TLS")
        return self._context.wrap_socket(
            opened,
            do_handshake_on_connect=False,
            server_hostname=self._server_name,
            session=self._session,
        )

    def keep_session(self, opened: socket.socket) -> None:
        """Resume the TLS session of this connection on those to come."""
        if isinstance(opened, ssl.SSLSocket) and self.sessions.settings.resumes_tls:
            session = opened.session
            if session is not None and session.has_ticket:
                self._session = session

    def prefer(self, address: Address) -> None:
        """This address works."""
        if not isinstance(self._where, str):
            self.sessions.resolver.prefer(*self._where, address)

    def on_opened(self, opening: Opening, opened: socket.socket) -> None:
        """A connection is ready for its first request."""
        self._opening.discard(opening)
        connection = Connection(self, opened)
        self.connections.add(connection)
        if not self.waiting:
            self.idle.append(connection)
            return
        visit = self.waiting.popleft()
        visit.flags |= _NEW_CONNECTION
        visit.connect_ns, visit.tls_ns = opening.connect_ns, opening.tls_ns
        connection.begin(visit)

    def on_not_opened(self, opening: Opening) -> None:
        """An attempt is over, and leaves its place to another."""
        self._opening.discard(opening)
        self._open_for_waiting()

    # Ending

    def on_closed(self, connection: Connection) -> None:
        """A connection is gone, and leaves its place to another."""
        self.connections.discard(connection)
        self._open_for_waiting()

    def fail_one(self, code: ErrorCode) -> None:
        """A connection could not be opened: fail the one that has waited longest."""
        if self.waiting:
            self.sessions.lose(self.waiting.popleft(), code, is_stale=False)

    def current_deadline_ns(self) -> int:
        """When the first of those waiting must be done."""
        return min([visit.deadline_ns for visit in self.waiting], default=NEVER_NS)

    def on_deadline(self, now_ns: int) -> None:
        """Fail those who have waited too long."""
        self.expire(now_ns)
        deadline_ns = self.current_deadline_ns()
        if deadline_ns < NEVER_NS:
            self.loop.deadlines.watch(self, deadline_ns)

    def expire(self, now_ns: int) -> None:
        """Fail those who have waited too long."""
        expired = [visit for visit in self.waiting if visit.deadline_ns <= now_ns]
        if not expired:
            return
        self.waiting = deque(visit for visit in self.waiting if visit.deadline_ns > now_ns)
        # Without a connection under way they waited for a place, with TLS under way for that.
        is_connecting = any(not one.connect_ns for one in self._opening)
        code = ErrorCode.CONNECT_TIMEOUT if is_connecting else ErrorCode.TIMEOUT
        for visit in expired:
            self.sessions.lose(visit, code, is_stale=False)

    def close(self) -> None:
        """Close all connections."""
        self.waiting.clear()
        for opening in list(self._opening):
            opening.give_up()
        for connection in list(self.connections):
            connection.close()
