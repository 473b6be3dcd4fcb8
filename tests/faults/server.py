"""A target that starts in a few milliseconds: `python -I -S server.py PORT`.

It prints the port it listens on, and then answers, by path:

    /slow/N   200 after N milliseconds        /fail    500
    /bye      200, and closes                 /close   closes without an answer
    /half     half an answer, and closes      /move    302 to /ok
    /peak     the most requests that it ever had at once, this one not counted
    /silence  the longest time without an answer: its begin and its end, by the wall clock
    anything else   200

It knows nothing but the standard library, and of that as little as can be: it is killed and started
again in the middle of runs.
"""

import heapq
import os
import select
import socket
import sys
import time

BODIES = {
    b"/fail": b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\noh",
    b"/bye": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye",
    b"/close": b"",
    b"/half": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    b"/move": b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n",
}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TOLD = (b"/peak", b"/silence")
CLOSING = (b"/bye", b"/close", b"/half")


class Server:
    """All connections, and the answers that are not yet due."""

    def __init__(self, port: int) -> None:
        self.listener = listen(port)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.connections: dict[int, socket.socket] = {}
        self.received: dict[int, bytes] = {}
        self.due: list[tuple[float, int, socket.socket, bytes]] = []
        self.under_way = self.peak = self.count = 0
        self.answered_s = 0.0
        self.silence_s = (0.0, 0.0)

    def serve(self) -> None:
        """Serve until killed."""
        while True:
            wait_s = max(0.0, self.due[0][0] - time.monotonic()) if self.due else -1
            for fd, _ in self.epoll.poll(wait_s):
                if fd == self.listener.fileno():
                    self.accept()
                elif fd in self.connections:
                    self.read(self.connections[fd])
            while self.due and self.due[0][0] <= time.monotonic():
                _, _, connection, path = heapq.heappop(self.due)
                self.answer(connection, path)

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[connection.fileno()] = connection
            self.received[connection.fileno()] = b""
            self.epoll.register(connection, select.EPOLLIN)

    def read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.close(connection)
            return
        fd = connection.fileno()
        self.received[fd] += data
        head, end, body = self.received[fd].partition(b"\r\n\r\n")
        if not end or len(body) < content_length(head):
            return
        self.received[fd] = b""
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        if path not in TOLD:
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)
        wait_s = int(path[6:]) / 1e3 if path.startswith(b"/slow/") else 0.0
        if wait_s:
            self.count += 1
            heapq.heappush(self.due, (time.monotonic() + wait_s, self.count, connection, path))
        else:
            self.answer(connection, path)

    def answer(self, connection: socket.socket, path: bytes) -> None:
        text = BODIES.get(path, OK)
        if path in TOLD:
            body = f"{self.peak}".encode() if path == b"/peak" else b"%r %r" % self.silence_s
            text = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        else:
            self.under_way -= 1
            self.note_gap(time.time())
        if connection.fileno() < 0:
            return
        try:
            connection.send(text)
        except OSError:
            self.close(connection)
            return
        if path in CLOSING:
            self.close(connection)

    def note_gap(self, now_s: float) -> None:
        if self.answered_s and now_s - self.answered_s > self.silence_s[1] - self.silence_s[0]:
            self.silence_s = self.answered_s, now_s
        self.answered_s = now_s

    def close(self, connection: socket.socket) -> None:
        del self.connections[connection.fileno()], self.received[connection.fileno()]
        connection.close()


def listen(port: int) -> socket.socket:
    """A listener on that port; if it is 0, on one that the system gives to no client.

    A client that connects to a port where nobody listens, and is given that very port to connect
    from, is connected with itself, and nobody can listen there any more.
    """
    candidates = [port] if port else range(20_000 + os.getpid() % 10_000, 32_000)
    for candidate in candidates:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(4096)
        except OSError:
            listener.close()
        else:
            return listener
    raise SystemExit(f"no port is free: {port}")


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


if __name__ == "__main__":
    server = Server(int(sys.argv[1]))
    sys.stdout.write(f"{server.listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.serve()
