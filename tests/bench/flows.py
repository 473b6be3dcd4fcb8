"""Cost of flows: `python -m tests.bench.flows`, a few seconds, one core.

Microseconds per session, the median of repeated runs; "spread" is the fastest and the slowest of
them. A session of the register flow is GET /health and POST /auth/register with two random texts
of 10 characters; "its values" are those two as encoded bytes, drawn 512 sessions at a time.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import tomli

from flux.config.structure import structure
from flux.flows.actions import End, Flow, Result, Send
from flux.flows.compile import compile_flow
from flux.flows.draws import (
    ArrivalNumber,
    Draw,
    RandomChoice,
    RandomHex,
    RandomInt,
    RandomText,
    RandomUuid,
)
from flux.flows.encoding import plain
from flux.flows.options import FlowOptions
from flux.flows.step import Step
from flux.flows.verdicts import judge_status, judge_userflux
from flux.schemas import ErrorCode

ROUNDS = 15
SESSIONS = 512 * 40
OK = Result(ErrorCode.NONE, None, b'{"id": 7, "token": "abc"}')

REGISTER = """
step = [
  { get = "/health" },
  { post = "/auth/register", json = { u = "{{random.text(10)}}", p = "{{random.text(10)}}" } },
]
"""
CONSTANT = """
step = [{ get = "/health" }, { post = "/auth/register", json = { u = "u", p = "p" } }]
"""
LIVE = """
step = [
  { post = "/login", json = { u = "{{random.text(10)}}" }, capture = { token = "token" } },
  { get = "/me", headers = { authorization = "Bearer {{token}}" } },
]
"""


def main() -> None:
    """Print the page."""
    print(f"numpy {np.__version__}\n{'microseconds per session':48}{'median':>8}{'spread':>18}")
    print("values of one placeholder")
    for draw in (
        RandomText(10),
        RandomText(100),
        RandomHex(16),
        RandomUuid(),
        RandomInt(1, 1000),
        RandomChoice(("a", "b", "c")),
        ArrivalNumber(),
    ):
        _show(f"  {draw}", _columns([draw]))
    print("the register flow")
    _show("  its values: two random.text(10)", _columns([RandomText(10), RandomText(10)]))
    register, constant = _flow(REGISTER), _flow(CONSTANT)
    _show("  the whole session, driven to its end", _sessions(register))
    _show("  the same with constant texts (no values)", _sessions(constant))
    _show("  filling its target, headers and body", _filling(register))
    print("a flow with a capture")
    _show("  the whole session and its judge", _sessions(_flow(LIVE), judged=True))
    print("judges, per response")
    _show("  default", _judging(judge_status))
    _show('  success = "userflux"', _judging(judge_userflux))


def _flow(text: str) -> Flow:
    steps = []
    for table in tomli.loads(text)["step"]:
        step, problems = structure(Step, table)
        if step is None:
            raise AssertionError(problems)
        steps.append(step)
    return compile_flow(steps, seed=1, defaults=FlowOptions())


def _columns(draws: list[Draw]) -> Callable[[int], None]:
    def work(first: int) -> None:
        for start in range(first, first + SESSIONS, 512):
            seqs = np.arange(start, start + 512, dtype=np.int64)
            for slot, draw in enumerate(draws):
                draw.column(1, seqs, 8 * slot, plain)

    return work


def _sessions(flow: Flow, *, judged: bool = False) -> Callable[[int], None]:
    judges = [plan.judge for plan in flow.plans] if judged else []

    def work(first: int) -> None:
        begin = flow.begin
        for seq in range(first, first + SESSIONS):
            session = begin(seq, seq)
            next(session)
            for judge in judges:
                judge(200, OK.headers, OK.body, 0)
            session.send(OK)
            if type(session.send(OK)) is not End:
                raise AssertionError("the session has more than two steps")

    return work


def _filling(flow: Flow) -> Callable[[int], None]:
    sends = []
    session = flow.session(0, 0)
    action = next(session)
    while isinstance(action, Send):
        sends.append(action)
        action = session.send(OK)

    def work(first: int) -> None:
        for _ in range(SESSIONS):
            for send in sends:
                plan, values = send.plan, send.values
                plan.target.fill(values)
                for _, text in plan.headers:
                    text.fill(values)
                if plan.body is not None:
                    plan.body.fill(values)

    return work


def _judging(judge: Callable[[int, None, bytes, int], ErrorCode]) -> Callable[[int], None]:
    body = b'{"id": 7, "token": "abc"}'

    def work(first: int) -> None:
        for _ in range(SESSIONS):
            judge(200, None, body, 0)

    return work


def _show(label: str, work: Callable[[int], None]) -> None:
    """Each round has sessions of its own, so that no block is ever found computed."""
    times = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        work(number * SESSIONS)
        times.append((time.perf_counter() - began) / SESSIONS * 1e6)
    spread = f"{min(times):.2f} to {max(times):.2f}"
    print(f"{label:48}{statistics.median(times):>8.2f}{spread:>18}")


if __name__ == "__main__":
    main()
