"""Puts the stage that guards need into a pipeline that has a breaker or a budget."""

import attrs

from flux.graph import Node, Pipeline
from flux.guards.watch import NAME, Watch
from flux.schemas import OUTCOME


def with_guards(pipeline: Pipeline) -> Pipeline:
    """The pipeline, with a `Watch` on all its executors if its settings ask for one."""
    breaker, budget = pipeline.settings.breaker, pipeline.settings.budget
    if breaker is None and budget is None:
        return pipeline
    name, number = NAME, 2
    while name in pipeline.by_name:
        name, number = f"{NAME}-{number}", number + 1
    watch = Watch(breaker=breaker, budget=budget)
    inputs = tuple(node.name for node in pipeline.executors)
    node = Node(name, NAME, "userflux", watch, inputs, OUTCOME, None)
    return attrs.evolve(pipeline, nodes=(*pipeline.nodes, node))
