import itertools
import random
import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.config.problems import Problem, Violation, key_text
from flux.config.structure import _problems  # how a stage's problems reach the report
from flux.flows.actions import End, Flow, Pause, Result, Send
from flux.flows.check import check_flow
from flux.flows.options import FlowOptions
from flux.flows.values import BLOCKS_KEPT, MOST_PER_BLOCK
from flux.schemas import ErrorCode
from tests.flows.building import (
    FAILED,
    OK,
    actions,
    body,
    first_send,
    flow_of,
    headers,
    judged,
    steps_of,
    target,
)

REGISTER = 'post = "/r"\njson = { u = "{{random.text(10)}}", p = "{{random.text(10)}}" }'
TIME_NS = 1_700_000_000_123_456_789


def options(**keys: object) -> FlowOptions:
    return FlowOptions(wall_clock_ns=lambda: TIME_NS, **keys)  # type: ignore[arg-type]  # any


def flow_problems(*texts: str, given_options: FlowOptions | None = None) -> list[str]:
    found = check_flow(steps_of(*texts), given_options or FlowOptions())
    problems: list[Problem] = [one for error in found for one in _problems(error, ())]
    return [f"{key_text(one.path)} {one.rule}" for one in problems]


@pytest.mark.parametrize(
    ("keys", "texts", "problem"),
    [
        ({}, [], "step must have at least one step"),
        ({}, ['get = "/{{token}}"'], "step[0].get must not use the unknown name 'token'"),
        (
            {},
            ['post = "/"\njson = { a = [1, "{{x}}"] }'],
            "step[0].json.a[1] must not use the unknown name 'x'",
        ),
        (
            {},
            ['get = "/{{id}}"\ncapture = { id = "id" }'],
            "step[0].get must not use 'id' before a step has captured it",
        ),
        (
            {"let": {"a": "{{b}}", "b": ""}},
            ['get = "/"'],
            "let.a must not use the unknown name 'b'",
        ),
        ({"let": {"seq": ""}}, ['get = "/"'], "let.seq must not have this name: it is taken"),
        (
            {"let": {"n": "{{seq|number}}"}},
            ['get = "/"'],
            "let.n must use |number only where it is all of a string in json",
        ),
        (
            {"let": {"a": ""}},
            ['get = "/"\ncapture = { a = "a" }'],
            "step[0].capture.a must not have this name: it is taken by let",
        ),
        (
            {"let": {"a": "x{{seq}}"}},
            ['get = "/"\njson = "{{a|number}}"'],
            "step[0].json must use |number only with a number, and 'a' may be none",
        ),
        (
            {"let": {"a": "x\ny", "b": "{{a}}"}},
            ['get = "/"\nheaders = { h = "{{b}}" }'],
            "step[0].headers.h must not have line breaks or other control characters",
        ),
        (
            {"headers": {"h": "{{random.choice('a\nb')}}"}},
            ['get = "/"'],
            "headers.h must not have line breaks or other control characters",
        ),
        ({"headers": {"h": "{{"}}, ['get = "/"'], "headers.h must close the placeholder"),
        (
            {"headers": {"Connection": "close"}},
            ['get = "/"'],
            "headers.Connection must not be given: the client sets this header",
        ),
    ],
)
def test_a_mistake_of_the_flow_is_told_with_its_path(
    keys: dict[str, object], texts: list[str], problem: str
) -> None:
    (found,) = flow_problems(*texts, given_options=options(**keys))
    assert found.startswith(problem)


def test_hints_know_what_other_tools_call_it() -> None:
    with pytest.raises(Violation, match=r"step\[0\].get must not use the unknown name 'uuid'") as e:
        flow_of('get = "/{{uuid}}"')
    assert e.value.hint == "write {{random.uuid}}"
    with pytest.raises(Violation, match="unknown name 'tokn'") as e:
        flow_of('get = "/{{tokn}}"', options=options(let={"token": "x"}))
    assert e.value.hint == "did you mean 'token'?"


def values_of(flow_seed: int, seqs: list[int], shards: int = 1) -> dict[int, tuple[bytes, ...]]:
    flow = flow_of(
        'get = "/{{random.uuid}}"', REGISTER, seed=flow_seed, options=options(shards=shards)
    )
    found = {}
    for seq in seqs:
        sends = [one for one in actions(flow, seq=seq) if isinstance(one, Send)]
        found[seq] = tuple(value for send in sends for value in send.values)
    return found


def test_values_do_not_depend_on_the_order_of_sessions() -> None:
    seqs = list(range(0, MOST_PER_BLOCK * (BLOCKS_KEPT + 3), 97))
    shuffled = random.Random(3).sample(seqs, len(seqs))
    assert values_of(5, shuffled) == values_of(5, seqs) == values_of(5, list(reversed(seqs)))


def test_values_do_not_depend_on_the_shard() -> None:
    whole = values_of(5, list(range(40)))
    for shards, index in itertools.product((2, 3, 7), (0, 1)):
        seqs = list(range(index, 40, shards))
        assert values_of(5, seqs, shards) == {seq: whole[seq] for seq in seqs}


@settings(max_examples=20)
@given(seed=st.integers(0, 2**64 - 1), seq=st.integers(0, 2**50))
def test_values_are_fixed_by_seed_and_seq(seed: int, seq: int) -> None:
    assert values_of(seed, [seq]) == values_of(seed, [seq])
    assert values_of(seed, [seq]) != values_of(seed ^ 1, [seq])
    assert values_of(seed, [seq])[seq] != values_of(seed, [seq + 1])[seq + 1]


def test_each_placeholder_has_a_value_of_its_own() -> None:
    send = first_send(flow_of(REGISTER))
    assert len(set(send.values)) == 2


def test_places_are_numbered_in_the_order_target_headers_body() -> None:
    text = """post = "/{{random.int(1,1)}}?a={{random.int(2,2)}}"
query = { b = "{{random.int(3,3)}}" }
headers = { h = "{{random.int(4,4)}}" }
body = "{{random.int(5,5)}}{{random.int(6,6)}}" """
    send = first_send(flow_of(text))
    assert send.values == (b"1", b"2", b"3", b"4", b"5", b"6")
    assert target(send) == "/1?a=2&b=3"
    assert headers(send) == {"h": "4"}
    assert body(send) == "56"


def test_let_is_the_same_wherever_it_is_used_and_another_in_each_session() -> None:
    let = {"name": "u {{random.text(8)}}", "mail": "{{name}}@x.org", "at": "{{time.unix_ms}}"}
    text = (
        'post = "/{{name}}"\nheaders = { m = "{{mail}}" }\nform = { n = "{{name}}", t = "{{at}}" }'
    )
    flow = flow_of(text, text, options=options(let=let))
    first, second = [one for one in actions(flow, seq=4) if isinstance(one, Send)]
    name = headers(first)["m"].removesuffix("@x.org")
    assert target(first) == target(second) == f"/{name.replace(' ', '%20')}"
    assert body(first) == f"n={name.replace(' ', '+')}&t=1700000000123"
    assert headers(first_send(flow, seq=5)) != headers(first)


def test_time_in_let_stands_still_and_elsewhere_runs() -> None:
    ticks = itertools.count(10**9, 10**9)
    given_options = FlowOptions(let={"began": "{{time.unix}}"}, wall_clock_ns=lambda: next(ticks))
    flow = flow_of(*['get = "/{{began}}/{{time.unix}}"'] * 2, options=given_options)
    sends = [target(one) for one in actions(flow) if isinstance(one, Send)]
    assert sends == ["/1/2", "/1/3"]


def test_live_values_are_those_of_the_moment() -> None:
    text = (
        'get = "/{{user}}/{{seq}}/{{time.unix}}/{{time.unix_ms}}"\nheaders = { t = "{{time.iso}}" }'
    )
    send = first_send(flow_of(text, options=options()), seq=8, user=3)
    assert target(send) == "/3/8/1700000000/1700000000123"
    assert headers(send) == {"t": "2023-11-14T22:13:20.123Z"}


def test_headers_of_the_flow_yield_to_those_of_the_step() -> None:
    given_options = options(headers={"Accept": "a", "X-Id": "{{random.uuid}}"})
    send = first_send(flow_of('get = "/"\nheaders = { accept = "b" }', options=given_options))
    assert headers(send)["accept"] == "b"
    assert uuid.UUID(headers(send)["X-Id"]).version == 4
    assert set(headers(send)) == {"accept", "X-Id"}


GET = 'get = "/"'
ALLOWED = f'{GET}\non_failure = "continue"'


@pytest.mark.parametrize(
    ("texts", "results", "sent", "success", "skipped"),
    [
        ([GET, GET, GET], [OK, OK, OK], 3, True, 0),
        ([GET, GET, GET], [FAILED], 1, False, 2),
        ([GET, GET, GET], [OK, FAILED], 2, False, 1),
        ([GET, GET, GET], [OK, OK, FAILED], 3, False, 0),
        ([ALLOWED, GET, GET], [FAILED], 3, True, 0),
        ([ALLOWED, GET, GET], [FAILED, FAILED], 2, False, 1),
        ([GET, ALLOWED], [OK, FAILED], 2, True, 0),
    ],
)
@pytest.mark.parametrize("extra", ["", '\nheaders = { u = "{{user}}" }'], ids=["plain", "live"])
def test_a_failed_step_ends_the_session_unless_it_is_allowed_to_fail(
    texts: list[str], results: list[Result], sent: int, success: bool, skipped: int, extra: str
) -> None:
    done = list(actions(flow_of(*[text + extra for text in texts]), results))
    end = done[-1]
    assert isinstance(end, End)
    assert (len(done) - 1, end.success, end.skipped) == (sent, success, skipped)


def test_the_flow_says_what_a_failure_does_where_the_step_does_not() -> None:
    flow = flow_of(GET, f'{GET}\non_failure = "stop"', GET, options=options(on_failure="continue"))
    *sends, end = actions(flow, [FAILED, FAILED])
    assert len(sends) == 2
    assert isinstance(end, End)
    assert (end.success, end.skipped) == (False, 1)


def pauses(flow: Flow, results: Sequence[Result] = (), *, seq: int = 0) -> list[int | str]:
    return [
        one.duration_ns if isinstance(one, Pause) else type(one).__name__
        for one in actions(flow, results, seq=seq)
    ]


def test_think_time_lies_between_steps_only() -> None:
    thinking = f'{GET}\nthink = "2s"'
    assert pauses(flow_of(thinking, GET, thinking)) == ["Send", 2 * 10**9, "Send", "Send", "End"]
    assert pauses(flow_of(thinking, GET), [FAILED]) == ["Send", "End"]
    assert pauses(flow_of(f'{GET}\nthink = "0s"', GET)) == ["Send", "Send", "End"]


def test_think_time_between_two_bounds_is_uniform_and_fixed_by_seq() -> None:
    """The mean of n uniforms deviates by 0.289/√n of their range; four times that is allowed."""
    text = f'{GET}\nthink = {{ min = "1s", max = "3s" }}'
    flow = flow_of(text, GET)
    found = [pauses(flow, seq=seq)[1] for seq in range(1000)]
    assert found[:9] == [pauses(flow_of(text, GET), seq=seq)[1] for seq in range(9)]
    numbers = [pause for pause in found if isinstance(pause, int)]
    assert min(numbers) >= 10**9
    assert max(numbers) <= 3 * 10**9
    assert sum(numbers) / 1000 == pytest.approx(2 * 10**9, abs=4 * 0.289 / 1000**0.5 * 2 * 10**9)


LOGIN = 'post = "/login"\ncapture = { token = "data.token" }'


def test_a_captured_value_is_used_by_later_steps_encoded_for_its_place() -> None:
    use = """post = "/{{token}}"
query = { q = "{{token}}" }
headers = { authorization = "Bearer {{token}}" }
json = { t = "{{token}}" }"""
    flow = flow_of(LOGIN, use)
    session = flow.session(0, 0)
    login = next(session)
    assert isinstance(login, Send)
    assert (login.plan.wants_body, login.plan.wants_headers) == (True, False)
    send = session.send(judged(login.plan, body=b'{"data": {"token": "a\\"/b"}}'))
    assert isinstance(send, Send)
    assert target(send) == "/a%22%2Fb?q=a%22%2Fb"
    assert headers(send)["authorization"] == 'Bearer a"/b'
    assert body(send) == '{"t":"a\\"/b"}'


@pytest.mark.parametrize(
    ("use", "answer", "error"),
    [
        ('get = "/{{token}}"', b'{"data": {"token": "x"}}', ErrorCode.NONE),
        ('get = "/{{token}}"', b'{"data": {}}', ErrorCode.EXPECT_BODY),
        ('get = "/{{token}}"', b'{"data": ', ErrorCode.DECODE),
        ('get = "/{{token}}"', b"", ErrorCode.DECODE),
        ('get = "/{{token}}"', b'{"data": {"token": "\\ud800"}}', ErrorCode.EXPECT_BODY),
        (
            'get = "/"\nheaders = { a = "{{token}}" }',
            b'{"data": {"token": "a\\nb"}}',
            ErrorCode.EXPECT_BODY,
        ),
        ('get = "/"\nbody = "{{token}}"', b'{"data": {"token": "a\\nb"}}', ErrorCode.NONE),
        (
            'get = "/"\njson = "{{token|number}}"',
            b'{"data": {"token": "word"}}',
            ErrorCode.EXPECT_BODY,
        ),
        ('get = "/"\njson = "{{token|number}}"', b'{"data": {"token": 5}}', ErrorCode.NONE),
    ],
)
def test_a_capture_that_cannot_be_had_or_used_fails_its_step(
    use: str, answer: bytes, error: ErrorCode
) -> None:
    session = flow_of(LOGIN, use).session(0, 0)
    login = next(session)
    assert isinstance(login, Send)
    result = judged(login.plan, body=answer)
    assert result.error is error
    after = session.send(result)
    assert isinstance(after, End if error else Send)


def test_a_step_whose_value_is_missing_is_skipped_and_leaves_out_its_pause() -> None:
    flow = flow_of(
        f'{LOGIN}\non_failure = "continue"\nthink = "1s"',
        'get = "/{{token}}"\ncapture = { id = "id" }',
        'get = "/{{id}}"',
    )
    *before, end = actions(flow, [FAILED])
    assert [type(one) for one in before] == [Send]
    assert isinstance(end, End)
    assert (end.success, end.skipped) == (True, 2)


def test_a_capture_that_fails_leaves_nothing_of_an_earlier_one() -> None:
    flow = flow_of(LOGIN, f'{LOGIN}\non_failure = "continue"', 'get = "/{{token}}"')
    session = flow.session(0, 0)
    first = next(session)
    assert isinstance(first, Send)
    second = session.send(judged(first.plan, body=b'{"data": {"token": "x"}}'))
    assert isinstance(second, Send)
    end = session.send(judged(second.plan, body=b"{}"))
    assert isinstance(end, End)
    assert (end.success, end.skipped) == (True, 1)


def test_sessions_that_overlap_keep_their_captures_apart() -> None:
    flow = flow_of(LOGIN, 'get = "/{{token}}"')
    sessions = [flow.session(seq, seq) for seq in range(3)]
    plan = flow.plans[0]
    for session in sessions:
        next(session)
    results = [
        judged(plan, body=b'{"data": {"token": "%d"}}' % number) for number in range(len(sessions))
    ]
    sends = [session.send(result) for session, result in zip(sessions, results)]
    assert [target(send) for send in sends if isinstance(send, Send)] == ["/0", "/1", "/2"]


def test_a_flow_without_values_sends_the_same_objects_every_time() -> None:
    flow = flow_of(GET)
    assert first_send(flow, seq=1) is first_send(flow, seq=2)
    assert flow.plans[0].is_constant


def test_long_values_make_small_blocks() -> None:
    flow = flow_of('put = "/"\nbody = "' + "{{random.text(1024)}}" * 3 + '"')
    assert [len(body(first_send(flow, seq=seq))) for seq in (0, 41, 42, 43)] == [3072] * 4
