"""More than one core: processes that each drive a share of an executor's sessions.

    parent                                  worker i of n, a process with a session of its own
    ──────                                  ───────────────────────────────────────────────────
    open_workers: start, send the job  ──►  unpickle the stages, say READY
    the run's clock begins
    WorkerPool.produce: GO, control    ──►  the engine runs source → shapers → pacer → executor
    collector, sinks, console          ◄──  OUTCOME rows, arrivals planned, log lines, END

Strategy. Arrivals are arithmetic on a seed, so every worker computes all of them and keeps its own:
nobody hands out work. A worker runs the very engine that a run in one process does; only its sink
is another one, which writes to the parent. The parent keeps, per worker, which sessions have begun
and which are over. If a worker dies, the parent computes what was the worker's to do, and whatever
has no end in its books becomes a row that says so.
"""
