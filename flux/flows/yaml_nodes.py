"""YAML with positions: a thin layer over PyYAML's nodes that notes problems instead of raising."""

from typing import Final, NamedTuple

import attrs
import yaml


class Mark(NamedTuple):
    """A place in the file, counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@attrs.frozen
class ScriptProblem:
    """One thing that is wrong, and where."""

    mark: Mark
    rule: str
    hint: str | None = None


@attrs.frozen(eq=False)
class Node:
    """A value in the file; of the wrong kind, it notes a problem and gives nothing."""

    node: yaml.Node
    loader: yaml.SafeLoader
    problems: list[ScriptProblem]

    @property
    def mark(self) -> Mark:
        """Where it begins."""
        return _mark(self.node.start_mark)

    @property
    def may_be_table(self) -> bool:
        """False when that was or will be noted as a problem."""
        return isinstance(self.node, yaml.MappingNode) or self.node.tag == _NULL

    def table(self, what: str) -> "dict[str, tuple[Mark, Node]]":
        """Each value by its key, with the key's place; empty for null."""
        if not isinstance(self.node, yaml.MappingNode):
            self._refuse(what, "must be a mapping")
            return {}
        try:
            self.loader.flatten_mapping(self.node)
        except (yaml.MarkedYAMLError, RecursionError):
            self.problems.append(
                ScriptProblem(self.mark, f"{what} has a merge that makes no sense")
            )
            return {}
        found: dict[str, tuple[Mark, Node]] = {}
        for key, value in self.node.value:
            mark = _mark(key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(ScriptProblem(mark, f"{what} has a key that is not text"))
                continue
            if key.value in found:
                first = found[key.value][0].line
                rule = f"{what} has the key {key.value!r} twice, first on line {first}"
                self.problems.append(ScriptProblem(mark, rule))
            found[key.value] = (mark, attrs.evolve(self, node=value))
        return found

    def items(self, what: str) -> "list[Node] | None":
        """The elements; empty for null, None for anything else."""
        if not isinstance(self.node, yaml.SequenceNode):
            self._refuse(what, "must be a list")
            return [] if self.node.tag == _NULL else None
        return [attrs.evolve(self, node=item) for item in self.node.value]

    def text(self, what: str) -> str | None:
        """A scalar as it is written, empty for null; None for anything else."""
        if isinstance(self.node, yaml.ScalarNode):
            return "" if self.node.tag == _NULL else str(self.node.value)
        self._refuse(what, "must be text")
        return None

    def _refuse(self, what: str, rule: str) -> None:
        if self.node.tag == _NULL:
            return
        kind = _KINDS.get(type(self.node), "a value")
        self.problems.append(ScriptProblem(self.mark, f"{what} {rule}, got {kind}"))


def open_document(text: str, problems: list[ScriptProblem]) -> Node | None:
    """The first document of a YAML text; None if there is none, with the problem noted."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_node() if loader.check_node() else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _mark(mark) if mark else Mark(1, 1)
        problems.append(ScriptProblem(place, f"is not YAML: {error.problem or error.context}"))
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Mark(before.count("\n") + 1, error.position - before.rfind("\n"))
        problems.append(ScriptProblem(place, f"is not YAML: {error.reason}"))
        return None
    except RecursionError:
        problems.append(ScriptProblem(Mark(1, 1), "is nested too deep"))
        return None
    if node is None or node.tag == _NULL:
        problems.append(ScriptProblem(Mark(1, 1), "is empty"))
        return None
    return Node(node, loader, problems)


_NULL: Final = "tag:yaml.org,2002:null"
_KINDS: Final[dict[type, str]] = {
    yaml.ScalarNode: "a single value",
    yaml.SequenceNode: "a list",
    yaml.MappingNode: "a mapping",
}


def _mark(mark: yaml.Mark) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)
