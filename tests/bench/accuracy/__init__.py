"""What tools say of a target that froze, beside what can be computed: `docs/accuracy.md`.

nginx is stopped for two seconds in the middle of ten, under 500 requests per second. What users of
that rate would have felt has an exact answer, so every tool's percentiles can be held against it.

    answer      the exact answer, with its derivation: pure
    stall       stops nginx's worker for a while, and lets it go on
    seen        what a tool says of one run, and how far that is from the answer: pure
    flux_runs   flux: its clients, processes, shards, rows, and its closed model
    peers       k6, Locust, hey and wrk
    page        the page in docs/

Everything else is borrowed from `tests.bench.peers`.
"""
