"""A collector of OpenTelemetry on loopback: decodes what it is sent, and answers as it is told."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)


@attrs.define
class FakeCollector:
    """What it was sent, and how it answers."""

    port: int = 0
    status: int = 200
    rejected: int = 0
    """Points that it says it did not take."""
    hangs: threading.Event = attrs.field(factory=threading.Event)
    """While this is set nobody is answered."""
    paths: list[str] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)
    messages: list[Any] = attrs.field(factory=list)
    released: threading.Event = attrs.field(factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def total(self, index: int, name: str) -> int:
        """Of a message, the sum over a metric's points; of a histogram, of their counts."""
        for metric in self.messages[index].resource_metrics[0].scope_metrics[0].metrics:
            if metric.name == name:
                kind = metric.WhichOneof("data")
                points = getattr(metric, kind).data_points
                return sum(one.count if "histogram" in kind else one.as_int for one in points)
        return 0


@contextmanager
def open_collector() -> Iterator[FakeCollector]:
    """One on a free port, in threads."""
    collector = FakeCollector()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the name is the library's
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = ExportMetricsServiceRequest()
            message.ParseFromString(body)
            collector.paths.append(self.path)
            collector.headers.append({key.lower(): text for key, text in self.headers.items()})
            collector.messages.append(message)
            if collector.hangs.is_set():
                collector.released.wait()
                self.close_connection = True
                return
            answer = ExportMetricsServiceResponse()
            if collector.rejected:
                answer.partial_success.rejected_data_points = collector.rejected
                answer.partial_success.error_message = "too old"
            text = answer.SerializeToString()
            self.send_response(collector.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        collector.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
