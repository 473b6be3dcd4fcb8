"""A server that accepts and never answers, for as long as a command runs:

python -m tests.mute_target PORT COMMAND…
"""

import socket
import subprocess
import sys
import threading


def main() -> int:
    """Listen on the port, run the command, and return its exit code."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=512)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    return subprocess.run(sys.argv[2:], check=False).returncode


def _accept(listener: socket.socket) -> None:
    kept = []
    while True:
        kept.append(listener.accept())


if __name__ == "__main__":
    sys.exit(main())
