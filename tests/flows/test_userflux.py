import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.config.interpolate import interpolate
from flux.config.structure import structure
from flux.errors import ExitCode
from flux.flows.actions import Flow, Send
from flux.flows.compile import compile_flow
from flux.flows.options import FlowOptions
from flux.flows.step import Step
from flux.flows.userflux import ScriptError, go_duration, read_script, to_document
from tests.flows.building import actions, body, first_send, headers, target

REGISTER = """\
config:
  users: 1
  time: "100s"

script:
  name: register
  flow:
    - name: health
      url: "http://127.0.0.1:8080"
      request:
        method: GET
        path: /health

    - name: register
      url: "http://127.0.0.1:8080"
      body: [username, password]
      request:
        method: POST
        path: /auth/register
        headers:
          Content-Type: application/json
"""
TEST_0 = """\
config: {users: 2, time: 30s}
script:
  name: test_0
  flow: [{name: health, url: "http://localhost:8080", request: {method: get, path: /health}}]
"""


def flow_of_script(text: str) -> Flow:
    steps = []
    for table in read_script(text, "s.yml").steps:
        step, problems = structure(Step, dict(table))
        assert step is not None, problems
        steps.append(step)
    return compile_flow(steps, seed=1, defaults=FlowOptions(success="userflux"))


def test_the_script_that_userflux_shipped_runs_as_it_is() -> None:
    script = read_script(REGISTER, "scripts/register.yml")
    assert (script.name, script.users, script.warnings) == ("register", 1, ())
    assert script.target == "http://127.0.0.1:8080"
    assert script.duration == 100 * 10**9
    health, register = [one for one in actions(flow_of_script(REGISTER)) if isinstance(one, Send)]
    assert (health.plan.name, health.plan.method, target(health)) == ("health", "GET", "/health")
    assert (register.plan.method, target(register)) == ("POST", "/auth/register")
    assert headers(register) == {"Content-Type": "application/json"}
    username, password = (value.decode() for value in register.values)
    assert body(register) == f'{{"username":"{username}","password":"{password}"}}'
    assert len(username) == len(password) == 10
    assert (username + password).isalnum()


def test_a_script_stands_for_a_pipeline() -> None:
    assert to_document(read_script(TEST_0, "test_0.yml")) == {
        "name": "test_0",
        "duration": "30s",
        "stage": [
            {"use": "exponential", "rate": "2/s", "min": "25ms", "max": "5s"},
            {
                "use": "http",
                "target": "http://localhost:8080",
                "success": "userflux",
                "step": [{"name": "health", "get": "/health"}],
            },
            {"use": "collect"},
            {"use": "json"},
            {"use": "csv"},
        ],
    }


def step_of(step: str, *, config: str = "time: 1s") -> Any:
    script = read_script(f"config: {{{config}}}\nscript: {{flow: [{{{step}}}]}}", "dir/s.yml")
    return script, script.steps[0]


def test_what_userflux_tolerated_is_tolerated() -> None:
    script, step = step_of('url: "http://h/a", request: {path: b, x: 1, headers: {n: 5, t: yes}}')
    assert (script.name, script.users, script.target) == ("s", 1, "http://h")
    assert step == {"get": "/ab", "headers": {"n": "5", "t": "yes"}}
    assert script.warnings == ("dir/s.yml:2:56: script.flow[0].request has an unknown key 'x'",)
    _, step = step_of('url: "http://h", name: , body: , request: ')
    assert step == {"get": "/"}
    _, step = step_of('url: "https://h", request: {method: propfind, path: "/x?y=1#z"}')
    assert step == {"request": "PROPFIND /x?y=1"}


def test_headers_that_the_client_sets_are_left_out_with_a_warning() -> None:
    script, step = step_of('url: "http://h", request: {headers: {Host: x, Content-Length: 1}}')
    assert "headers" not in step
    assert [warning.partition("headers.")[2].split()[0] for warning in script.warnings] == [
        "Host",
        "Content-Length",
    ]


def test_text_that_looks_like_a_placeholder_or_a_variable_stays_text() -> None:
    flow = flow_of_script(
        'config: {time: 1s}\nscript: {flow: [{url: "http://h", body: ["{{a}}"], '
        'request: {path: "/{{b}}", headers: {h: "{{{c ${D}"}}}]}'
    )
    send = first_send(flow)
    assert target(send) == "/%7B%7Bb%7D%7D"
    assert headers(send)["h"] == "{{{c ${D}"
    assert body(send).startswith('{"{{a}}":"')
    script, _ = step_of(
        'url: "http://h", name: "${A}", request: {path: "/$1", headers: {h: "${D}"}}'
    )
    (step,) = to_document(script)["stage"][1]["step"]
    document, _, problems = interpolate(step, {})
    assert problems == []
    assert document == {"name": "${A}", "get": "/$1", "headers": {"h": "${D}"}}


STEP = 'flow: [{url: "http://h"}]'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yml:1:1: is empty"),
        ("# nothing", "s.yml:1:1: is empty"),
        ("a: [1,\n b: }", "s.yml:2:5: is not YAML: expected the node content, but found '}'"),
        ("a:\n\t- b", "s.yml:2:1: is not YAML: found character '\\t' that cannot start any token"),
        ("a: b\x07", "s.yml:1:5: is not YAML: special characters are not allowed"),
        ("[" * 5000, "s.yml:1:1: is nested too deep"),
        ("- a", "s.yml:1:1: the script must be a mapping, got a list"),
        ("config: 5\nscript: 6", "s.yml:1:9: config must be a mapping, got a single value"),
        (f"script: {{{STEP}}}", "s.yml:1:1: config is required"),
        (f"config:\nscript: {{{STEP}}}", "s.yml:1:8: config.time is required"),
        (
            f"config: {{time: 5}}\nscript: {{{STEP}}}",
            "s.yml:1:16: config.time must be a duration above 0, "
            "such as \"100s\" or \"1h30m\", got '5'"
            '\n  hint: write "5s"',
        ),
        (
            f"config: {{time: [5s]}}\nscript: {{{STEP}}}",
            "s.yml:1:16: config.time must be text, got a list",
        ),
        (
            f"config: {{users: many, time: 5s}}\nscript: {{{STEP}}}",
            "s.yml:1:17: config.users must be a whole number greater than 0, got 'many'",
        ),
        ("config: {time: 5s}\nscript: {}", "s.yml:2:9: script.flow is required"),
        (
            "config: {time: 5s}\nscript: {flow: }",
            "s.yml:2:15: script.flow must have at least one step",
        ),
        (
            "config: {time: 5s}\nscript: {flow: {}}",
            "s.yml:2:16: script.flow must be a list, got a mapping",
        ),
        (
            "config: {time: 5s}\nscript: {flow: [{url: h}]}",
            "s.yml:2:23: script.flow[0].url and request.path must make a URL such as "
            "http://127.0.0.1:8080/health, got 'h'",
        ),
        (
            'config: {time: 5s}\nscript: {flow: [{url: "http://h", body: name}]}',
            "s.yml:2:41: script.flow[0].body must be a list, got a single value",
        ),
        (
            'config: {time: 5s}\nscript: {flow: [{url: "http://h", request: {method: "A B"}}]}',
            "s.yml:2:53: script.flow[0].request.method must be a word, got 'A B'",
        ),
        (
            'config: {time: 5s}\nscript:\n  flow:\n  - url: "http://a"\n  - url: "http://b"',
            "s.yml:5:5: script.flow[1] goes to http://b, but an earlier step to http://a"
            "\n  hint: the steps of one flow go to one target: make a script of each",
        ),
        (
            f"config: {{time: 5s, time: 6s}}\nscript: {{{STEP}}}",
            "s.yml:1:20: config has the key 'time' twice, first on line 1",
        ),
        (
            f"config: {{time: 5s, [a]: 6s}}\nscript: {{{STEP}}}",
            "s.yml:1:20: config has a key that is not text",
        ),
        (
            f"config: {{time: 5s, <<: 5}}\nscript: {{{STEP}}}",
            "s.yml:1:9: config has a merge that makes no sense",
        ),
    ],
)  # fmt: skip
def test_what_cannot_run_is_told_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(ScriptError, match=r"s\.yml") as caught:
        read_script(text, "s.yml")
    assert message in str(caught.value)
    assert caught.value.exit_code is ExitCode.INVALID_PIPELINE
    first = str(caught.value).split(":")
    assert (caught.value.line, caught.value.column) == (int(first[1]), int(first[2]))


def test_all_problems_are_told_in_file_order() -> None:
    with pytest.raises(ScriptError, match=r"config\.users") as caught:
        read_script("script: {flow: 5}\nconfig: {users: 0}", "s.yml")
    lines = str(caught.value).splitlines()
    assert [line.split(" must")[0].split(" is")[0] for line in lines] == [
        "s.yml:1:16: script.flow",
        "s.yml:2:9: config.time",
        "s.yml:2:17: config.users",
    ]


def test_anchors_and_merges_are_followed() -> None:
    text = """\
base: &base {url: "http://h", request: {path: /a}}
config: {time: 1s}
script: {flow: [{<<: *base, name: x}, *base]}
"""
    script = read_script(text, "s.yml")
    assert script.steps == ({"name": "x", "get": "/a"}, {"get": "/a"})


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("100s", 100 * 10**9),
        ("5m", 300 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("250ms", 250 * 10**6),
        ("1.5h", 5400 * 10**9),
        (".5s", 5 * 10**8),
        ("5.s", 5 * 10**9),
        ("+1s", 10**9),
        ("1s1h", 3601 * 10**9),
        ("3us", 3000),
        ("3µs", 3000),
        ("7ns", 7),
        ("", None),
        ("5", None),
        ("0", None),
        ("-5s", None),
        ("1d", None),
        ("1 s", None),
        ("9" * 40 + "h", None),
        ("1s" * 100, None),
    ],
)
def test_durations_are_those_of_go(text: str, nanoseconds: int | None) -> None:
    assert go_duration(text) == nanoseconds


@given(st.text(max_size=60) | st.text("{}[]:,-&*<\n ab5s\"'", max_size=40))
def test_no_text_does_anything_but_run_or_be_refused(text: str) -> None:
    with contextlib.suppress(ScriptError):
        assert read_script(text, "s.yml").steps
