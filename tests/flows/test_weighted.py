"""Several flows with weights: which one a session runs, and that it runs it as if it were alone."""

from collections import Counter

import pytest

from flux.flows.actions import End, Flow, Identity, Send
from flux.flows.options import FlowOptions
from flux.flows.weighted import WeightedFlow, compile_flows
from flux.stages.http import Http
from tests.flows.building import FAILED, actions, first_send, flow_of, headers, target
from tests.stages.loading import load, problems

TEXT = """
target = "http://127.0.0.1:1"
let = { who = "u{{random.int(1, 9)}}", shop = "one" }
headers = { x-a = "stage", x-b = "stage" }

[[flow]]
name = "browse"
weight = 3
[[flow.step]]
name = "home"
get = "/{{random.text(5)}}/{{who}}"
[[flow.step]]
get = "/list"

[[flow]]
name = "buy"
let = { shop = "two" }
headers = { X-A = "buy" }
[[flow.step]]
name = "home"
get = "/{{random.text(5)}}/{{shop}}"
"""


def flows() -> tuple[WeightedFlow, ...]:
    stage = load("http", TEXT)
    assert isinstance(stage, Http)
    return stage.flow


def compiled(*, seed: int = 1, shards: int = 1, identity: Identity = "iteration") -> Flow:
    shared = FlowOptions(
        identity=identity,
        let={"who": "u{{random.int(1, 9)}}", "shop": "one"},
        headers={"x-a": "stage", "x-b": "stage"},
        shards=shards,
    )
    return compile_flows(flows(), seed=seed, shared=shared)


def steps_run(flow: Flow, seq: int) -> list[int]:
    return [one.plan.index for one in actions(flow, seq=seq) if isinstance(one, Send)]


def test_a_session_runs_all_steps_of_one_flow() -> None:
    flow = compiled()
    assert {tuple(steps_run(flow, seq)) for seq in range(100)} == {(0, 1), (2,)}


def test_flows_are_run_as_often_as_their_weights_say() -> None:
    flow = compiled()
    counts = Counter(tuple(steps_run(flow, seq)) for seq in range(4000))
    assert counts[0, 1] / 4000 == pytest.approx(0.75, abs=4 * 0.43 / 4000**0.5)


def test_the_steps_of_all_flows_are_numbered_one_after_the_other() -> None:
    assert [plan.index for plan in compiled().plans] == [0, 1, 2]


def test_the_same_session_runs_the_same_flow_with_the_same_values_in_any_shard() -> None:
    whole, third = compiled(), compiled(shards=3)
    for seq in range(2, 3000, 3):
        assert target(first_send(whole, seq=seq)) == target(first_send(third, seq=seq))


def test_the_order_in_which_sessions_begin_changes_nothing() -> None:
    flow, other = compiled(), compiled()
    forwards = {seq: target(first_send(flow, seq=seq)) for seq in range(1500)}
    assert forwards == {seq: target(first_send(other, seq=seq)) for seq in reversed(range(1500))}


def test_another_seed_gives_other_sessions_other_flows() -> None:
    first, second = compiled(seed=1), compiled(seed=2)
    assert [steps_run(first, seq) for seq in range(50)] != [
        steps_run(second, seq) for seq in range(50)
    ]


def test_a_flow_has_the_values_that_it_would_have_alone() -> None:
    flow = compiled()
    alone = flow_of(
        'get = "/{{random.text(5)}}/{{who}}"',
        'get = "/list"',
        options=FlowOptions(let={"who": "u{{random.int(1, 9)}}", "shop": "one"}),
    )
    for seq in range(600):
        send = first_send(flow, seq=seq)
        if send.plan.index == 0:
            assert target(send) == target(first_send(alone, seq=seq))


def test_own_headers_and_values_replace_those_of_the_stage() -> None:
    flow = compiled()
    sends = {send.plan.index: send for send in (first_send(flow, seq=seq) for seq in range(50))}
    assert headers(sends[0]) == {"x-a": "stage", "x-b": "stage"}
    assert headers(sends[2]) == {"X-A": "buy", "x-b": "stage"}
    assert target(sends[2]).endswith("/two")


def test_what_a_failure_skips_is_of_its_own_flow() -> None:
    flow = compiled()
    seq = next(seq for seq in range(50) if steps_run(flow, seq) == [0, 1])
    *_, end = actions(flow, [FAILED], seq=seq)
    assert isinstance(end, End)
    assert (end.success, end.skipped) == (False, 1)


def test_steps_have_the_names_of_their_flows() -> None:
    stage = load("http", TEXT)
    assert stage.step_names == ("browse.home", "browse.GET /list", "buy.home")


STEP = '\nstep = [{ get = "/" }]\n'
HEAD = 'target = "http://127.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"[[flow]]{STEP}", "flow.0.name is required"),
        (f'[[flow]]\nname = "a.b"{STEP}', "flow.0.name must be text without dots"),
        (f'[[flow]]\nname = " "{STEP}', "flow.0.name must be text without dots"),
        (f'[[flow]]\nname = "a"\nweight = 0{STEP}', "flow.0.weight must be greater than 0"),
        ('[[flow]]\nname = "a"', "flow.0 needs either [[stage.flow.step]] tables or script"),
        (
            f'[[flow]]\nname = "a"{STEP}[[flow]]\nname = "a"{STEP}',
            "flow.1.name is the name of a flow above",
        ),
        (f'{STEP}[[flow]]\nname = "a"{STEP}', "needs one of [[stage.step]] tables, script, and"),
        (
            f'[[flow]]\nname = "a"{STEP}[[flow]]\nname = "b"\nstep = [{{ get = "/{{{{x}}}}" }}]',
            "flow.1.step.0.get must",
        ),
        (
            f'[[flow]]\nname = "a"\nlet = {{ y = "{{{{x}}}}" }}{STEP}',
            "flow.0.let.y must",
        ),
    ],
)
def test_wrong_flows_are_told_why(text: str, expected: str) -> None:
    found = problems("http", HEAD + text)
    assert [one for one in found if one.startswith(expected)], found


def test_what_is_wrong_with_the_stages_own_values_is_told_once() -> None:
    text = f'let = {{ y = "{{{{x}}}}" }}\n[[flow]]\nname = "a"{STEP}[[flow]]\nname = "b"{STEP}'
    (found,) = problems("http", HEAD + text)
    assert found.startswith("let.y ")


def test_a_user_keeps_its_values_in_whichever_flow_it_runs() -> None:
    flow = compiled(identity="user")
    begin = flow.sessions_of(5)
    seen: dict[int, set[tuple[str, ...]]] = {}
    for seq in range(60):
        send = next(begin(seq))
        assert isinstance(send, Send)
        seen.setdefault(send.plan.index, set()).add(tuple(target(send).split("/")[1:]))
    assert set(seen) == {0, 2}
    assert len({parts[1] for parts in seen[0]}) == 1
    assert len({parts[0] for parts in seen[0]}) > 30
    assert steps_run(flow, 7) == steps_run(compiled(), 7)
