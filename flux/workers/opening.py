"""Before a run: executors with more than one process are replaced by pools of ready workers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import attrs

from flux.graph import Node, Pipeline
from flux.workers.job import Job, ancestors, work_of
from flux.workers.keys import ONE, Processes
from flux.workers.pool import WorkerPool
from flux.workers.process import open_processes


@asynccontextmanager
async def open_workers(pipeline: Pipeline) -> AsyncIterator[Pipeline]:
    """Start the workers that executors ask for; yield the pipeline that runs on them.

    The workers are ready when the block begins, so that the clock of the run can be started then,
    and all of them have ended when it is over. Without `processes` the pipeline stays as it is.

    Raises:
        FluxError: a stage cannot be sent, or a worker cannot begin; nothing is left running.
    """
    async with AsyncExitStack() as stack:
        original = pipeline
        for node in original.executors:
            processes: Processes = getattr(node.stage, "processes", ONE)
            if processes.count > 1:
                pool = await stack.enter_async_context(_open_pool(original, node, processes.count))
                pipeline = _with_pool(pipeline, node, pool)
            elif processes != ONE:
                pipeline = pipeline.with_stage(node.name, attrs.evolve(node.stage, processes=ONE))
        yield pipeline


@asynccontextmanager
async def _open_pool(pipeline: Pipeline, executor: Node, count: int) -> AsyncIterator[WorkerPool]:
    works = [work_of(pipeline, executor, index, count) for index in range(count)]
    async with open_processes([Job.of(work) for work in works]) as workers:
        yield WorkerPool(executor.stage, workers, works[0].pipeline)


def _with_pool(pipeline: Pipeline, executor: Node, pool: WorkerPool) -> Pipeline:
    """The pool in the executor's place, and nothing left that only the executor took from."""
    replaced = [
        attrs.evolve(node, stage=pool, inputs=()) if node.name == executor.name else node
        for node in pipeline.nodes
    ]
    above = ancestors(pipeline, executor)
    kept: list[Node] = []
    for node in reversed(replaced):  # takers come first
        is_taken = any(node.name in one.inputs for one in kept)
        if is_taken or node.name not in above:
            kept.insert(0, node)
    return attrs.evolve(pipeline, nodes=tuple(kept))
