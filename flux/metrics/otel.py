"""The metrics of a run by OpenTelemetry's names, and by its own where that has none.

`http.client.request.duration` is what the convention says it is: how long the request took. What a
user would have felt, from the intended time, is `flux.response.duration`.

Source: OpenTelemetry semantic conventions, HTTP client metrics (stable).
"""

from flux.metrics.buckets import Edges
from flux.metrics.family import Dialect
from flux.metrics.otel_requests import REQUEST_FAMILIES
from flux.metrics.otel_run import RUN_FAMILIES

DURATION_EDGES = Edges.of_seconds(
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10
)
"""The convention's."""

LAG_EDGES = Edges.of_seconds(
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5
)
"""Finer: a lag that matters is small beside a response."""


def otel_dialect(edges: Edges = DURATION_EDGES) -> Dialect:
    """These names, with other buckets for service and response if wanted."""
    return Dialect(
        (*REQUEST_FAMILIES, *RUN_FAMILIES),
        {"service": edges, "response": edges, "lag": LAG_EDGES},
    )
