"""Whom a pipeline may talk to: by its text, by its names, and wherever redirects lead."""

import pathlib
from typing import Any

import pytest
import trio

from flux.cli import invoke
from flux.config.problems import InvalidPipeline
from flux.engine import RunResult, run_pipeline
from flux.errors import ExitCode, HostNotAllowed
from flux.guards.contacts import resolve_contacts
from flux.result_file import read_result
from tests.clients.wire.rig import OK, Peer, serve
from tests.guards.running import ELSEWHERE, marks, pipeline_of, resolve, run_of
from tests.workers.running import run_live

HTTP = """
    duration = "200ms"
    {top}
    [[stage]]
    use = "constant"
    rate = "50/s"
    [[stage]]
    use = "http"
    target = "{target}"
    step = [{{ get = "/" }}]
    {keys}
"""

CLIENTS = ("wire", "httpx")


def text_of(target: str, keys: str = "", top: str = "") -> str:
    return HTTP.format(target=target, keys=keys, top=top)


@pytest.mark.parametrize(
    ("target", "keys", "where"),
    [
        ("http://93.184.216.34", "", ("stage", 1, "target")),
        ("https://[2606:2800:220:1::1]:8443/api", "", ("stage", 1, "target")),
        ("http://127.0.0.1", 'connect_to = "93.184.216.34:80"', ("stage", 1, "connect_to")),
        ("http://127.0.0.1", 'proxy = "http://93.184.216.34:3128"', ("stage", 1, "proxy")),
        ("http://api.test", 'proxy = "http://127.0.0.1:3128"', ("stage", 1, "target")),
    ],
)
def test_an_address_of_somebody_else_is_a_problem_of_the_file(
    target: str, keys: str, where: tuple[Any, ...], tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InvalidPipeline, match="must be in allow_hosts") as raised:
        pipeline_of(text_of(target, keys), tmp_path)
    (problem,) = raised.value.problems
    assert problem.path == where
    assert "write allow_hosts = [" in str(problem.hint)


@pytest.mark.parametrize(
    ("target", "keys", "top"),
    [
        ("http://93.184.216.34", "", 'allow_hosts = ["93.184.216.34"]'),
        ("http://api.example.com", "", ""),  # by its addresses, once there is a network
        ("http://93.184.216.34", 'connect_to = "127.0.0.1:80"', ""),
        ("http://93.184.216.34", 'unix_socket = "/run/api.sock"', ""),
        ("http://10.1.2.3", 'proxy = "http://127.0.0.1:3128"', ""),
        ("http://api.test", 'proxy = "http://127.0.0.1:3128"', 'allow_hosts = ["*.api.test"]'),
        ("demo", "", ""),
    ],
)
def test_what_is_nearby_or_allowed_is_no_problem(
    target: str, keys: str, top: str, tmp_path: pathlib.Path
) -> None:
    if "*" in top:
        target = "http://v1.api.test"
    assert pipeline_of(text_of(target, keys, top), tmp_path).executors


def test_a_webhook_is_held_to_the_same(tmp_path: pathlib.Path) -> None:
    top = '[breaker]\nsilence = "1s"\nwebhook = "https://1.1.1.1/hook"'
    with pytest.raises(InvalidPipeline, match=r"breaker\.webhook is neither loopback nor"):
        pipeline_of(text_of("demo", top=top), tmp_path)


async def test_a_name_of_somebody_else_is_refused_before_the_run(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, api_test="93.184.216.34")
    pipeline = pipeline_of(text_of("http://api.test"), tmp_path)
    with pytest.raises(
        HostNotAllowed, match=r"api\.test \(93\.184\.216\.34\) is neither"
    ) as raised:
        await resolve_contacts(pipeline)
    assert raised.value.exit_code is ExitCode.GUARD
    assert 'write allow_hosts = ["api.test"]' in str(raised.value.hint)


@pytest.mark.parametrize(
    ("target", "top", "asked"),
    [
        ("http://near.test", "", ["near.test"]),
        ("http://far.test", 'allow_hosts = ["far.test"]', []),
        ("http://unknown.test", "", ["unknown.test"]),
        ("http://localhost:8080", "", []),
        ("http://127.0.0.1:8080", "", []),
    ],
)
async def test_only_names_that_nobody_allowed_are_looked_up_before_the_run(
    target: str,
    top: str,
    asked: list[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = resolve(monkeypatch, near_test="10.1.2.3", far_test="93.184.216.34")
    await resolve_contacts(pipeline_of(text_of(target, top=top), tmp_path))
    assert names.asked == asked


async def test_a_resolver_that_does_not_answer_does_not_hold_the_run_up(
    tmp_path: pathlib.Path, autojump_clock: trio.abc.Clock
) -> None:
    class Silent(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *_: Any) -> Any:
            await trio.sleep_forever()

        async def getnameinfo(self, *_: Any) -> Any:
            await trio.sleep_forever()

    trio.socket.set_custom_hostname_resolver(Silent())
    await resolve_contacts(pipeline_of(text_of("http://api.test"), tmp_path))
    assert trio.current_time() == pytest.approx(5)


def run_here(text: str, tmp_path: pathlib.Path) -> RunResult:
    """Run a pipeline on real sockets."""
    pipeline = pipeline_of(text, tmp_path)

    async def main() -> RunResult:
        return await run_pipeline(pipeline, run_of(pipeline))

    return trio.run(main)


def redirecting(location: bytes) -> Any:
    def script(peer: Peer, _: int) -> None:
        while peer.read_request():
            peer.send(b"HTTP/1.1 302 Go\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location)

    return script


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("location", ["http://255.255.255.255/", "http://far.test/"])
def test_a_redirect_to_somebody_else_is_not_followed_and_ends_the_run(
    client: str, location: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, far_test=ELSEWHERE)
    with serve(redirecting(location.encode())) as server:
        target = f"http://127.0.0.1:{server.port}"
        result = run_here(text_of(target, f'client = "{client}"\nredirects = 3'), tmp_path)
    host = location.split("/")[2]
    assert result.ending is not None
    assert result.ending.code is ExitCode.GUARD
    assert result.ending.text.startswith(f"hosts: {host}")
    assert result.summary is not None
    assert set(result.summary.total.errors) == {"not_allowed"}
    ((_, text),) = marks(result)
    assert f'write allow_hosts = ["{host}"]' in text


@pytest.mark.parametrize("client", CLIENTS)
def test_a_redirect_to_somebody_else_who_is_allowed_is_followed(
    client: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, far_test=ELSEWHERE)
    with serve(redirecting(b"http://far.test/")) as server:
        keys = f'client = "{client}"\nredirects = 3'
        text = text_of(f"http://127.0.0.1:{server.port}", keys, 'allow_hosts = ["far.test"]')
        result = run_here(text, tmp_path)
    assert result.ending is None
    assert result.summary is not None
    assert "not_allowed" not in result.summary.total.errors  # nobody is there, that is all


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_looks_again_at_every_name_that_it_resolves(
    client: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = resolve(monkeypatch, far_test=ELSEWHERE)
    result = run_here(text_of("http://far.test", f'client = "{client}"'), tmp_path)
    assert result.ending is not None
    assert "far.test (255.255.255.255)" in result.ending.text
    assert result.summary is not None
    assert set(result.summary.total.errors) == {"not_allowed"}
    assert result.summary.sessions.check() == []
    assert names.asked.count("far.test") == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_name_that_is_nearby_is_talked_to(
    client: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(peer: Peer, _: int) -> None:
        while peer.read_request():
            peer.send(OK)

    with serve(answer) as server:
        resolve(monkeypatch, near_test="127.0.0.1")
        target = f"http://near.test:{server.port}"
        result = run_here(text_of(target, f'client = "{client}"'), tmp_path)
    assert result.summary is not None
    assert result.summary.total.successes == 10


def test_a_worker_process_that_is_sent_to_somebody_else_ends_the_run(
    tmp_path: pathlib.Path,
) -> None:
    async def main() -> RunResult:
        pipeline = pipeline_of(text_of(target, "redirects = 1\nprocesses = 2"), tmp_path)
        result, _ = await run_live(pipeline)
        return result

    with serve(redirecting(b"http://255.255.255.255/")) as server:
        target = f"http://127.0.0.1:{server.port}"
        result = trio.run(main)
    assert result.ending is not None
    assert result.ending.text.startswith("hosts: 255.255.255.255 is neither")
    assert result.ending.code is ExitCode.GUARD
    assert result.summary is not None
    assert set(result.summary.total.errors) == {"not_allowed"}


def test_the_command_refuses_a_name_with_108_and_a_way_out(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve(monkeypatch, far_test=ELSEWHERE)
    file = tmp_path / "p.toml"
    file.write_text(text_of("http://far.test").replace("    ", ""))
    assert invoke(["run", str(file), "--results", str(tmp_path)]) == ExitCode.GUARD
    err = capsys.readouterr().err
    assert "error: far.test (255.255.255.255) is neither loopback nor private" in err
    assert 'hint: if you are allowed to use it, write allow_hosts = ["far.test"]' in err
    result = read_result(tmp_path / "result_1")
    assert result["Total"] == 0
    assert result["validity"]["valid"] is False
    assert result["run"]["ended_by"]["exit_code"] == ExitCode.GUARD
    assert result["run"]["ended_by"]["text"].startswith("far.test (255.255.255.255) is neither")
