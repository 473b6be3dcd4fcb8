"""`target = "demo"`: the bundled gateway, started for the length of a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flux.clients.target import Target
from flux.pipeline import Node, Pipeline


@asynccontextmanager
async def open_demo_targets(pipeline: Pipeline, seed: int) -> AsyncIterator[Pipeline]:
    """Start a gateway if a stage wants one; yield the pipeline with its URL in place of "demo"."""
    wanting = [node for node in pipeline.nodes if _wants_demo(node)]
    if not wanting:
        yield pipeline
        return
    from flux.gateway.process import open_demo_gateway

    async with open_demo_gateway(seed=seed) as gateway:
        target = Target.parse(gateway.url)
        for node in wanting:
            pipeline = pipeline.with_stage(node.name, node.stage.with_demo(target))
        yield pipeline


def _wants_demo(node: Node) -> bool:
    return bool(getattr(node.stage, "is_demo", False))
