"""`python -m flux.workers DESCRIPTOR`: a worker, started by a run and by nobody else."""

import signal
import sys

import trio

from flux.workers.worker import work

if __name__ == "__main__":
    # Ctrl-C is for the parent, which tells its workers what to do. SIGTERM ends a worker, and the
    # parent counts it as lost.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trio.run(work, int(sys.argv[1]))
