"""The `script = "x.yml"` key: a userflux script whose steps are a flow."""

import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs

from flux.config.document import read_text
from flux.config.problems import InvalidPipeline, Violation
from flux.config.structure import structure
from flux.flows.step import Step
from flux.flows.userflux import ScriptError, read_script


@attrs.frozen
class ScriptFile:
    """A userflux script, read once at load."""

    type_text: ClassVar[str] = 'the name of a userflux script, as in "register.yml"'

    path: pathlib.Path
    tables: tuple[Mapping[str, Any], ...]
    """Its steps as `[[stage.step]]` tables."""
    steps: tuple[Step, ...]

    @classmethod
    def from_file(cls, path: pathlib.Path) -> Self:
        """Read it.

        Raises:
            Violation: it is absent, or not a userflux script.
        """
        try:
            script = read_script(read_text(path), str(path))
        except (InvalidPipeline, ScriptError) as error:
            raise Violation(f"cannot be used: {error.message}", hint=error.hint) from error
        steps, problems = [], []
        for table in script.steps:
            made, found = structure(Step, dict(table), base=path.parent)
            problems += found
            if made is not None:
                steps.append(made)
        if problems:
            raise Violation(f"cannot be used: its steps {problems[0].rule}", hint=problems[0].hint)
        return cls(path, script.steps, tuple(steps))
