"""The least that a client in Python can do: a bound, not a load generator.

    python -m tests.bench.peers.bare_loop URL CONNECTIONS SECONDS

Per request one `recv`, the end of the head found and the head looked up, one `send` of bytes that
never change, two readings of the clock, and a share of an `epoll_wait`. Nothing is measured,
checked, counted by status, paced, timed out or written. Whatever a client does in pure Python over
sockets comes on top of this. It prints how many responses there were, and in how many seconds.
"""

import select
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping

_END_OF_HEAD = b"\r\n\r\n"
_MOST_BYTES = 65536
_EVENTS_PER_ROUND = 32


def main() -> None:
    """Run it with the arguments of the command line."""
    url, connections, seconds = sys.argv[1:]
    responses, taken_s = run(url, int(connections), float(seconds))
    print(responses, taken_s)


def run(url: str, connections: int, seconds: float) -> tuple[int, float]:
    """Ask for it over that many connections, for that long.

    Returns:
        How many responses there were, and how many seconds it took.

    Raises:
        OSError: the target cannot be reached, or has closed a connection.
    """
    parts = urllib.parse.urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    sockets = [_connected(str(parts.hostname), parts.port or 80) for _ in range(connections)]
    poll = select.epoll()
    for one in sockets:
        poll.register(one.fileno(), select.EPOLLIN)
        one.send(request)
    methods = {one.fileno(): (one.recv, one.send) for one in sockets}
    return _rounds(poll, methods, request, seconds)


def _connected(host: str, port: int) -> socket.socket:
    one = socket.create_connection((host, port))
    one.setblocking(False)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def _rounds(
    poll: select.epoll,
    methods: Mapping[int, tuple[Callable[[int], bytes], Callable[[bytes], int]]],
    request: bytes,
    seconds: float,
) -> tuple[int, float]:
    heads: dict[bytes, int] = {}
    responses, waiting = 0, []
    clock_ns = time.perf_counter_ns
    now_ns = began_ns = clock_ns()
    until_ns = began_ns + int(seconds * 1e9)
    while now_ns < until_ns:
        for fd, _ in poll.poll(-1, _EVENTS_PER_ROUND):
            receive, send = methods[fd]
            data = receive(_MOST_BYTES)
            now_ns = clock_ns()
            head = data[: data.find(_END_OF_HEAD) + 4]
            if head not in heads:
                if not head:
                    raise ConnectionError("the target has closed a connection")
                heads[head] = len(data)
            responses += 1
            waiting.append(send)
        for send in waiting:
            clock_ns()
            send(request)
        waiting.clear()
    return responses, (clock_ns() - began_ns) / 1e9


if __name__ == "__main__":
    main()
