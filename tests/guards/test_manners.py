"""Who requests say they are from."""

import pathlib
import re

import pytest
import trio

import flux
from flux.engine import run_pipeline
from flux.guards.manners import user_agent
from tests.clients.wire.rig import OK, Peer, serve
from tests.guards.running import pipeline_of, run_of

HTTP = """
    name = "check out (β)"
    duration = "100ms"
    {top}
    [[stage]]
    use = "constant"
    rate = "20/s"
    [[stage]]
    use = "http"
    target = "http://127.0.0.1:{port}"
    client = "{client}"
    step = [{{ get = "/", headers = {{ {step} }} }}]
    headers = {{ {headers} }}
"""

IDENTITY = f"flux/{flux.__version__} (load test; run check out ___)"


@pytest.mark.parametrize("client", ["wire", "httpx"])
@pytest.mark.parametrize(
    ("top", "headers", "step", "agents"),
    [
        ("", "", "", {IDENTITY}),
        ("identify = false", "", "", set()),
        ("", 'user-agent = "mine"', "", {"mine"}),
        ("", "", 'USER-AGENT = "steps"', {"steps"}),
        ("", 'User-Agent = "mine"', 'user-agent = "steps"', {"steps"}),
    ],
)
def test_requests_say_who_sends_them_unless_told_otherwise(
    client: str, top: str, headers: str, step: str, agents: set[str], tmp_path: pathlib.Path
) -> None:
    requests: list[bytes] = []

    def answer(peer: Peer, _: int) -> None:
        while request := peer.read_request():
            requests.append(request)
            peer.send(OK)

    with serve(answer) as server:
        text = HTTP.format(top=top, port=server.port, client=client, headers=headers, step=step)
        pipeline = pipeline_of(text, tmp_path)

        async def main() -> None:
            await run_pipeline(pipeline, run_of(pipeline))

        trio.run(main)
    assert len(requests) == 2
    found = {
        match.decode()
        for request in requests
        for match in re.findall(rb"(?i)\r\nuser-agent: ([^\r]*)", request)
    }
    assert found == agents


@pytest.mark.parametrize("name", ["{{random.text(9)}}", "a\\b", "(x)", "täst", "a {b} c"])
def test_a_name_cannot_break_the_header(name: str) -> None:
    agent = user_agent(name)
    assert re.fullmatch(r"flux/[\w.]+ \(load test; run [\w. ]+\)", agent, re.ASCII)
