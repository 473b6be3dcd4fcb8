import json
import pathlib

import pytest

from flux.config.structure import structure
from flux.flows.compile import compile_flow
from flux.flows.options import FlowOptions
from flux.flows.step import Step
from tests.flows.building import body, first_send, flow_of, problems_of, steps_of, target


@pytest.mark.parametrize(
    ("text", "method", "path"),
    [
        ('get = "/a"', "GET", "/a"),
        ('post = "/a"', "POST", "/a"),
        ('put = "/a"', "PUT", "/a"),
        ('patch = "/a"', "PATCH", "/a"),
        ('delete = "/a?x=1"', "DELETE", "/a?x=1"),
        ('head = "/"', "HEAD", "/"),
        ('options = "/"', "OPTIONS", "/"),
        ('request = "PROPFIND /files"', "PROPFIND", "/files"),
    ],
)
def test_a_step_names_its_method_and_path(text: str, method: str, path: str) -> None:
    (step,) = steps_of(text)
    assert (step.method, step.path, step.title) == (method, path, f"{method} {path}")


def test_a_name_replaces_method_and_path() -> None:
    (plan,) = flow_of('name = "log in"\npost = "/login"\ntimeout = "2s"').plans
    assert (plan.name, plan.timeout_ns) == ("log in", 2 * 10**9)


ONE = "must have exactly one of get, post, put, patch, delete, head, options and request"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f" {ONE}"),
        ('get = "/"\npost = "/"', f" {ONE}, not get and post"),
        ('get = "x"', 'get must be a path that begins with / [write "/x"]'),
        (
            'get = "http://h:80/x?y=1"',
            "get must be a path: the host is in target "
            '[set target = "http://h:80" and write "/x?y=1" here]',
        ),
        ('get = "/a#b"', "get must not have a fragment: it is never sent"),
        ('request = "PROPFIND"', 'request must be a method and a path, as in "PROPFIND /files"'),
        ('get = "/"\nname = " "', "name must not be blank"),
        ('get = "/"\njson = 1\nbody = ""', "body cannot stand beside json: there is one body"),
        ('get = "/"\nfile = "no-such-file"', "file must be a file that exists"),
        ('get = "/"\njson = [{ a = nan }]', "json[0].a must be finite: JSON has no inf and no nan"),
        (
            'get = "/"\nquery = { a = {} }',
            "query.a must be text, a number, true or false, or an array of those",
        ),
        ('get = "/"\nheaders = { "a b" = "" }', "headers.a b is not the name of a header"),
        (
            'get = "/"\nheaders = { Host = "x" }',
            "headers.Host must not be given: the client sets this header",
        ),
        (
            'get = "/"\nheaders = { a = "x\\r\\ny" }',
            "headers.a must not have line breaks or other control characters",
        ),
        ('get = "/"\ntimeout = "0s"', "timeout must be greater than 0"),
        ('get = "/"\nthink = 3', 'think must be a duration, as in "30s" [write "3s"]'),
        ('get = "/"\nthink = { min = "3s", max = "1s" }', "think.min must not be longer than max"),
        ('get = "/"\nthink = { min = "3s" }', "think.max is required"),
        (
            'get = "/"\ncapture = { "a-b" = "x" }',
            "capture.a-b must be named with letters, digits and _, a digit not first",
        ),
        ('get = "/"\ncapture = { seq = "x" }', "capture.seq must not have this name: it is taken"),
        (
            'get = "/"\ncapture = { a = "[" }',
            "capture.a.json must be a JMESPath expression (character 2 makes no sense) "
            "[as in data.user.id or items[0].name]",
        ),
        (
            'get = "/"\ncapture = { a = { regex = "(" } }',
            "capture.a.regex must be a regular expression (missing ), unterminated "
            "subpattern at character 1)",
        ),
        ('get = "/"\ncapture = { a = {} }', "capture.a must have one of json, header and regex"),
        (
            'get = "/"\ncapture = { a = 5 }',
            "capture.a must be a JMESPath expression, or a table with json, header or regex",
        ),
        (
            'get = "/"\ncapture = { a = { json = "a", header = "b" } }',
            "capture.a.json cannot stand beside header or regex",
        ),
        (
            'get = "/"\nexpect = { status = 99 }',
            'expect.status must be a status such as 201, a class such as "2xx", or an '
            "array of those",
        ),
        (
            'get = "/"\nexpect = { status = [] }',
            'expect.status must be a status such as 201, a class such as "2xx", or an '
            "array of those",
        ),
        (
            'get = "/"\nexpect = { body = { json = { "a[" = 1 } } }',
            "expect.body.json has a key 'a[' that must be a JMESPath expression "
            "(character 3 makes no sense)",
        ),
        (
            'get = "/"\nexpect = { body = { contains = "{{x}}" } }',
            "expect.body.contains must not have placeholders: they stand in requests "
            "only [use matches]",
        ),
        (
            'get = "/"\nexpect = { body = { json = { a = "{{x}}" } } }',
            "expect.body.json must not have placeholders: they stand in requests only "
            "[use matches]",
        ),
        (
            'get = "/"\nexpect = { header = { a = 1 } }',
            "expect.header.a must be text, or a table with contains, equals or matches",
        ),
        (
            'get = "/"\nexpect = { body = { matchs = "x" } }',
            "expect.body.matchs is not a known key [did you mean 'matches'?]",
        ),
        ('get = "/"\nexpect = { latency = "0s" }', "expect.latency must be greater than 0"),
        ('get = "/{{seq"', "get must close the placeholder at character 2 with }}"),
        (
            'get = "/"\njson = { a = ["{{randm.uuid}}"] }',
            "json.a[0] must not use the unknown name 'randm.uuid' [did you mean 'random.uuid'?]",
        ),
        (
            'get = "/{{seq|number}}"',
            "get must use |number only where it is all of a string in json",
        ),
        (
            'get = "/"\njson = { a = "n{{seq|number}}" }',
            "json.a must use |number only where it is all of a string in json",
        ),
        (
            'get = "/"\nbody = "{{seq|number}}"',
            "body must use |number only where it is all of a string in json",
        ),
        ('get = "/"\non_failure = "abort"', 'on_failure must be one of "stop", "continue"'),
        ('gett = "/"', "gett is not a known key [did you mean 'get'?]"),
    ],
)
def test_a_mistake_is_told_with_its_key(text: str, problem: str) -> None:
    assert problem in problems_of(text)


def test_every_mistake_of_a_step_is_told_at_once() -> None:
    text = 'get = "x"\nheaders = { "a b" = "{{" }\njson = { a = "{{nope(1)}}" }\nthink = "1s"'
    keys = {problem.split(" must")[0].split(" is")[0] for problem in problems_of(text)}
    assert keys == {"get", "headers.a b", "json.a"}


def test_json_is_sent_without_needless_spaces_and_in_the_order_written() -> None:
    text = """
        post = "/x"
        json = { z = 1, a = [true, 1.5, "é\\n", { }], d = 1979-05-27T07:32:00Z, n = "{{seq}}" }
    """
    text = " ".join(text.split())
    text = text.replace(" json", "\njson")
    send = first_send(flow_of(text), seq=7)
    assert body(send) == (
        '{"z":1,"a":[true,1.5,"é\\n",{}],"d":"1979-05-27T07:32:00+00:00","n":"7"}'
    )


def test_json_numbers_stay_text_unless_asked_for() -> None:
    flow = flow_of(
        """post = "/x"\njson = ["{{seq}}", "{{seq|number}}", "{{random.int(5,5)|number}}"]"""
    )
    assert json.loads(body(first_send(flow, seq=3))) == ["3", 3, 5]


def test_query_parameters_join_those_of_the_path() -> None:
    query = 'query = { a = [1, true], "b c" = "d&{{seq}}" }'
    assert target(first_send(flow_of(f'get = "/"\n{query}'))) == "/?a=1&a=true&b%20c=d%260"
    assert target(first_send(flow_of(f'get = "/?x"\n{query}'))) == "/?x&a=1&a=true&b%20c=d%260"
    assert target(first_send(flow_of('get = "/?"\nquery = { a = 1 }'))) == "/?a=1"
    assert target(first_send(flow_of('get = "/"\nquery = { a = [] }'))) == "/"


def test_a_file_is_sent_as_it_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").write_bytes(b"\x00{{seq}}\xff")
    step, problems = structure(Step, {"put": "/x", "file": "data"}, base=tmp_path)
    assert problems == []
    assert step is not None
    (plan,) = compile_flow([step], seed=1, defaults=FlowOptions()).plans
    assert plan.body is not None
    assert plan.body.pieces == (b"\x00{{seq}}\xff",)
    assert plan.is_constant
