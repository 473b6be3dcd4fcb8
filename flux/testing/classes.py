"""A stage's class: whether it is right, and one of it from TOML."""

import inspect
from typing import Any, TypeVar

import tomli

from flux.config.problems import key_text
from flux.config.structure import structure
from flux.errors import FluxError
from flux.explain import keys_of
from flux.sample import sample_stage
from flux.stage_contract import faults_of

T = TypeVar("T")


def check_stage(stage: type[Any]) -> None:
    """Check what can be known of a stage's class without running it.

    It has what flux asks of every stage, a docstring, a meaning for each of its keys (a string
    literal below the field), and a `sample` that its keys accept.

    Raises:
        FluxError: with everything that is missing.
    """
    faults = list(faults_of(stage))
    if not faults:
        if not inspect.cleandoc(stage.__doc__ or ""):
            faults.append("must have a docstring, which `flux explain` shows")
        unsaid = [key.name for key in keys_of(stage) if not key.meaning]
        faults += [f"must say what its key {one} means: a text below the field" for one in unsaid]
        faults += _sample_faults(stage)
    if faults:
        raise FluxError(f"{stage.__name__} {'; it '.join(faults)}", hint="see docs/plug-ins.md")


def _sample_faults(stage: type[Any]) -> list[str]:
    sample = getattr(stage, "sample", None)
    if sample is None:
        return ["must have a sample: ClassVar[str], the text of its own [[stage]] table"]
    try:
        use = tomli.loads(sample)["stage"][0]["use"]
        sample_stage(use, stage)
    except (tomli.TOMLDecodeError, KeyError, IndexError, FluxError) as error:
        return [f"must have a sample that is its own [[stage]] table: {error}"]
    return []


def make_stage(stage: type[T], text: str = "") -> T:
    """A stage as a pipeline makes it.

    Args:
        stage: its class.
        text: the lines of its TOML table, without `use`.

    Raises:
        FluxError: the class is no stage's, or its keys do not accept that; the message has every
            problem as `key rule`, such as `period must be greater than 0`.
    """
    faults = list(faults_of(stage))
    if faults:
        raise FluxError(f"{stage.__name__} {'; it '.join(faults)}")
    made, problems = structure(stage, tomli.loads(text))
    if made is None:
        raise FluxError("; ".join(f"{key_text(one.path)} {one.rule}".strip() for one in problems))
    return made
