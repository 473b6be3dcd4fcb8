"""Everything flux raises on purpose, and the exit code that each leads to.

    FluxError                 1    something flux knows how to explain
    ├── UsageError            2    the command line asks for something that cannot be
    ├── InvalidPipeline      78    the pipeline file has one or more problems
    ├── HostNotAllowed      108    a name is that of somebody else's host, and nobody allowed it
    ├── StageFailed           1    a stage raised: carries the stage's name and package
    ├── WrongOutput           1    a stage sent, or told, what its kind must not
    ├── MissingExtra          1    an optional dependency is not installed
    └── StorageFailed         1    a results folder or file cannot be written

A failed request is never an exception: it is an OUTCOME row with an error code.
"""

import enum
import traceback


class ExitCode(enum.IntEnum):
    """What `flux` tells the shell. Scripts rely on these numbers."""

    OK = 0
    """The run is valid and nothing that was asked of it failed."""
    FAILURE = 1
    """A bug or an I/O failure."""
    USAGE = 2
    """The command line is wrong."""
    INVALID_PIPELINE = 78
    """The pipeline file is wrong (EX_CONFIG of sysexits.h)."""
    INVALID_RUN = 96
    """The generator could not keep its own plan: the numbers must not be trusted."""
    THRESHOLDS_FAILED = 99
    """The run is valid and a threshold was missed."""
    GUARD = 108
    """A guard aborted the run."""
    INTERRUPTED = 130
    """A second SIGINT or SIGTERM cancelled the requests in flight."""


class FluxError(Exception):
    """Something flux knows how to explain: one clear message, perhaps with a way out."""

    exit_code = ExitCode.FAILURE

    def __init__(self, message: str, *, hint: str | None = None, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        """What only a log is to have, such as a traceback."""

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(FluxError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class HostNotAllowed(FluxError):
    """A host is somebody else's, and nobody allowed the run to talk to it."""

    exit_code = ExitCode.GUARD


class StorageFailed(FluxError):
    """A results folder or file cannot be written."""


class MissingExtra(FluxError):
    """An optional dependency is not installed."""

    def __init__(self, need: str, *, extra: str) -> None:
        super().__init__(
            f"{need} needs the optional dependencies of the extra {extra!r}",
            hint=f'pip install "userflux[{extra}]"',
        )


class WrongOutput(FluxError):
    """A stage sent rows, or told numbers, that its kind must not."""


class StageFailed(FluxError):
    """A stage raised what nobody expected: the stage is named, and the place."""

    def __init__(
        self, stage: str, use: str, package: str, cause: BaseException, place: str = ""
    ) -> None:
        text, hint = f"{type(cause).__name__}: {cause}", None
        details = "".join(traceback.format_exception(cause))
        if isinstance(cause, FluxError):
            text, hint, self.exit_code = cause.message, cause.hint, cause.exit_code
        if isinstance(cause, FluxError) and cause.__cause__ is None:
            details = cause.details  # it explains itself
        elif place:
            text += f" ({place})"
        text = f"stage {stage!r} ({use}, from {package}) failed: {text}"
        super().__init__(text, hint=hint, details=details)


def is_interruption(error: BaseException) -> bool:
    """Whether this is a Ctrl-C, which may come out of nurseries in groups."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)
