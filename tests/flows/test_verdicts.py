import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.flows.actions import Send
from flux.flows.expect import JsonQuery
from flux.flows.options import FlowOptions
from flux.flows.verdicts import judge_status, judge_userflux, same
from flux.schemas import ErrorCode
from tests.flows.building import flow_of, judged

NONE, STATUS, DECODE = ErrorCode.NONE, ErrorCode.STATUS, ErrorCode.DECODE
EXPECT_STATUS, EXPECT_HEADER = ErrorCode.EXPECT_STATUS, ErrorCode.EXPECT_HEADER
EXPECT_BODY, EXPECT_LATENCY = ErrorCode.EXPECT_BODY, ErrorCode.EXPECT_LATENCY


@pytest.mark.parametrize(
    ("status", "error"),
    [(199, STATUS), (200, NONE), (204, NONE), (302, NONE), (399, NONE), (400, STATUS)],
)
def test_two_and_three_hundreds_succeed_by_default(status: int, error: ErrorCode) -> None:
    (plan,) = flow_of('get = "/"').plans
    assert plan.judge is judge_status
    assert (plan.wants_headers, plan.wants_body) == (False, False)
    assert plan.judge(status, None, None, 0) is error


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b'{"a": 1}', NONE),
        (299, b"{}", NONE),
        (200, b"[]", EXPECT_BODY),
        (200, b"null", EXPECT_BODY),
        (200, b"", DECODE),
        (204, b"", DECODE),
        (200, b"<html>", DECODE),
        (200, b'{"a": NaN}', DECODE),
        (200, b"\xff\xfe{", DECODE),
        (200, b"[" * 100_000, DECODE),
        (302, b"{}", STATUS),
        (500, b"<html>", STATUS),
    ],
)
def test_userflux_wants_a_json_object_and_looks_at_the_status_first(
    status: int, body: bytes, error: ErrorCode
) -> None:
    options = FlowOptions(success="userflux")
    (plan,) = flow_of('get = "/"', options=options).plans
    assert plan.judge is judge_userflux
    assert (plan.wants_headers, plan.wants_body) == (False, True)
    assert plan.judge(status, None, body, 0) is error
    slow = flow_of('get = "/"\nexpect = { latency = "1h" }', options=options).plans[0]
    assert slow.judge(status, None, body, 0) is error


JSON = json.dumps({"user": {"name": "Ö", "id": 7, "tags": ["a"], "is_admin": True}}).encode()


@pytest.mark.parametrize(
    ("expect", "response", "error"),
    [
        ("status = 201", (201,), NONE),
        ("status = 201", (200,), EXPECT_STATUS),
        ("status = 404", (404,), NONE),
        ("status = [200, 201]", (201,), NONE),
        ("status = [200, 201]", (204,), EXPECT_STATUS),
        ('status = "2xx"', (299,), NONE),
        ('status = "2xx"', (300,), EXPECT_STATUS),
        ('status = [404, "5xx"]', (502,), NONE),
        ('body = "ser"', (200, {}, b"user"), NONE),
        ('body = "sir"', (200, {}, b"user"), EXPECT_BODY),
        ('body = "x"', (200, {}, None), EXPECT_BODY),
        ('body = "x"', (500, {}, b""), STATUS),
        ('body = { equals = "user" }', (200, {}, b"user"), NONE),
        ('body = { equals = "user" }', (200, {}, b"user "), EXPECT_BODY),
        ('body = { equals = "" }', (200, {}, b""), NONE),
        ("body = { matches = '^u\\w+$' }", (200, {}, b"user"), NONE),
        ("body = { matches = '^u\\d+$' }", (200, {}, b"user"), EXPECT_BODY),
        ('body = { contains = "u", matches = "^U" }', (200, {}, b"user"), EXPECT_BODY),
        ('body = { json = { "user.name" = "Ö" } }', (200, {}, JSON), NONE),
        ('body = { json = { "user.id" = 7 } }', (200, {}, JSON), NONE),
        ('body = { json = { "user.id" = 7.0 } }', (200, {}, JSON), NONE),
        ('body = { json = { "user.id" = "7" } }', (200, {}, JSON), EXPECT_BODY),
        ('body = { json = { "user.is_admin" = true } }', (200, {}, JSON), NONE),
        ('body = { json = { "user.is_admin" = 1 } }', (200, {}, JSON), EXPECT_BODY),
        ('body = { json = { "user.tags" = ["a"] } }', (200, {}, JSON), NONE),
        ('body = { json = { "user.none" = "x" } }', (200, {}, JSON), EXPECT_BODY),
        ('body = { json = { "length(user.id)" = 1 } }', (200, {}, JSON), EXPECT_BODY),
        ('body = { json = { "length(user.tags)" = 1 } }', (200, {}, JSON), NONE),
        ('body = { json = { "user.id > `5`" = true } }', (200, {}, JSON), NONE),
        ('body = { json = { "a" = 1 } }', (200, {}, b"{"), DECODE),
        ('header = { Content-Type = "json" }', (200, {"content-type": "a/json"}), NONE),
        ('header = { Content-Type = "json" }', (200, {"content-type": "a/xml"}), EXPECT_HEADER),
        ('header = { Content-Type = "json" }', (200, {}), EXPECT_HEADER),
        ('header = { x = { equals = "1" } }', (200, {"x": "11"}), EXPECT_HEADER),
        ('header = { x = { matches = "^1+$" } }', (200, {"x": "11"}), NONE),
        ('header = { x = { matches = "^1$" } }', (200, {"x": "11"}), EXPECT_HEADER),
        ('latency = "5ms"', (200, {}, b"", 5_000_000), NONE),
        ('latency = "5ms"', (200, {}, b"", 5_000_001), EXPECT_LATENCY),
        ('status = 201, latency = "5ms"', (200, {}, b"", 9_000_000), EXPECT_STATUS),
        ('header = { x = "1" }, body = "x"', (200, {}, b""), EXPECT_HEADER),
        ('body = "x", latency = "1ms"', (200, {}, b"", 9_000_000), EXPECT_BODY),
    ],
)
def test_the_first_expectation_that_fails_gives_the_error(
    expect: str, response: tuple[Any, ...], error: ErrorCode
) -> None:
    (plan,) = flow_of(f'get = "/"\nexpect = {{ {expect} }}').plans
    rest: tuple[Any, ...] = (200, {}, b"", 0)
    status, headers, body, latency_ns = response + rest[len(response) :]
    assert plan.judge(status, headers, body, latency_ns) is error
    assert plan.wants_headers == ("header" in expect)
    assert plan.wants_body == ("body" in expect)


@pytest.mark.parametrize(
    ("capture", "headers", "body", "value"),
    [
        ('"user.name"', {}, JSON, "Ö"),
        ('"user.id"', {}, JSON, "7"),
        ('"user.is_admin"', {}, JSON, "true"),
        ('"user.tags"', {}, JSON, '["a"]'),
        ('"user.none"', {}, JSON, EXPECT_BODY),
        ('"user.id.x"', {}, JSON, EXPECT_BODY),
        ('"user"', {}, b"no", DECODE),
        ('{ header = "Location" }', {"location": "/a/5"}, b"", "/a/5"),
        ('{ header = "Location" }', {}, b"", EXPECT_HEADER),
        ("{ header = 'location', regex = '[0-9]+' }", {"location": "/a/5"}, b"", "5"),
        ("{ header = 'location', regex = 'b' }", {"location": "/a/5"}, b"", EXPECT_HEADER),
        ("{ regex = 'id=([a-z]+)' }", {}, b"x id=abc;", "abc"),
        ("{ regex = 'id=([a-z]+)' }", {}, b"x id=1", EXPECT_BODY),
        ("{ regex = 'a|(b)' }", {}, b"a", EXPECT_BODY),
    ],
)
def test_a_capture_keeps_text_or_fails(
    capture: str, headers: dict[str, str], body: bytes, value: str | ErrorCode
) -> None:
    flow = flow_of(f'get = "/"\ncapture = {{ c = {capture} }}', 'put = "/"\nbody = "{{c}}"')
    session = flow.session(0, 0)
    next(session)
    result = judged(flow.plans[0], headers=headers, body=body)
    if isinstance(value, ErrorCode):
        assert result.error is value
        return
    assert result.error is NONE
    send = session.send(result)
    assert isinstance(send, Send)
    assert send.values == (value.encode(),)


@pytest.mark.parametrize("document", [{"a": {"b": 1}}, {"a": [1]}, {"a": None}, [], 5, "a", None])
@pytest.mark.parametrize("text", ["a", "a.b", "a.b.c", "x"])
def test_names_and_dots_give_what_jmespath_gives(text: str, document: object) -> None:
    query = JsonQuery.from_toml(text)
    assert query.names is not None
    assert query.search(document) == query.compiled.search(document)


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=2)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
)


@given(DOCUMENTS, DOCUMENTS)
def test_sameness_is_that_of_json(one: object, other: object) -> None:
    assert same(one, other) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )
