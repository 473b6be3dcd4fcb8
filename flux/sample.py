"""A small pipeline around the sample of one stage, so that every sample can be run as it is."""

from typing import Any

import tomli

from flux.config.problems import key_text
from flux.config.structure import structure
from flux.errors import FluxError
from flux.schemas import OUTCOME, SUMMARY
from flux.stage import kind_of

_GENERATOR = '[[stage]]\nuse = "exponential"\nrate = "20/s"\n'
_EXECUTOR = '[[stage]]\nuse = "null"\nservice = "5ms"\n'


def runnable_sample(name: str, stage: type[Any]) -> str:
    """The TOML text of a pipeline that shows this stage at work, for a few seconds.

    Args:
        name: what `use` has to say.
        stage: its class, whose `sample` is the text of its own table.
    """
    sample = _text(name, stage)
    kind = kind_of(stage)
    emits = getattr(stage, "emits", None)
    parts = [f'name = "{name}-sample"\nduration = "5s"\nseed = 7\n']
    if kind != "generator":
        parts.append(_USERS if name == "roster" else _GENERATOR)
    if kind in ("generator", "shaper", "pacer"):
        parts.append(sample)
    parts.append(sample if emits is OUTCOME else _EXECUTOR)
    if emits is SUMMARY or kind in ("sink", "transform"):
        parts.append(sample)
    return "\n".join(parts)


_USERS = '[[stage]]\nuse = "users"\nusers = 3\nthink = "100ms"\n'


def sample_stage(name: str, stage: type[Any]) -> Any:
    """The stage that its own sample shows.

    Raises:
        FluxError: the sample is not right.
    """
    try:
        table = next(one for one in tomli.loads(_text(name, stage))["stage"] if one["use"] == name)
    except (tomli.TOMLDecodeError, KeyError, StopIteration) as error:
        raise FluxError(f"its sample has no [[stage]] with use = {name!r}: {error}") from error
    made, problems = structure(stage, {key: one for key, one in table.items() if key != "use"})
    if made is None:
        texts = (f"{key_text(one.path)} {one.rule}".strip() for one in problems)
        raise FluxError(f"its sample is not right: {', '.join(texts)}")
    return made


def _text(name: str, stage: type[Any]) -> str:
    return str(getattr(stage, "sample", f'[[stage]]\nuse = "{name}"\n')).strip() + "\n"
