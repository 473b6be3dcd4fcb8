"""Several flows of one executor: `[[stage.flow]]` tables, and one `Flow` made of all of them.

Strategy. Each flow is compiled by itself; their plans are numbered one after the other, and
beginning a session picks one of the flows by the session's number. So clients drive one flow, as
ever, and know nothing of the others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import attrs
import numpy as np
import numpy.typing as npt

from flux.config.problems import Violation
from flux.config.rules import above
from flux.flows.actions import Flow, RequestPlan, Session
from flux.flows.check import flow_problems
from flux.flows.compile import compile_flow
from flux.flows.draws import Seqs
from flux.flows.options import FlowOptions
from flux.flows.script_file import ScriptFile
from flux.flows.step import Step, at, distinct_titles
from flux.flows.values import Values
from flux.weights import FLOW_SLOT, Weights


@attrs.frozen(kw_only=True)
class WeightedFlow:
    """One of several flows; every session runs one of them."""

    name: str
    """What reports call it: its steps are shown as "name.step"."""
    weight: Annotated[float, above(0)] = 1.0
    """How many sessions run it, relative to the weights of the other flows."""
    step: tuple[Step, ...] = ()
    """Its steps, as [[stage.flow.step]] tables in order."""
    script: ScriptFile | None = None
    """A userflux YAML script whose steps are the flow, in place of `step`."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Headers of its requests, besides the stage's; a header of both is the flow's."""
    let: Mapping[str, str] = attrs.field(factory=dict)
    """Values made once per session, below the stage's; a name of both is the flow's."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps, wherever they are written."""
        return self.script.steps if self.script is not None else self.step

    @property
    def step_names(self) -> tuple[str, ...]:
        """What reports call its steps."""
        return tuple(f"{self.name}.{title}" for title in distinct_titles(self.steps))

    def options(self, shared: FlowOptions) -> FlowOptions:
        """What its steps have in common, given what all flows have."""
        own = {name.lower() for name in self.headers}
        others = {name: text for name, text in shared.headers.items() if name.lower() not in own}
        return attrs.evolve(
            shared, headers={**others, **self.headers}, let={**shared.let, **self.let}
        )

    def check(self) -> Iterator[Violation]:
        """Rules about fields taken together."""
        if not self.name.strip() or "." in self.name:
            yield Violation("must be text without dots", key="name")
        if bool(self.step) == (self.script is not None):
            yield Violation("needs either [[stage.flow.step]] tables or script")


def check_flows(flows: Sequence[WeightedFlow], shared: FlowOptions) -> Iterator[Exception]:
    """Problems of several flows, at paths below the executor."""
    names: set[str] = set()
    for index, flow in enumerate(flows):
        if flow.name in names:
            yield at(("flow", index, "name"), Violation("is the name of a flow above"))
        names.add(flow.name)
        if flow.script is not None:
            continue
        for path, violation in flow_problems(flow.steps, flow.options(shared)):
            # What stands in the stage's own tables is the same in every flow: the first tells it.
            written: Mapping[str, str] = getattr(flow, str(path[0]), {})
            if path[0] == "step" or path[1] in written:
                yield at(("flow", index, *path), violation)
            elif index == 0:
                yield at(path, violation)


def compile_flows(flows: Sequence[WeightedFlow], *, seed: int, shared: FlowOptions) -> Flow:
    """One flow whose every session is a session of one of these.

    Raises:
        Violation: the first that `check_flows` would yield, or a file that cannot be read.
    """
    weights = Weights([flow.weight for flow in flows])
    plans: list[RequestPlan] = []
    compiled: list[Flow] = []
    for index, flow in enumerate(flows):
        compiled.append(
            compile_flow(
                flow.steps,
                seed=seed,
                defaults=flow.options(shared),
                first_index=len(plans),
                runs=_Running(weights, seed, index),
            )
        )
        plans += compiled[-1].plans
    begins = [one.begin for one in compiled]
    chosen = Values[int](
        lambda seqs: weights.choose_array(seed, seqs, FLOW_SLOT).tolist(),
        width=8,
        shards=shared.shards,
    )

    def begin(seq: int, user: int) -> Session:
        return begins[chosen.of(seq)](seq, user)

    def begin_user(user: int) -> Callable[[int], Session]:
        """A user may run another flow each time; of each it keeps what it brought to the first."""
        sessions: dict[int, Callable[[int], Session]] = {}

        def begin_next(seq: int) -> Session:
            index = chosen.of(seq)
            if index not in sessions:
                sessions[index] = compiled[index].sessions_of(user)
            return sessions[index](seq)

        return begin_next

    if shared.identity == "user":
        return Flow(tuple(plans), begin, "user", begin_user)
    return Flow(tuple(plans), begin)


@attrs.frozen(eq=False)
class _Running:
    """Tells which sessions run one of the flows."""

    weights: Weights
    seed: int
    index: int

    def __call__(self, seqs: Seqs) -> npt.NDArray[np.bool_]:
        running: npt.NDArray[np.bool_] = (
            self.weights.choose_array(self.seed, seqs, FLOW_SLOT) == self.index
        )
        return running
