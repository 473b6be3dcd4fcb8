"""`target = "demo"`: the bundled gateway, started for the length of a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

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
            pipeline = pipeline.with_stage(node.name, _with_target(node.stage, target))
        yield pipeline


def _wants_demo(node: Node) -> bool:
    targets = [getattr(node.stage, "target", None)]
    targets += [one.url for one in getattr(node.stage, "targets", ())]
    return any(isinstance(target, Target) and target.is_demo for target in targets)


def _with_target(stage: Any, target: Target) -> Any:
    """The stage with that target wherever it has "demo"."""
    if not getattr(stage, "targets", ()):
        return attrs.evolve(stage, target=target)
    targets = (
        # The name is from before: all that are "demo" have the same URL from now on.
        attrs.evolve(one, url=target, name=one.title) if one.url.is_demo else one
        for one in stage.targets
    )
    return attrs.evolve(stage, targets=tuple(targets))
