"""A small pipeline around the sample of one stage, so that every sample can be run as it is."""

from typing import Any

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
    sample = getattr(stage, "sample", f'[[stage]]\nuse = "{name}"\n').strip() + "\n"
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
