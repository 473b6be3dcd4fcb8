"""flux beside wrk, hey, k6 and Locust: the same target, the same work, the same sitting.

One core runs nginx, the other runs one generator at a time. Every round runs every contender once,
A B C … A B C …, so that a slow minute of the machine hits all of them; a ratio is taken inside one
round, and the figure reported is the median of the rounds.

    machine    what this machine is, and which core is for what
    children   one child process: pinned, bounded in time, sampled for CPU and memory
    target     nginx, in the foreground, on loopback
    scripts    what k6 and Locust are given to run
    tools      a class per peer: its command line, and how to read its output
    flux_runs  the same for flux: the one place that knows flux's files
    scenarios  who is compared with whom, and what is wanted
    measure    readings, medians, ratios: pure
    sitting    warm-up, rounds, tries
    report     the page in docs/
    installation    apt-get and pip, when asked to
"""
