"""What is wrong with phases: each problem with its place, its rule and a way out."""

import pathlib

import pytest

from flux.config.document import parse
from flux.config.problems import InvalidPipeline
from flux.pipeline import Pipeline, compile_document

STAGES = """
[[stage]]
use = "uniform"
rate = "20/s"
[[stage]]
use = "spikes"
name = "bursts"
every = "1s"
[[stage]]
use = "ramp"
up = "1s"
[[stage]]
use = "limit"
max = "500/s"
[[stage]]
use = "null"
[[stage]]
use = "json"
"""

PHASE = """
[[phase]]
name = "peak"
duration = "5s"
"""


def compile_text(text: str, *overrides: str) -> Pipeline:
    document = parse(text, "test.toml", pathlib.Path(), overrides=overrides, environment={})
    return compile_document(document)


def problems_of(text: str, *overrides: str) -> list[tuple[tuple[str | int, ...], str, str]]:
    with pytest.raises(InvalidPipeline, match="problem") as caught:
        compile_text(text, *overrides)
    return [(one.path, one.rule, one.hint or "") for one in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "path", "rule", "hint"),
    [
        ('stage.unifrom.rate = "1/s"', "unifrom", "names no stage", "did you mean 'uniform'?"),
        ('stage.spikes.every = "1s"', "spikes", "names no stage", "the stages are bursts, json,"),
        ('stage.uniform.rat = "1/s"', "uniform.rat", "is not a known key", "did you mean 'rate'?"),
        ('stage.uniform.rate = "1"', "uniform.rate", "must be a rate", 'write "1/s"'),
        ('stage.uniform.rate = "1G/s"', "uniform.rate", "must be a rate", ""),
        ('stage.uniform.rate = "99M/s"', "uniform.rate", "must be at least 0 and at most", ""),
        ("stage.uniform.jitter = 0.1", "uniform.jitter", "cannot vary by phase", "rate and every"),
        ("stage.uniform.count = 7", "uniform.count", "cannot vary by phase", "rate and every"),
        ('stage.uniform.duration = "7s"', "uniform.duration", "cannot vary by phase", "one stream"),
        ('stage.uniform.use = "normal"', "uniform.use", "cannot vary by phase", "the stages and"),
        ('stage.bursts.inputs = ["ramp"]', "bursts.inputs", "cannot vary by phase", "wiring"),
        ('stage.null.service = "1s"', "null", "cannot vary by phase: 'null' is", "the level of"),
        ('stage.json.path = "a"', "json", "kind sink", "the level of generators"),
        ("stage.ramp = 3", "ramp", "must be a table of the stage's keys", "ramp = { … }"),
        ("stage.ramp.to = -1", "ramp.to", "must be at least 0", ""),
        ('stage.ramp.hold = "1s"', "ramp.hold", "means nothing without down", "stays at to"),
        ('stage.ramp.down = "5s"', "ramp.down", "must fit into the run together with up", ""),
        ("stage.limit.max = 9", "limit.max", "must be a rate below a generator", 'max = "9/s"'),
        (
            'stage.bursts = { min_interval = "2s", max_interval = "1s" }',
            "bursts.min_interval",
            "must not be longer than max_interval",
            "",
        ),
        (
            'stage.bursts = { every = "2s", rate = "1/h" }',
            "bursts",
            "needs either rate or every",
            "says the same as",
        ),
    ],
)
def test_what_a_phase_changes_is_checked_as_the_stage_is(
    line: str, path: str, rule: str, hint: str
) -> None:
    ((found, got_rule, got_hint),) = problems_of(f"{PHASE}{line}\n{STAGES}")
    assert found == ("phase", 0, "stage", *path.split("."))
    assert rule in got_rule
    assert hint in got_hint


@pytest.mark.parametrize(
    ("text", "path", "rule", "hint"),
    [
        ('[[phase]]\nduration = "1s"', ("phase", 0, "name"), "is required", ""),
        ('[[phase]]\nname = "a"', ("phase", 0, "duration"), "is required", ""),
        (
            '[[phase]]\nname = "a"\nduration = "0s"',
            ("phase", 0, "duration"),
            "must be greater than 0",
            "",
        ),
        (
            '[[phase]]\nname = ""\nduration = "1s"',
            ("phase", 0, "name"),
            "must not be empty",
            "",
        ),
        (
            '[[phase]]\nname = "a.b"\nduration = "1s"',
            ("phase", 0, "name"),
            "must be one line of printable text without dots",
            "",
        ),
        (PHASE + PHASE, ("phase", 1, "name"), "is the name of a phase above", ""),
        (
            PHASE + "warm = true",
            ("phase", 0, "warm"),
            "is not a known key",
            "did you mean 'warmup'?",
        ),
        (PHASE + "warmup = 1", ("phase", 0, "warmup"), "must be true or false", ""),
        (PHASE + "warmup = true", ("phase",), "must not all be warm-up", ""),
        ('warmup = "1s"' + PHASE, ("warmup",), "means nothing beside phases", "warmup = true"),
        ('duration = "6s"' + PHASE, ("duration",), "must be at most 5s", "cut a run short"),
        ('duration = "1s"\nwarmup = "1s"', ("warmup",), "must be shorter than duration", ""),
        ('warmup = "0s"', ("warmup",), "must be greater than 0", ""),
        (
            'duration = "5s"'
            + PHASE
            + 'warmup = true\n[[phase]]\nname = "late"\nduration = "1s"\n',
            ("duration",),
            "must be longer than the warm-up that it begins with",
            "",
        ),
    ],
)
def test_phases_and_warmup_have_to_fit_the_run(
    text: str, path: tuple[str | int, ...], rule: str, hint: str
) -> None:
    found, got_rule, got_hint = problems_of(f"{text}\n{STAGES}")[0]
    assert found == path
    assert rule in got_rule
    assert hint in got_hint


def test_a_generator_does_not_outlast_the_phases() -> None:
    text = PHASE + STAGES.replace('rate = "20/s"', 'rate = "20/s"\nduration = "6s"')
    ((path, rule, _),) = problems_of(text)
    assert (path, rule) == (("stage", 0, "duration"), "must be at most 5s, as phases are")


def test_all_problems_come_at_once() -> None:
    text = (
        PHASE
        + 'stage.uniform = { rate = "1", jitter = 1 }\nstage.rampp.up = "1s"\n'
        + STAGES.replace('up = "1s"', "up = 1")
    )
    paths = {path for path, _, _ in problems_of(text)}
    assert paths == {
        ("phase", 0, "stage", "uniform", "rate"),
        ("phase", 0, "stage", "uniform", "jitter"),
        ("phase", 0, "stage", "rampp"),
        ("stage", 2, "up"),
    }


def test_a_stage_that_is_wrong_itself_is_reported_once() -> None:
    text = PHASE + "stage.ramp.to = 2\n" + STAGES.replace('up = "1s"', "up = 1")
    assert [path for path, _, _ in problems_of(text)] == [("stage", 2, "up")]


def test_a_key_of_a_phase_is_set_by_the_name_of_the_phase_or_its_number() -> None:
    text = PHASE + 'stage.uniform.rate = "9/s"\n' + STAGES
    overrides = ("phase.peak.duration=2s", "phase.0.stage.uniform.rate=7/s")
    (phase,) = compile_text(text, *overrides).phases
    assert phase.end_ns == 2_000_000_000
    assert phase.stages["uniform"].rate == 7.0


def test_a_phase_that_is_not_there_cannot_be_set() -> None:
    ((path, rule, hint),) = problems_of(PHASE + STAGES, "phase.peek.duration=2s")
    assert (path, rule) == ((), "has no table for --set phase.peek.duration")
    assert hint == "did you mean 'peak'?"
    ((_, rule, _),) = problems_of('duration = "1s"\n' + STAGES, "phase.peek.duration=2s")
    assert rule == "has no stage 'phase' for --set phase.peek.duration"
