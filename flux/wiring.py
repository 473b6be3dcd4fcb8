"""Wiring: which stage takes its input from which, and what is put in between.

A stage takes its input from the nearest stage above that emits what it accepts; `inputs` overrides
that. A `pacer` (or `roster`) is put before each executor, or what stands for one's arrivals, a
`collect` after them, and a `json` that writes the run's result after all, where nobody wrote one.
"""

import os.path
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from flux.config.locate import Path
from flux.config.problems import Problem, did_you_mean
from flux.graph import Node
from flux.registry import StageEntry
from flux.result_file import RESULT_FILE
from flux.schemas import ARRIVAL, DEMAND, OUTCOME, ROSTER, SAME, USERS, Schema
from flux.stage import kind_of

_PACERS: Mapping[str, tuple[str, Schema]] = {
    DEMAND.name: ("pacer", ARRIVAL),
    USERS.name: ("roster", ROSTER),
}
"""Stage that is put in after this schema, and what it emits."""

_HINTS: Mapping[str, str] = {
    "ARRIVAL": 'put a generator above it, such as use = "exponential" with rate = "20/s"',
    "DEMAND": 'put a generator above it, such as use = "exponential" with rate = "20/s"',
    "OUTCOME": 'put an executor above it, such as use = "http"',
    "SUMMARY": 'put use = "collect" above it, below an executor',
}


@attrs.frozen
class Draft:
    """A stage that was read and is not yet wired.

    The class of one whose keys are wrong stands in for it: what it takes and gives is known.
    """

    name: str
    use: str
    package: str
    stage: Any
    inputs: tuple[str, ...] | None
    """As written; None: to be found."""
    path: Path

    @property
    def is_stand_in(self) -> bool:
        """Whether only the class of the stage is known."""
        return isinstance(self.stage, type)

    @property
    def has_place(self) -> bool:
        """Whether it is known what it takes and gives: some stages say so by their keys."""
        return not any(
            isinstance(getattr(self.stage, name, None), property) for name in ("accepts", "emits")
        )

    @property
    def module(self) -> str:
        """Module that its class is in."""
        return type(self.stage).__module__

    @property
    def accepts(self) -> tuple[Schema, ...]:
        accepts: tuple[Schema, ...] = getattr(self.stage, "accepts", ())
        return accepts


class Wiring:
    """Wires drafts; what cannot be wired becomes a problem."""

    def __init__(self, stages: Mapping[str, StageEntry]) -> None:
        self.problems: list[Problem] = []
        self._stages = stages

    def nodes(self, drafts: list[Draft]) -> tuple[Node, ...] | None:
        """The drafts in their places, inputs first; None if there are problems."""
        return self._wire(self._put_in_missing(drafts))

    def _put_in_missing(self, drafts: list[Draft]) -> list[Draft]:
        """Add what nobody wrote: see the top of this module."""
        names = {draft.name for draft in drafts}
        drafts = [
            one for draft in drafts for one in (*self._pacer_for(draft, drafts, names), draft)
        ]
        executors = [index for index, one in enumerate(drafts) if _emits(one) is OUTCOME]
        has_collector = any(kind_of(draft.stage) == "collector" for draft in drafts)
        if executors and not has_collector:
            inputs = tuple(drafts[index].name for index in executors)
            drafts.insert(executors[-1] + 1, self._new("collect", inputs, names))
        collectors = tuple(one.name for one in drafts if kind_of(one.stage) == "collector")
        if collectors and not any(_writes_result(draft) for draft in drafts):
            drafts.append(self._new("json", collectors, names))
        return drafts

    def _pacer_for(self, draft: Draft, drafts: list[Draft], names: set[str]) -> Iterator[Draft]:
        if not _is_paced(draft):
            return
        for schema, (use, paced) in _PACERS.items():
            source = self._demand_above(draft, drafts, schema)
            if source is not None and paced in draft.accepts:
                pacer = self._new(use, (source,), names, beside=draft)
                yield pacer
                return

    def _demand_above(self, draft: Draft, drafts: list[Draft], schema: str) -> str | None:
        """Name of the stage whose DEMAND or USERS this stage is to be fed from, if it is."""
        flow = _demand_flow(drafts)
        if draft.inputs is not None:
            return next((one for one in draft.inputs if flow.get(one) == schema), None)
        above_it = drafts[: drafts.index(draft)]
        for one in reversed(above_it):
            if kind_of(one.stage) == "pacer":
                return None
            if flow.get(one.name) in _PACERS:
                return one.name if flow[one.name] == schema else None
        return None

    def _new(
        self, use: str, inputs: tuple[str, ...], names: set[str], beside: Draft | None = None
    ) -> Draft:
        entry = self._stages[use]
        name = use if use not in names else f"{use}-{beside.name if beside else 'all'}"
        names.add(name)
        return Draft(name, use, entry.package, entry.load()(), inputs, ())

    def _wire(self, drafts: list[Draft]) -> tuple[Node, ...] | None:
        inputs = self._find_inputs(drafts)
        if self.problems:
            return None
        ordered = self._in_order(drafts, inputs)
        if ordered is None:
            return None
        nodes: dict[str, Node] = {}
        for draft in ordered:
            node = self._node(draft, [nodes[name] for name in inputs[draft.name]])
            if node is not None:
                nodes[draft.name] = node
            else:
                return None
        return tuple(nodes.values())

    def _find_inputs(self, drafts: list[Draft]) -> dict[str, tuple[str, ...]]:
        """Each stage's inputs: as written, or the nearest above that emits what it accepts."""
        names = [draft.name for draft in drafts]
        flow: dict[str, Schema | None] = {}
        found: dict[str, tuple[str, ...]] = {}
        pacer_of = self._pacers_by_input(drafts)
        for index, draft in enumerate(drafts):
            if draft.inputs is not None:
                for one in draft.inputs:
                    if one not in names:
                        hint = did_you_mean(one, names) or f"the stages are {', '.join(names)}"
                        self.problems.append(
                            Problem(
                                (*draft.path, "inputs"),
                                f"names no stage {one!r}",
                                hint,
                                has_value=False,
                            )
                        )
                found[draft.name] = self._through_pacer(draft, pacer_of)
            elif draft.accepts:
                found[draft.name] = self._nearest(draft, drafts[:index], flow)
            else:
                found[draft.name] = ()
            first = found[draft.name][0] if found[draft.name] else None
            emits = _emits(draft)
            flow[draft.name] = flow.get(first) if emits is SAME and first else emits
        return found

    def _pacers_by_input(self, drafts: list[Draft]) -> dict[str, str]:
        return {
            one.inputs[0]: one.name
            for one in drafts
            if not one.path and one.inputs and kind_of(one.stage) == "pacer"
        }

    def _through_pacer(self, draft: Draft, pacer_of: dict[str, str]) -> tuple[str, ...]:
        """A stage whose `inputs` name one of DEMAND takes that stage's pacer instead."""
        inputs = draft.inputs or ()
        if not _is_paced(draft):
            return inputs
        return tuple(pacer_of.get(one, one) for one in inputs)

    def _nearest(
        self, draft: Draft, above_it: list[Draft], flow: Mapping[str, Schema | None]
    ) -> tuple[str, ...]:
        for one in reversed(above_it):
            if flow.get(one.name) in draft.accepts:
                return (one.name,)
        wanted = " or ".join(schema.name for schema in draft.accepts)
        self.problems.append(
            Problem(
                (*draft.path, "use"),
                f"has no input: no stage above emits {wanted}",
                _HINTS.get(draft.accepts[0].name),
            )
        )
        return ()

    def _in_order(
        self, drafts: list[Draft], inputs: Mapping[str, tuple[str, ...]]
    ) -> list[Draft] | None:
        """Drafts sorted so that inputs come first; a cycle is a problem."""
        by_name = {draft.name: draft for draft in drafts}
        done: dict[str, Draft] = {}
        cycle: list[str] = []

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if cycle or name in done:
                return
            if name in trail:
                cycle.extend((*trail[trail.index(name) :], name))
                return
            for one in inputs[name]:
                visit(one, (*trail, name))
            done[name] = by_name[name]

        for draft in drafts:
            visit(draft.name, ())
        if cycle:
            path = by_name[cycle[0]].path
            chain = " → ".join(reversed(cycle))
            self.problems.append(
                Problem((*path, "inputs"), f"makes a cycle: {chain}", has_value=False)
            )
            return None
        return list(done.values())

    def _node(self, draft: Draft, inputs: list[Node]) -> Node | None:
        accepts: Schema | None = None
        for one in inputs:
            if one.emits not in draft.accepts:
                takes = " or ".join(schema.name for schema in draft.accepts) or "no input"
                gives = one.emits.name if one.emits else "nothing"
                self.problems.append(
                    Problem(
                        (*draft.path, "inputs"),
                        f"does not fit: {one.name!r} emits {gives}, {draft.use} takes {takes}",
                    )
                )
                return None
            if accepts is not None and one.emits is not accepts:
                self.problems.append(
                    Problem((*draft.path, "inputs"), f"mix {accepts.name} and {one.emits.name}")
                )
                return None
            accepts = one.emits
        emits = _emits(draft)
        emits = accepts if emits is SAME else emits
        names = tuple(one.name for one in inputs)
        return Node(
            draft.name, draft.use, draft.package, draft.stage, names, accepts, emits, draft.path
        )


def _emits(draft: Draft) -> Schema | None:
    return getattr(draft.stage, "emits", None)


def _writes_result(draft: Draft) -> bool:
    if draft.use != "json" or draft.is_stand_in:
        return draft.use == "json"
    return bool(os.path.normpath(draft.stage.path) == RESULT_FILE)


def _is_paced(draft: Draft) -> bool:
    """Whether a pacer belongs before it: it is an executor, or makes of arrivals what one takes."""
    return _emits(draft) is OUTCOME or (ARRIVAL in draft.accepts and _emits(draft) is ROSTER)


def _demand_flow(drafts: list[Draft]) -> dict[str, str]:
    """For each stage that sends DEMAND or USERS, which of the two; shapers send what they take."""
    flow: dict[str, str] = {}
    last: str | None = None
    for draft in drafts:
        emits = _emits(draft)
        if emits is SAME:
            given = flow.get(draft.inputs[0]) if draft.inputs else last
            if given:
                flow[draft.name] = last = given
        elif emits is not None and emits.name in _PACERS:
            flow[draft.name] = last = emits.name
    return flow
