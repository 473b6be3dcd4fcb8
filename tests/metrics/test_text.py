"""The text: what prometheus-client reads back, in both formats, whole or piece by piece."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_plain

from flux.metrics.text import OPEN_METRICS, PLAIN, Format, RunCollector, format_for, render
from tests.metrics.rig import PHASES, context_of, meter_of, metered, metered_now, values
from tests.outcomes import as_rows, collect_all, final_of, request

READERS = [(PLAIN, read_plain), (OPEN_METRICS, read_open)]
ROWS = [request(), request(step=1, status=503), request(0, 3 * 10**9, step=2)]


@pytest.mark.parametrize(("form", "read"), READERS)
@pytest.mark.parametrize("names", ["otel", "kar98k", "volcanion"])
async def test_every_point_is_read_back(
    form: Format, read: Callable[[str], Any], names: str
) -> None:
    meter = await metered([final_of(ROWS)], names=names)
    text = (await render(meter, form)).decode()
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in read(text)
        for sample in metric.samples
    }
    for one in meter.families:
        for attributes, value in values(meter, one.name):
            labels = {name.replace(".", "_"): str(text) for name, text in attributes.items()}
            if one.kind != "histogram":
                assert samples[one.prometheus_name, frozenset(labels.items())] == value
                continue
            edges = [*map(str, map(float, meter.edges[one.latency].edges_s)), "+Inf"]
            for edge, count in zip(edges, [*value.below.tolist(), value.count]):
                within = frozenset({**labels, "le": edge}.items())
                assert samples[f"{one.stem}_bucket", within] == count
            assert samples[f"{one.stem}_count", frozenset(labels.items())] == value.count
            assert samples[f"{one.stem}_sum", frozenset(labels.items())] == value.sum_ns / 1e9


async def test_pieces_make_the_text_that_all_at_once_makes() -> None:
    names = [f"step {number}" for number in range(40)]
    context = context_of(steps=names, requests=())
    rows = [request(step=number, status=200 + number) for number in range(40)]
    meter = await metered(collect_all([as_rows(rows)], steps=names), context=context)
    registry = CollectorRegistry()
    registry.register(RunCollector(meter))
    at_once: bytes = OPEN_METRICS.encode(registry)
    assert await render(meter, OPEN_METRICS) == at_once


def test_a_name_of_a_step_may_have_any_text() -> None:
    names = ('say "hi"', "a\\b\nc")
    meter = metered_now([], context=context_of(steps=names, requests=()))
    text = b"".join(PLAIN.encode(RunCollector(meter)) for _ in range(1)).decode()
    found = {
        sample.labels["flux_step"]
        for metric in read_plain(text)
        for sample in metric.samples
        if "flux_step" in sample.labels
    }
    assert found == set(names)


async def test_what_is_not_known_has_no_text() -> None:
    text = (await render(meter_of(), PLAIN)).decode()
    assert "flux_inflight" not in text
    assert "flux_run_state" in text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("names", ["otel", "kar98k", "volcanion"])
async def test_promtool_has_nothing_to_say(names: str) -> None:
    context = context_of(phases=PHASES, open_sessions=lambda: 3, planned=lambda: 3)
    meter = await metered([final_of(ROWS)], context=context, names=names)
    done = await trio.run_process(
        ["promtool", "check", "metrics"],
        stdin=await render(meter, PLAIN),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/plain", PLAIN),
        ("application/openmetrics-text", OPEN_METRICS),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPEN_METRICS),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
            "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPEN_METRICS,
        ),
        ("application/openmetrics-text;q=0.1, text/plain", PLAIN),
        ("application/openmetrics-text;q=0", PLAIN),
        ("application/openmetrics-text;q=nan", PLAIN),
        ("text/html,application/xhtml+xml,*/*;q=0.8", PLAIN),
        (";;q=,,=;", PLAIN),
    ],
)
def test_the_format_is_the_one_that_the_scraper_likes_best(accept: str, form: Format) -> None:
    assert format_for(accept) is form
