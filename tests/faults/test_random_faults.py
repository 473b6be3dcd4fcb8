"""Random pipelines under random faults: the laws hold whatever happens.

A case that fails is printed with its seed; `python -m tests.bench.faults --first SEED --cases 1`
runs it again.
"""

import os

import pytest
import trio

from tests.faults.case import Case, Fault, make_case
from tests.faults.commands import run_command
from tests.faults.running import Report, run_cases
from tests.faults.target import open_target

AT_ONCE = 6
CASES = 200
PER_TEST = 50


def told(reports: list[Report]) -> str:
    """The broken cases, to be read."""
    return "\n\n".join(
        f"{report.case}\n" + "\n".join(report.problems) for report in reports if report.problems
    )


@pytest.mark.slow
# A request whose body could not be sent leaves httpx's generator of it to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*ByteStream.__aiter__:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("first", range(0, CASES, PER_TEST))
def test_no_fault_breaks_a_law(first: int) -> None:
    seeds = range(first, first + PER_TEST)
    descriptors = len(os.listdir("/proc/self/fd"))
    reports = trio.run(lambda: run_cases(seeds, at_once=AT_ONCE))
    assert [report.case.seed for report in reports] == list(seeds)
    assert told(reports) == ""
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_case_is_the_same_for_the_same_seed() -> None:
    assert make_case(17) == make_case(17)
    assert make_case(17) != make_case(18)


def test_the_cases_are_of_all_sorts() -> None:
    cases = [make_case(seed) for seed in range(CASES)]
    kinds = {fault.kind for case in cases for fault in case.faults}
    assert kinds == {"kill target", "freeze target", "stop", "abort", "kill worker"}
    for word in ("wire", "httpx", "null", "users", "poisson", "processes = 2", "max_lag", "drop"):
        assert any(word in case.text for case in cases), word


BY_COMMAND = """\
seed = 3
duration = "1500ms"
drain = "1s"
[[stage]]
use = "exponential"
rate = "100/s"
[[stage]]
use = "http"
target = "{url}"
client = "%s"
processes = %d
timeout = "300ms"
[[stage.step]]
get = "/slow/20"
[[stage.step]]
post = "/ok"
json = { word = "{{random.text(20)}}" }
[[stage]]
use = "csv"
[[stage]]
use = "json"
"""

RUNS = (
    Case(1, BY_COMMAND % ("wire", 1), (Fault(0.4, "stop"),)),
    Case(2, BY_COMMAND % ("httpx", 1), (Fault(0.3, "freeze target", 0.4), Fault(0.5, "abort"))),
    Case(3, BY_COMMAND % ("wire", 2), (Fault(0.4, "kill target", 0.3), Fault(1.0, "stop"))),
    Case(4, BY_COMMAND % ("wire", 2), (Fault(0.3, "freeze target", 0.5), Fault(0.6, "abort"))),
    Case(5, BY_COMMAND % ("httpx", 1), (Fault(0.3, "kill target", 0.3),)),
)
"""What a user would do to a run: the signals are real, and so are the processes."""


@pytest.mark.slow
def test_signals_and_faults_break_no_law_of_the_command() -> None:
    reports: list[Report] = []

    async def run(case: Case) -> None:
        async with open_target() as target:
            reports.append(await run_command(case, target))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for case in RUNS:
                nursery.start_soon(run, case)

    trio.run(main)
    assert len(reports) == len(RUNS)
    assert told(reports) == ""
