"""Flows for the tests, from the TOML that a person would write."""

from collections.abc import Iterator, Sequence

import tomli

from flux.config.problems import Problem, key_text
from flux.config.structure import structure
from flux.flows.actions import End, Flow, Pause, RequestPlan, Result, Send
from flux.flows.compile import compile_flow
from flux.flows.options import FlowOptions
from flux.flows.step import Step
from flux.schemas import ErrorCode

OK = Result(ErrorCode.NONE)
FAILED = Result(ErrorCode.STATUS)


def structured(text: str) -> tuple[Step | None, list[Problem]]:
    """One step, or its problems."""
    return structure(Step, tomli.loads(text))


def steps_of(*texts: str) -> tuple[Step, ...]:
    """Steps that have no problems."""
    made = []
    for text in texts:
        step, problems = structured(text)
        assert step is not None, problems
        made.append(step)
    return tuple(made)


def problems_of(text: str) -> list[str]:
    """Each problem of a step as `key rule`, with its hint in brackets."""
    _, problems = structured(text)
    return [
        f"{key_text(one.path)} {one.rule}" + (f" [{one.hint}]" if one.hint else "")
        for one in problems
    ]


def flow_of(*texts: str, seed: int = 1, options: FlowOptions | None = None) -> Flow:
    """A compiled flow."""
    return compile_flow(steps_of(*texts), seed=seed, defaults=options or FlowOptions())


def actions(
    flow: Flow, results: Sequence[Result] = (), *, seq: int = 0, user: int = 0
) -> Iterator[Send | Pause | End]:
    """What a session does when these are the results, and after them only successes."""
    left = list(results)
    session = flow.session(seq, user)
    action = next(session)
    while not isinstance(action, End):
        yield action
        reply = (left.pop(0) if left else OK) if isinstance(action, Send) else None
        action = session.send(reply)
    yield action


def first_send(flow: Flow, *, seq: int = 0, user: int = 0) -> Send:
    """The first request of a session."""
    action = next(flow.session(seq, user))
    assert isinstance(action, Send)
    return action


def target(send: Send) -> str:
    """Its path and query."""
    return send.plan.target.fill(send.values).decode()


def headers(send: Send) -> dict[str, str]:
    """Its headers."""
    return {name.decode(): text.fill(send.values).decode() for name, text in send.plan.headers}


def body(send: Send) -> str:
    """Its body."""
    assert send.plan.body is not None
    return send.plan.body.fill(send.values).decode()


def judged(
    plan: RequestPlan,
    status: int = 200,
    *,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    latency_ns: int = 0,
) -> Result:
    """What a client would tell the session about this response."""
    return Result(plan.judge(status, headers, body, latency_ns), headers, body)
