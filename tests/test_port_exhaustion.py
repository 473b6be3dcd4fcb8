"""A machine with no local port left, for real: a network namespace with twenty of them."""

import json
import pathlib
import subprocess
import sys
import textwrap

import pytest

NAMESPACE = ("unshare", "--map-root-user", "--net")

SCRIPT = r"""
    set -e
    ip link set lo up
    echo "40000 40019" > /proc/sys/net/ipv4/ip_local_port_range
    exec "$0" -m tests.mute_target "$@"
"""


def can_unshare() -> bool:
    try:
        subprocess.run([*NAMESPACE, "ip", "link", "set", "lo", "up"], check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@pytest.mark.slow
def test_running_out_of_ports_is_named_and_makes_the_run_invalid(tmp_path: pathlib.Path) -> None:
    if not can_unshare():
        pytest.skip("needs network namespaces")
    file = tmp_path / "ports.toml"
    file.write_text(
        textwrap.dedent("""
            duration = "1s"
            drain = "100ms"
            [[stage]]
            use = "constant"
            rate = "50/s"
            [[stage]]
            use = "http"
            target = "http://127.0.0.1:8099"
            step = [{ get = "/" }]
            [[stage]]
            use = "json"
        """)
    )
    command = [*NAMESPACE, "sh", "-c", textwrap.dedent(SCRIPT), sys.executable, "8099"]
    command += [sys.executable, "-m", "flux", "run", str(file), "--results", str(tmp_path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 96, ended.stderr
    result = json.loads((tmp_path / "result_1" / "result.json").read_text())
    assert result["errors"] == {"ports": 30, "aborted": 20}
    assert "the generator ran out of ports: 30 of 50 requests" in ended.stderr
