"""`${NAME}` and `${NAME:-default}`: values from the environment, in any text of the document.

`$$` stands for one dollar sign. Values that flux draws itself for each request are written
`{{…}}` (see `flux.flows.template`) and are none of this module's business.
"""

import re
from collections.abc import Mapping
from typing import Any

from flux.config.locate import Path
from flux.config.problems import Problem, did_you_mean

_REFERENCE = re.compile(r"\$\$|\$\{(?P<inside>[^{}]*)\}")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def interpolate(
    document: Any, environment: Mapping[str, str]
) -> tuple[Any, dict[Path, str], list[Problem]]:
    """Replace every reference in every text.

    Returns:
        The document with values in place, the original text of each value that held a reference by
        its path, and the problems: names that are not set and have no default.
    """
    origins: dict[Path, str] = {}
    problems: list[Problem] = []

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: walk(one, (*path, key)) for key, one in value.items()}
        if isinstance(value, list):
            return [walk(one, (*path, index)) for index, one in enumerate(value)]
        if isinstance(value, str) and "$" in value:
            if "${" in value:
                origins[path] = value
            return _replace(value, path, environment, problems)
        return value

    return walk(document, ()), origins, problems


def _replace(text: str, path: Path, environment: Mapping[str, str], problems: list[Problem]) -> str:
    def value_of(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        inside = _INSIDE.fullmatch(match["inside"])
        if inside is None:
            problems.append(
                Problem(
                    path,
                    f"has {match[0]}, which is not a name from the environment",
                    f"a value drawn for each request is written {{{{{match['inside']}}}}}",
                )
            )
            return match[0]
        name, default = inside["name"], inside["default"]
        if name in environment:
            return environment[name]
        if default is not None:
            return default
        problems.append(
            Problem(
                path,
                f"needs the environment variable {name}, which is not set",
                did_you_mean(name, environment) or f"give a default: ${{{name}:-value}}",
            )
        )
        return match[0]

    return _REFERENCE.sub(value_of, text)
