"""What phases change of stages: each is the stage's own table with a few keys replaced.

It is checked by the stage's own class, exactly as the stage is. Only what has a meaning at one
moment can vary: the level of a generator, and all of a shaper. The gaps of a generator are one
stream for the whole run, and the other stages are the same in every phase.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from flux.blame import blaming
from flux.config.document import Document
from flux.config.locate import Path
from flux.config.problems import Problem, did_you_mean
from flux.config.structure import key_of, structure
from flux.stage import kind_of
from flux.wiring import Draft

_GRAPH_KEYS = ("use", "name", "inputs")
"""Keys of a stage's table that are not fields of its class."""


class Overrides:
    """The stages that stand in for others, phase by phase, and what is wrong with them."""

    def __init__(self, document: Document, drafts: Sequence[Draft]) -> None:
        """Read them all.

        Args:
            document: the pipeline's.
            drafts: its stages, those that could be read.
        """
        self.problems: list[Problem] = []
        self._document = document
        self._drafts = {draft.name: draft for draft in drafts}
        tables = document.values.get("phase")
        tables = tables if isinstance(tables, list) else []
        self.problems += _shared_names(tables)
        self.stages: list[Mapping[str, Any]] = [
            dict(self._read(table, ("phase", index, "stage"))) for index, table in enumerate(tables)
        ]
        """For each phase, what stands in for which stage."""

    def _read(self, phase: Any, path: Path) -> Iterator[tuple[str, Any]]:
        tables = phase.get("stage") if isinstance(phase, dict) else None
        for name, table in tables.items() if isinstance(tables, dict) else ():
            draft = self._drafts.get(name)
            if draft is None:
                self._note_unknown(name, (*path, name))
                continue
            found = list(_cannot_vary(draft, table, (*path, name)))
            self.problems += found
            if isinstance(table, dict) and all(len(one.path) > len(path) + 1 for one in found):
                wrong = {one.path[-1] for one in found}
                kept = {key: one for key, one in table.items() if key not in wrong}
                stage, found = self._structured(draft, kept, (*path, name))
                self.problems += found
                if stage is not None:
                    yield name, stage

    def _structured(
        self, draft: Draft, table: dict[str, Any], path: Path
    ) -> tuple[Any, list[Problem]]:
        own = {key: one for key, one in self._table(draft).items() if key not in _GRAPH_KEYS}
        for group in getattr(draft.stage, "alternatives", ()):
            if any(key in table for key in group):
                own = {key: one for key, one in own.items() if key not in group}
        merged = {**own, **table}
        with blaming(draft):
            return structure(type(draft.stage), merged, path, base=self._document.base)

    def _table(self, draft: Draft) -> dict[str, Any]:
        table: dict[str, Any] = self._document.values["stage"][draft.path[1]]
        return table

    def _note_unknown(self, name: str, path: Path) -> None:
        tables = self._document.values.get("stage")
        written = [one for one in tables or () if isinstance(one, dict)]
        known = {*self._drafts, *(str(one.get("name", one.get("use"))) for one in written)}
        if name not in known:  # one that could not be read has a problem of its own
            hint = did_you_mean(name, known) or f"the stages are {', '.join(sorted(known))}"
            self.problems.append(
                Problem(path, "names no stage", hint, has_value=False, unknown_key=True)
            )


def _shared_names(tables: Sequence[Any]) -> Iterator[Problem]:
    seen: list[Any] = []
    for index, table in enumerate(tables):
        name = table.get("name") if isinstance(table, dict) else None
        if name is not None and name in seen:
            yield Problem(("phase", index, "name"), "is the name of a phase above")
        seen.append(name)


def _cannot_vary(draft: Draft, table: Any, path: Path) -> Iterator[Problem]:
    """What this stage cannot have otherwise in a phase."""
    kind = kind_of(draft.stage)
    keys: Sequence[str] | None = getattr(draft.stage, "phase_keys", ())
    if keys is not None and not keys:
        rule = f"cannot vary by phase: {draft.use!r} is a stage of kind {kind}"
        hint = "a phase changes the level of generators, and shapers"
        yield Problem(path, rule, hint, has_value=False, unknown_key=True)
        return
    if not isinstance(table, dict):
        yield Problem(path, "must be a table of the stage's keys", f"{draft.name} = {{ … }}")
        return
    fields = [key_of(field) for field in attrs.fields(type(draft.stage))]
    for key in table:
        if key in _GRAPH_KEYS:
            hint = "the stages and their wiring are the same in every phase"
        elif keys is not None and key in fields and key not in keys:
            hint = f"of this {kind} a phase can change {' and '.join(keys)}; the rest is one stream"
        else:
            continue
        yield Problem((*path, key), "cannot vary by phase", hint, False, unknown_key=True)
