"""Puts the stage that guards need into a pipeline that has a breaker or a budget, and checks it."""

from collections.abc import Iterator

import attrs

from flux.config.problems import Problem
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


def check_guards(pipeline: Pipeline) -> Iterator[Problem]:
    """What does not fit between the guards and the rest."""
    breaker = pipeline.settings.breaker
    if breaker is None or breaker.action != "pause":
        return
    for node in pipeline.executors:
        users: int | None = getattr(pipeline.chain(node)[0].stage, "users", None)
        # Of so many wanted users the nearest whole number comes; none would tell nothing.
        if users is not None and users * breaker.probe < 0.5:
            yield Problem(
                ("breaker", "probe"),
                f"must leave at least one of {users} users",
                f"write probe = {1 / users:.1g}",
                has_value="probe" in pipeline.document.values["breaker"],
            )
            return
