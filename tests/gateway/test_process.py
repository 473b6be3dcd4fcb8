"""The whole gateway: real processes, real gRPC, real HTTP."""

import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest
import trio
from click.testing import CliRunner

from flux.errors import FluxError, MissingExtra, UsageError
from flux.gateway.children import read_announcement
from flux.gateway.command import gateway
from flux.gateway.process import DemoGateway, open_demo_gateway

ANN = {"username": "ann", "password": "secret"}


def _client(target: DemoGateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=target.url, trust_env=False)


async def _wait_gone(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def test_journey_through_every_endpoint() -> None:
    async with open_demo_gateway() as target, _client(target) as client:
        health = await client.get("/health")
        assert health.status_code == 200
        assert health.json() == {
            "status": "ok",
            "services": {"auth": "ok", "users": "ok", "notifications": "ok"},
        }
        registered = await client.post("/auth/register", json=ANN)
        assert (registered.status_code, registered.json()) == (201, {"id": "u1", "username": "ann"})
        again = await client.post("/auth/register", json=ANN)
        assert (again.status_code, again.json()) == (409, {"error": "username 'ann' is taken"})
        broken = await client.post("/auth/register", content=b"{")
        assert (broken.status_code, broken.json()) == (400, {"error": "the body must be JSON"})
        login = await client.post("/auth/login", json=ANN)
        assert (login.status_code, list(login.json())) == (200, ["token"])
        wrong = await client.post("/auth/login", json={**ANN, "password": "guess"})
        assert wrong.status_code == 401
        user = await client.get("/users/u1")
        assert (user.status_code, user.json()) == (200, {"id": "u1", "username": "ann"})
        nobody = await client.get("/users/u9")
        assert (nobody.status_code, nobody.json()) == (404, {"error": "no user has the id 'u9'"})


async def test_gateway_and_services_are_gone_when_the_block_ends() -> None:
    async with open_demo_gateway() as target:
        pids = [target.pid, *(service.pid for service in target.services.values())]
        assert len(set(pids)) == 4
        # Ctrl-C in a terminal reaches the processes of its session's foreground group only.
        assert os.getsid(target.pid) != os.getsid(0)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_failures_that_were_asked_for_are_503_and_do_not_hinder_the_start() -> None:
    async with (
        open_demo_gateway(failures=["health=1", "register=1"]) as target,
        _client(target) as client,
    ):
        for answer in (await client.get("/health"), await client.post("/auth/register", json=ANN)):
            assert answer.status_code == 503
            assert answer.json() == {"error": "a failure that --failures asked for"}
        assert (await client.post("/auth/login", json=ANN)).status_code == 401


async def test_gateway_outlives_a_service_and_says_which_one_is_gone() -> None:
    async with open_demo_gateway() as target, _client(target) as client:
        await client.post("/auth/register", json=ANN)
        os.kill(target.services["auth"].pid, signal.SIGKILL)
        await _wait_gone(target.services["auth"].pid)
        health = await client.get("/health")
        assert health.status_code == 503
        assert health.json()["services"] == {
            "auth": "unavailable",
            "users": "ok",
            "notifications": "ok",
        }
        assert (await client.get("/users/u1")).status_code == 200
        login = await client.post("/auth/login", json=ANN)
        assert (login.status_code, login.json()) == (503, {"error": "auth: unavailable"})


async def test_killing_the_run_leaves_no_process() -> None:
    code = """import json, sys, trio
from flux.gateway.process import open_demo_gateway
async def main():
    async with open_demo_gateway() as target:
        pids = [target.pid, *(service.pid for service in target.services.values())]
        sys.stdout.write(json.dumps({"pids": pids}) + "\\n")
        sys.stdout.flush()
        await trio.sleep_forever()
trio.run(main)
"""
    run = await trio.lowlevel.open_process([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert run.stdout is not None
    try:
        async with run.stdout:
            announcement = await read_announcement(run)
    finally:
        run.kill()
        await run.wait()
    assert announcement is not None
    pids = announcement["pids"]
    assert isinstance(pids, list)
    with trio.fail_after(10):
        for pid in pids:
            await _wait_gone(pid)


async def test_killing_the_gateway_leaves_no_service() -> None:
    async with open_demo_gateway() as target:
        os.kill(target.pid, signal.SIGKILL)
        with trio.fail_after(10):
            for service in target.services.values():
                await _wait_gone(service.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_foreground_gateway_stops_cleanly_at_a_signal(number: signal.Signals) -> None:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "flux.gateway", "--port", "0"], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        line = (await process.stderr.receive_some()).decode()
        assert line.startswith("gateway on http://127.0.0.1:")
        process.send_signal(number)
        with trio.fail_after(10):
            assert b"".join([part async for part in process.stderr]) == b""
            assert await process.wait() == 0
    finally:
        process.kill()


async def test_port_in_use_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = await trio.run_process(
            [sys.executable, "-m", "flux.gateway", "--port", str(port)],
            capture_stderr=True,
            check=False,
        )
        assert result.returncode == 1
        assert result.stderr.decode() == (
            f"Error: the gateway cannot listen on 127.0.0.1:{port}: Address already in use\n"
            "  hint: --port 0 takes any free port\n"
        )
        with pytest.raises(FluxError, match=r"did not start\n.*Address already in use"):
            async with open_demo_gateway(port=port):
                pass


async def test_error_in_the_block_comes_out_as_itself() -> None:
    with pytest.raises(ZeroDivisionError, match="division"):
        async with open_demo_gateway():
            raise ZeroDivisionError("division by zero")


async def test_wrong_option_is_refused_before_anything_starts() -> None:
    with pytest.raises(UsageError, match="'20ms' is not a latency"):
        async with open_demo_gateway(latencies=["health=20ms"]):
            pass
    refused = CliRunner().invoke(gateway, ["--failures", "health=2"])
    assert isinstance(refused.exception, UsageError)


async def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flux.gateway.command.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"(?s)the demo gateway .*userflux\[demo\]"):
        async with open_demo_gateway():
            pass
