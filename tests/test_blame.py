"""Whose fault it was, and where."""

import attrs
import pytest

from flux.blame import RaisedBy, blaming, failure_of, first_of, raised_by
from flux.errors import ExitCode, FluxError, HostNotAllowed, StageFailed, WrongOutput


@attrs.frozen
class Place:
    """Where a stage stands."""

    package: str = "flux-tide"
    name: str = "low-tide"
    use: str = "tide"
    module: str = __name__


def test_what_a_stage_raises_names_it_its_package_and_the_line() -> None:
    with (
        pytest.raises(
            StageFailed,
            match=r"^stage 'low-tide' \(tide, from flux-tide\) failed: "
            r"KeyError: 'sea' \(test_blame.py:\d+\)$",
        ) as caught,
        blaming(Place()),
    ):
        raise KeyError("sea")
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_error_outside_of_the_stages_own_code_has_no_line() -> None:
    with (
        pytest.raises(StageFailed, match=r"failed: KeyError: 'sea'$"),
        blaming(Place(module="flux_tide.tide")),
    ):
        raise KeyError("sea")


def test_a_clear_error_of_a_plug_in_keeps_its_words_its_hint_and_its_exit_code() -> None:
    failure = failure_of(Place(), HostNotAllowed("no such sea", hint="go home"))
    assert str(failure) == (
        "stage 'low-tide' (tide, from flux-tide) failed: no such sea\n  hint: go home"
    )
    assert failure.exit_code is ExitCode.GUARD


def test_a_clear_error_of_a_built_in_stage_stays_as_it_is() -> None:
    error = FluxError("cannot write the log")
    assert failure_of(Place("userflux"), error) is error


def test_wrong_output_names_the_stage_also_of_a_built_in_one() -> None:
    failure = failure_of(Place("userflux"), WrongOutput("it sent a list"))
    assert failure.message == "stage 'low-tide' (tide, from userflux) failed: it sent a list"


def test_a_failure_is_put_down_to_one_stage_once() -> None:
    inner = failure_of(Place(), ValueError("low"))
    assert failure_of(Place(name="other"), inner) is inner


def test_what_another_stages_code_raised_is_found_in_groups() -> None:
    with pytest.raises(RaisedBy) as caught, raised_by("tide"):
        raise ValueError("low")
    stage, error = first_of(ExceptionGroup("", [ExceptionGroup("", [caught.value]), OSError()]))
    assert (stage, repr(error)) == ("tide", "ValueError('low')")
    assert first_of(ExceptionGroup("", [OSError()]))[0] is None
