"""From a checked graph to a running nursery: one task a stage, one channel an edge.

The engine owns both ends of every channel. When a stage's coroutine returns, its outbox is closed,
and the stage below sees the end of its inbox: the end of a run flows down. A stage with nobody left
to send to, as when a count is reached, is cancelled. Two things can end a run early, and both let
everything already measured reach the sinks:

- A signal. The first stops arrivals; executors let what is in flight finish, up to `drain`. The
  second makes them give it up, and record it as aborted. A third cancels everything.
- A stage that raises. It is remembered with its name, arrivals stop, and the other stages wind down
  as after a signal. Nobody is cancelled, so a full disk under one sink costs no row of another.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from logging import ERROR
from typing import Any

import attrs
import trio

from flux.blame import blaming, failure_of, first_of
from flux.conclusion import Conclusion
from flux.config.problems import Violation, key_text
from flux.control import Ending
from flux.edges import Edge, Fanout, check_ended
from flux.errors import ExitCode, FluxError, StageFailed, UsageError
from flux.generator import Generator
from flux.generator_watch import GeneratorWatch
from flux.log import LOG_FILE
from flux.output_checks import BatchCheck
from flux.parts import Parts
from flux.phase_marks import mark_phases
from flux.pipeline import Node, Pipeline
from flux.schemas import ROSTER, SUMMARY
from flux.stage import Batch, Context, Inbox, Run
from flux.summary import Finding, Summary
from flux.workers.keys import ONE, Processes

Observer = Callable[[Summary], None]
"""Is told each summary as it comes: of an interval, and at last of the whole run."""

Watcher = Callable[[Run], Observer]
"""Is given a run that is about to begin, and says who observes it."""


@attrs.define
class RunResult:
    """How a run ended."""

    summary: Summary | None = None
    """Of the whole run; None if no collector lived to make one."""
    failures: list[FluxError] = attrs.field(factory=list)
    """Stages that raised, first things first."""
    edges: tuple[Edge, ...] = ()
    generator: Generator = attrs.field(factory=Generator)
    """What is known of this process."""
    was_stopped: bool = False
    was_aborted: bool = False
    ending: Ending | None = None
    """What ended the run early, if it was a threshold, a guard or the like."""


async def run_pipeline(
    pipeline: Pipeline,
    run: Run,
    *,
    watchers: Sequence[Watcher] = (),
    prepared: Mapping[str, Any] | None = None,
) -> RunResult:
    """Run every stage until all have ended.

    Args:
        pipeline: what to run.
        run: what its stages share; its clock begins now.
        watchers: each is given the run once it is wired, and makes an observer.
        prepared: what `prepare_stages` gave.

    Raises:
        UsageError: an executor wants worker processes that were not opened.
    """
    _check_workers(pipeline)
    wiring = _Wiring(pipeline, run, prepared or {})
    result = RunResult(edges=tuple(wiring.edges))
    conclusion = Conclusion(
        pipeline, run, findings=wiring.findings, generators=wiring.known_generators
    )
    run = attrs.evolve(
        run,
        planned=wiring.planned,
        open_sessions=wiring.open_sessions,
        status=wiring.status,
        edges=wiring.passed,
        thresholds=conclusion.thresholds,
        conclude=conclusion.conclude,
    )
    observers = [conclusion.observe, *(watcher(run) for watcher in watchers)]
    async with trio.open_nursery() as watching:
        if wiring.summaries:  # worker processes have none: their parent marks the phases
            watching.start_soon(mark_phases, run, pipeline.phases)
        if run.clock.is_live:
            watching.start_soon(wiring.watch.watch_loop)
        with run.control.cancelling.cancelling():
            async with trio.open_nursery() as stages:
                for node in pipeline.nodes:
                    stages.start_soon(_run_stage, node, wiring, run, result)
                for inbox in wiring.summaries:
                    stages.start_soon(_observe, inbox, observers, result)
        watching.cancel_scope.cancel()
    if result.summary is not None:  # with what happened after it was made, too
        result.summary = attrs.evolve(result.summary, marks=tuple(run.marks))
    result.generator = wiring.watch.result()
    result.was_stopped = run.control.stopping.is_set()
    result.was_aborted = run.control.aborting.is_set()
    result.ending = run.control.ending
    return result


async def prepare_stages(pipeline: Pipeline) -> dict[str, Any]:
    """Let stages do what takes time and needs no run, such as imports; call it before the clock.

    A stage does it in `prepare()`, which may be a coroutine; what it returns is the stage's
    `context.prepared`.

    Returns:
        For `run_pipeline`: what they gave, by the stage's name.

    Raises:
        FluxError: this machine does not let a stage have what its keys ask for.
    """
    prepared = {}
    for node in pipeline.nodes:
        prepare: Callable[[], Any] | None = getattr(node.stage, "prepare", None)
        if prepare is not None:
            with blaming(node):
                try:
                    given = prepare()
                    prepared[node.name] = await given if inspect.isawaitable(given) else given
                except Violation as error:
                    key = key_text((*node.path, *([error.key] if error.key else [])))
                    raise FluxError(f"{key} {error.rule}", hint=error.hint) from error
    return prepared


def _check_workers(pipeline: Pipeline) -> None:
    for node in pipeline.executors:
        processes: Processes = getattr(node.stage, "processes", ONE)
        if processes != ONE:
            raise UsageError(
                f"stage {node.name!r} has processes = {processes}, which flux run starts",
                hint="in a program: async with flux.workers.opening.open_workers(pipeline)",
            )


class _Wiring:
    """The channels of a run, and what its stages report."""

    def __init__(self, pipeline: Pipeline, run: Run, prepared: Mapping[str, Any]) -> None:
        self.pipeline = pipeline
        self._prepared = prepared
        self.edges: list[Edge] = []
        self.inboxes: dict[str, Inbox] = {}
        self.summaries: list[Inbox] = []
        self.findings: list[Finding] = []
        self.generators: list[Generator] = []
        self.scopes = {node.name: trio.CancelScope() for node in pipeline.nodes}
        self._ended: set[str] = set()
        self._planned: dict[str, int] = {}
        self._gauges: list[Callable[[], int]] = []
        self._status: dict[str, dict[str, Callable[[], Any]]] = {}
        self._run = run
        self._outboxes: dict[str, list[tuple[Edge, trio.MemorySendChannel[Batch]]]] = {
            node.name: [] for node in pipeline.nodes
        }
        self._senders: dict[str, trio.MemorySendChannel[Batch]] = {}
        for node in pipeline.nodes:
            for producer in node.inputs:
                self._connect(producer, node)
            if node.emits is SUMMARY:
                self._watch(node)
        for sender in self._senders.values():
            sender.close()  # each producer has a clone of its own
        self._parts = Parts.of(pipeline)
        self.watch = GeneratorWatch(run.clock, self.edges)

    def _connect(self, producer: str, consumer: Node) -> None:
        schema = self.pipeline.by_name[producer].emits
        if schema is None:
            raise TypeError(f"{producer} emits nothing")
        edge = Edge(producer, consumer.name, schema)
        if consumer.name not in self.inboxes:
            sender, inbox = trio.open_memory_channel[Batch](edge.capacity)
            self.inboxes[consumer.name], self._senders[consumer.name] = inbox, sender
        self.edges.append(edge)
        self._outboxes[producer].append((edge, self._senders[consumer.name].clone()))

    def _watch(self, collector: Node) -> None:
        """Every summary also goes to the engine, which tells the observers."""
        edge = Edge(collector.name, "observers", SUMMARY)
        sender, inbox = trio.open_memory_channel[Batch](edge.capacity)
        self._outboxes[collector.name].append((edge, sender))
        self.summaries.append(inbox)

    def end(self, node: Node) -> None:
        """The stage has ended: those above it that now send to nobody have nothing left to do.

        Summaries are always taken, by the engine.
        """
        self._ended.add(node.name)
        if self._ended.issuperset(executor.name for executor in self.pipeline.executors):
            self.watch.close()
        for name in node.inputs:
            above = self.pipeline.by_name[name]
            takers = self.pipeline.takers(above)
            if above.emits is not SUMMARY and self._ended.issuperset(
                taker.name for taker in takers
            ):
                self.scopes[name].cancel()

    def outbox(self, node: Node) -> Fanout:
        """Where the stage sends; asked for once."""
        parts = self._parts
        check = None
        if node.emits is not None:
            check = BatchCheck(node.emits, len(parts.steps), len(parts.targets))
        return Fanout(self._outboxes[node.name], self._run.log, check)

    def planned(self) -> int | None:
        """Arrivals released for executors; None if one of them is fed with users who are kept."""
        executors = self.pipeline.executors
        if not all(_plans_ahead(self.pipeline, node) for node in executors):
            return None
        names = {node.name for node in executors}
        # Where arrivals stand behind users, each row of ROSTER is one.
        sent = sum(edge.rows for edge in self.edges if edge.consumer in names)
        return sent + sum(self._planned.values())

    def known_generators(self) -> tuple[Generator, ...]:
        """The processes that made the load, this one first."""
        return (self.watch.result(), *self.generators)

    def open_sessions(self) -> int | None:
        """Sessions under way; None if an executor cannot tell."""
        if len(self._gauges) < len(self.pipeline.executors):
            return None
        return sum(gauge() for gauge in self._gauges)

    def passed(self) -> list[dict[str, Any]]:
        """What has passed along each edge so far, and what waits."""
        return [
            {
                "from": edge.producer,
                "to": edge.consumer,
                "what": edge.schema.name,
                "rows": edge.rows,
                "waiting_batches": self._waiting(edge),
                "peak_batches": edge.peak_batches,
                "held_s": edge.held_s,
            }
            for edge in self.edges
        ]

    def _waiting(self, edge: Edge) -> int:
        inbox = self.inboxes[edge.consumer]
        return inbox.statistics().current_buffer_used

    def status(self) -> dict[str, dict[str, Any]]:
        """What stages tell of themselves right now."""
        return {
            stage: {what: tell() for what, tell in told.items()}
            for stage, told in self._status.items()
        }

    def _note_status(self, stage: str, what: str, tell: Callable[[], Any]) -> None:
        self._status.setdefault(stage, {})[what] = tell

    def context(self, node: Node, run: Run) -> Context:
        """What this stage is told."""
        return attrs.evolve(
            make_context(self.pipeline, node, run, self._parts),
            prepared=self._prepared.get(node.name),
            report_planned=partial(self._planned.__setitem__, node.name),
            report_gauge=self._gauges.append,
            report_status=partial(self._note_status, node.name),
            report_finding=self.findings.append,
            report_generator=self.generators.append,
        )


def _plans_ahead(pipeline: Pipeline, executor: Node) -> bool:
    """A pool has its arrivals made in its workers."""
    inner: Pipeline | None = getattr(executor.stage, "pipeline", None)
    if inner is not None:
        return inner.plans_ahead(inner.executors[0])
    return pipeline.plans_ahead(executor)


def make_context(
    pipeline: Pipeline,
    node: Node,
    run: Run,
    parts: Parts | None = None,
) -> Context:
    """What a stage is told about the run and the stages around it."""
    parts = Parts.of(pipeline) if parts is None else parts
    chain = pipeline.chain(node) or (node,)
    return Context(
        run=run,
        stage=node.name,
        upstream=tuple(one.stage for one in chain),
        source_name=chain[0].name,
        given=node.accepts,
        has_users=any(one.accepts is ROSTER for one in pipeline.executors),
        shapers=tuple(_shapers_below(pipeline, node)),
        steps=parts.steps,
        requests=parts.requests,
        step_tags=parts.tags,
        first_step=parts.first_steps.get(node.name, 0),
        targets=parts.targets,
        target_urls=parts.target_urls,
        first_target=parts.first_targets.get(node.name, 0),
        phases=pipeline.phases,
    )


def _shapers_below(pipeline: Pipeline, node: Node) -> Iterator[tuple[str, Any]]:
    """The shapers that this source's demand goes through."""
    for taker in pipeline.takers(node):
        if taker.kind == "shaper":
            yield taker.name, taker.stage
            yield from _shapers_below(pipeline, taker)


async def _run_stage(node: Node, wiring: _Wiring, run: Run, result: RunResult) -> None:
    """Run one stage and close both of its ends, whatever becomes of it."""
    context = wiring.context(node, run)
    inbox, outbox = wiring.inboxes.get(node.name), wiring.outbox(node)
    try:
        with wiring.scopes[node.name]:
            await _coroutine(node, context, inbox, outbox)
            if node.kind == "sink" and inbox is not None:
                check_ended(inbox)
    except* trio.BrokenResourceError as group:
        # If every stage below has finished, there is nothing left to do for this one.
        if not outbox.is_abandoned:
            _note_failure(node, group, wiring, run, result)
    except* (Exception, SystemExit) as group:  # noqa: BLE001  # a plug-in may raise anything: name it, report it
        _note_failure(node, group, wiring, run, result)
    finally:
        outbox.close()
        if inbox is not None:
            inbox.close()
        wiring.end(node)


def _coroutine(
    node: Node, context: Context, inbox: Inbox | None, outbox: Fanout
) -> Awaitable[None]:
    coroutine: Awaitable[None]
    if node.kind == "generator":
        coroutine = node.stage.produce(context, outbox)
    elif node.kind == "sink":
        coroutine = node.stage.consume(context, inbox)
    else:
        coroutine = node.stage.run(context, inbox, outbox)
    return coroutine


def _note_failure(
    node: Node, group: BaseException, wiring: _Wiring, run: Run, result: RunResult
) -> None:
    culprit, error = first_of(group)
    culprit = culprit or node.name
    failure = failure_of(wiring.pipeline.by_name.get(culprit, node), error)
    # A shaper's profile is made by the source and by the shaper, and fails for both.
    if failure.message not in (one.message for one in result.failures):
        result.failures.append(failure)
        text = failure.message
        if not isinstance(failure, StageFailed):
            text = f"stage {culprit!r} failed: {text}"
        elif failure.details and run.folder is not None:
            traceback_hint = f"the traceback is in {run.folder / LOG_FILE}"
            failure.hint = f"{failure.hint}; {traceback_hint}" if failure.hint else traceback_hint
        run.mark("failure", text, level=ERROR, traceback=failure.details)
    at_s = max(0, run.clock.now_ns()) / 1e9
    run.control.stop(Ending(f"stage {culprit!r}, which failed at {at_s:.1f} s", ExitCode.FAILURE))


async def _observe(inbox: Inbox, observers: Sequence[Observer], result: RunResult) -> None:
    async for summary in inbox:
        if summary.is_final:
            result.summary = summary
        for observer in observers:
            observer(summary)
