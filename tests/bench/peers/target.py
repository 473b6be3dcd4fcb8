"""The target: nginx in the foreground, pinned, on free loopback ports, in a folder of its own.

It answers from memory, logs nothing, keeps connections for ever, and counts the requests it served
(stub_status): a count that no generator can embellish.
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import attrs
import trustme

from tests.bench.peers.children import end_child
from tests.bench.peers.listeners import open_listeners
from tests.bench.peers.machine import pinned

START_LIMIT_S = 5.0

# `return` makes nginx discard the request's body before it answers, so the connection stays usable.
_CONFIGURATION = """\
daemon off;
worker_processes {workers};
worker_cpu_affinity {affinities};
worker_rlimit_nofile {files};
pid nginx.pid;
error_log stderr warn;
events {{
  use epoll;
  multi_accept on;
  worker_connections {connections};
}}
http {{
  access_log off;
  server_tokens off;
  default_type application/json;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_header_timeout 1h;
  client_body_timeout 1h;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port} backlog=16384{reuseport};
    listen 127.0.0.1:{tls_port} ssl backlog=16384;
    ssl_certificate server.pem;
    ssl_certificate_key server.pem;
    ssl_protocols TLSv1.3;
    location = /health {{ return 200 '{{"status":"ok"}}'; }}
    location = /auth/register {{
      return 201 '{{"id":1,"username":"someone","created":true}}';
    }}
    location = /counters {{ stub_status; }}
  }}
}}
"""


@attrs.frozen
class Counters:
    """What nginx counted since it began."""

    requests: int
    """Requests served, this one included."""
    connections: int
    """Connections open now, this one included."""


@attrs.frozen
class Target:
    """A running nginx."""

    pid: int
    url: str
    """`http://127.0.0.1:PORT`"""
    tls_url: str
    """`https://127.0.0.1:PORT`"""
    authority: pathlib.Path
    """The certificate that a client has to trust for `tls_url`."""

    def counters(self) -> Counters:
        """Ask nginx for its counters, on a connection of its own."""
        with urllib.request.urlopen(f"{self.url}/counters", timeout=5) as answer:
            return parse_counters(answer.read().decode())


def parse_counters(text: str) -> Counters:
    """Read the page of nginx's stub_status."""
    active = re.search(r"Active connections:\s*(\d+)", text)
    totals = re.search(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s*$", text, re.MULTILINE)
    if active is None or totals is None:
        raise ValueError(f"not a stub_status page: {text!r}")
    return Counters(requests=int(totals[3]), connections=int(active[1]))


@contextlib.contextmanager
def open_target(*cores: int) -> Iterator[Target]:
    """Run nginx on these cores, one worker per core, and end it on the way out.

    Connections are served on the core that they come from, if there is a worker on it.
    """
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        raise FileNotFoundError("nginx")
    with (
        tempfile.TemporaryDirectory(prefix="flux-bench-") as name,
        open_listeners(cores) as listeners,
    ):
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # started by root, nginx's worker is someone else
        port, tls_port = listeners[0].getsockname()[1], _free_port()
        _write_files(folder, port, tls_port, cores)
        target = Target(
            pid=0,
            url=f"http://127.0.0.1:{port}",
            tls_url=f"https://127.0.0.1:{tls_port}",
            authority=folder / "authority.pem",
        )
        command = [nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        descriptors = [one.fileno() for one in listeners]
        with (folder / "nginx.log").open("wb") as log:
            child = subprocess.Popen(
                pinned(command, *cores),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
                # How nginx takes over sockets that listen: from its predecessor in an upgrade.
                env={**os.environ, "NGINX": "".join(f"{each};" for each in descriptors)},
            )
            try:
                target = attrs.evolve(target, pid=child.pid)
                _wait_until_answers(target, child, folder / "nginx.log")
                yield target
            finally:
                end_child(child)


def _write_files(folder: pathlib.Path, port: int, tls_port: int, cores: tuple[int, ...]) -> None:
    files = _file_limit()
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            workers=len(cores),
            affinities=" ".join(f"{1 << core:b}" for core in cores),
            files=files,
            connections=min(32768, files - 64),
            port=port,
            tls_port=tls_port,
            reuseport=" reuseport" if len(cores) > 1 else "",
        )
    )
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    certificate = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))


def _file_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait_until_answers(
    target: Target, child: "subprocess.Popen[bytes]", log: pathlib.Path
) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            target.counters()
            return
        except (urllib.error.URLError, ConnectionError):
            if child.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError(f"nginx does not answer:\n{log.read_text()}") from None
            time.sleep(0.02)
