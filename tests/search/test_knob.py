"""Which key a search turns, and which pipelines it refuses."""

import pathlib

import pytest

from flux.errors import UsageError
from flux.pipeline import Pipeline, load
from flux.search.knob import find_knob
from flux.units import Duration

RATE = '[[stage]]\nuse = "poisson"\nname = "visits"\nrate = "10/s"\n[[stage]]\nuse = "null"\n'
USERS = '[[stage]]\nuse = "users"\nusers = 3\n[[stage]]\nuse = "null"\n'
HELD = '[[threshold]]\nexpect = "max < 1s"\n'


def pipeline_of(text: str, tmp_path: pathlib.Path) -> Pipeline:
    file = tmp_path / "test.toml"
    file.write_text(text if "[[phase]]" in text else 'duration = "1s"\n' + text)
    return load(file, environment={})


def test_a_rate_is_turned_by_the_name_of_its_stage(tmp_path: pathlib.Path) -> None:
    knob = find_knob(pipeline_of(HELD + RATE, tmp_path))
    wanted = ['visits.rate="12.5/s"', 'duration="2s"', "seed=7"]
    assert knob.overrides(12.5, Duration.parse("2s"), 7) == wanted


def test_users_are_turned_in_whole_numbers(tmp_path: pathlib.Path) -> None:
    knob = find_knob(pipeline_of(HELD + USERS, tmp_path))
    assert knob.is_users
    assert knob.overrides(12.0, Duration.parse("2s"), 7)[0] == "users.users=12"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (RATE, "the pipeline has no \\[\\[threshold\\]\\]"),
        (HELD + '[[phase]]\nname = "a"\nduration = "1s"\n' + RATE, "has phases"),
        (HELD + RATE.replace('rate = "10/s"', 'every = "1s"'), "stage 'visits' is not given one"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path: pathlib.Path, text: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        find_knob(pipeline_of(text, tmp_path))
