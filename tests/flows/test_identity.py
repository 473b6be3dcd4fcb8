"""`identity`: whether a user has the same values of `let` in all of its iterations."""

import pytest

from flux.flows.actions import Flow, Identity, Result, Send
from flux.flows.check import flow_problems
from flux.flows.options import FlowOptions
from flux.schemas import ErrorCode
from tests.flows.building import actions, flow_of, steps_of, target

LET = {"name": "n-{{random.text(8)}}", "at": "{{time.unix_ms}}"}


def targets_of(flow: Flow, user: int, *seqs: int) -> list[list[str]]:
    """Of each iteration of a user, what it asks for."""
    begin = flow.sessions_of(user)
    found = []
    for seq in seqs:
        whole = Flow(flow.plans, lambda seq, _: begin(seq))
        found.append([target(one) for one in actions(whole, seq=seq) if isinstance(one, Send)])
    return found


def flow(identity: Identity, *steps: str, clock_ns: list[int] | None = None) -> Flow:
    times = clock_ns if clock_ns is not None else [0]
    options = FlowOptions(let=LET, identity=identity, wall_clock_ns=lambda: times[0])
    return flow_of(*(steps or ('get = "/{{name}}/{{random.hex(4)}}"',)), options=options)


def test_a_user_keeps_the_values_of_let_and_draws_the_others_anew() -> None:
    first, second = targets_of(flow("user"), 3, 10, 11)
    assert first[0].split("/")[1] == second[0].split("/")[1]
    assert first[0].split("/")[2] != second[0].split("/")[2]


def test_each_iteration_is_somebody_new_by_default() -> None:
    first, second = targets_of(flow(FlowOptions().identity), 3, 10, 11)
    assert first[0].split("/")[1] != second[0].split("/")[1]


def test_users_are_different_and_the_same_for_the_same_seed() -> None:
    made = flow("user")
    names = [targets_of(made, user, user)[0][0].split("/")[1] for user in range(600)]
    assert len(set(names)) == 600
    again = flow("user")
    order = [*range(599, -1, -7)]
    assert [targets_of(again, user, 5000 + user)[0][0].split("/")[1] for user in order] == [
        names[user] for user in order
    ]


@pytest.mark.parametrize("step", ['get = "/{{name}}"', 'get = "/{{name}}/{{random.hex(4)}}"'])
def test_in_the_open_model_both_are_the_same(step: str) -> None:
    sends = [
        [
            target(one)
            for one in actions(flow(identity, step), seq=7, user=7)
            if isinstance(one, Send)
        ]
        for identity in ("user", "iteration")
    ]
    assert sends[0] == sends[1]


def test_what_let_takes_from_the_clock_is_kept_too() -> None:
    clock_ns = [5 * 10**9]
    begin = flow("user", 'get = "/{{at}}/{{time.unix}}"', clock_ns=clock_ns).sessions_of(0)
    clock_ns[0] = 9 * 10**9
    (send,) = [next(begin(4))]
    assert isinstance(send, Send)
    assert target(send) == "/5000/9"


def test_what_an_iteration_captured_is_forgotten_at_its_end() -> None:
    begin = flow(
        "user",
        'get = "/login"\ncapture = { token = "token" }\non_failure = "continue"',
        'get = "/{{token}}"',
    ).sessions_of(0)
    first = begin(0)
    next(first)
    after = first.send(Result(ErrorCode.NONE, None, b'{"token": "abc"}'))
    assert isinstance(after, Send)
    assert target(after) == "/abc"
    second = begin(1)
    next(second)
    skipped = second.send(Result(ErrorCode.STATUS))
    assert not isinstance(skipped, Send)


def test_the_number_of_an_iteration_is_nothing_that_a_user_can_keep() -> None:
    options = FlowOptions(let={"n": "x{{seq}}"}, identity="user")
    ((path, violation),) = flow_problems(steps_of('get = "/{{n}}"'), options)
    assert path == ("let", "n")
    assert "it changes with each iteration" in violation.rule
    options = FlowOptions(let={"n": "x{{user}}"}, identity="user")
    assert list(flow_problems(steps_of('get = "/{{n}}"'), options)) == []
