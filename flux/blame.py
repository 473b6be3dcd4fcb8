"""Whose fault it was: what a stage's own code raises becomes one error that names the stage.

Most of that code runs in the stage's coroutine, where the engine asks for `failure_of`. What is
called before the run, while the pipeline is made, is called in a block of `blaming`. And some is
called in the coroutine of another stage: the pacer draws the generator's gaps, and the generator
asks shapers where to cut its rows. That is a block of `raised_by`, from which the engine learns
whose fault it was.
"""

import os.path
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from flux.errors import FluxError, StageFailed, WrongOutput

OWN_PACKAGE = "userflux"
"""The distribution of the built-in stages."""


class InPlace(Protocol):
    """A stage in a pipeline, wired or not."""

    @property
    def name(self) -> str:
        """In the pipeline."""

    @property
    def use(self) -> str:
        """What it is."""

    @property
    def package(self) -> str:
        """Distribution that it comes from."""

    @property
    def module(self) -> str:
        """Module that its class is in."""


class RaisedBy(Exception):
    """Another stage's code raised than the one whose coroutine it was; the cause is what."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage
        """Its name in the pipeline."""


@contextmanager
def raised_by(stage: str) -> Iterator[None]:
    """Note that what is raised in the block is the fault of the stage of this name."""
    try:
        yield
    except Exception as error:
        raise RaisedBy(stage) from error


@contextmanager
def blaming(stage: InPlace) -> Iterator[None]:
    """Raise what is raised in the block as the failure of this stage."""
    try:
        yield
    except Exception as error:
        raise failure_of(stage, error) from error


def failure_of(stage: InPlace, error: BaseException) -> FluxError:
    """What became of a stage in one message, which names it unless it explains itself.

    A message of a built-in stage does; one of a plug-in may not.
    """
    if isinstance(error, StageFailed):
        return error
    is_own = stage.package == OWN_PACKAGE
    if is_own and isinstance(error, FluxError) and not isinstance(error, WrongOutput):
        return error
    failure = StageFailed(stage.name, stage.use, stage.package, error, _place(stage, error))
    failure.__cause__ = error
    return failure


def _place(stage: InPlace, error: BaseException) -> str:
    """File and line of the stage's own package that raised, or called what did; empty if none."""
    top = stage.module.partition(".")[0]
    place = ""
    frames = [
        *traceback.walk_tb(error.__traceback__),
        *traceback.walk_tb(error.__cause__.__traceback__ if error.__cause__ else None),
    ]
    for frame, line in frames:
        if str(frame.f_globals.get("__name__")).partition(".")[0] == top:
            place = f"{os.path.basename(frame.f_code.co_filename)}:{line}"
    return place


def first_of(error: BaseException) -> tuple[str | None, BaseException]:
    """The first thing that went wrong, and the stage that raised it if it was another one."""
    stage = None
    while isinstance(error, BaseExceptionGroup | RaisedBy):
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            stage, error = error.stage, error.__cause__ or error
    return stage, error
