"""For tests of stages, built-in and of plug-ins: check a class, make one from TOML, and run it.

The stages' own coroutines run, over real channels, so what a test sees is what a run does. Time is
virtual: nothing here waits. Everything is called from a plain test, outside of trio.

    check_stage        the class is one that flux can use, documented, with a sample that works
    make_stage         one of it, from the lines of its TOML table
    plan_demand        what comes out below a generator and its shapers
    plan_arrivals      the sessions that the pacer makes of that
    make_requests      rows for a sink
    run_sink           a sink, given batches
    run_text           a whole pipeline, which finds stages by their entry points as `flux run` does

`plan_contexts` and `wanted_by` are what these are made of; 0 ns of all of them is STARTED_AT.
"""

from flux.testing.classes import check_stage, make_stage
from flux.testing.planning import plan_arrivals, plan_contexts, plan_demand, wanted_by
from flux.testing.running import make_requests, run_sink, run_text
from flux.testing.virtual import STARTED_AT

__all__ = [
    "STARTED_AT",
    "check_stage",
    "make_requests",
    "make_stage",
    "plan_arrivals",
    "plan_contexts",
    "plan_demand",
    "run_sink",
    "run_text",
    "wanted_by",
]
