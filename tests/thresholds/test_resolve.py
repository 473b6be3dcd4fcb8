"""What `[[threshold]]` tables may say, and the report on those that are wrong."""

import pathlib

import pytest

from flux.cli import invoke
from flux.config.problems import InvalidPipeline
from flux.errors import ExitCode
from flux.pipeline import Pipeline, load

STAGES = """
[[stage]]
use = "constant"
rate = "20/s"

[[stage]]
use = "http"
target = "http://127.0.0.1:9"

[[stage.step]]
name = "login"
post = "/login"
tags = { kind = "api", team = "blue" }

[[stage.step]]
get = "/"

[[stage.step]]
name = "list"
get = "/list"
tags = { kind = "api" }
"""


def load_text(text: str, folder: pathlib.Path, **options: list[str]) -> Pipeline:
    file = folder / "test.toml"
    file.write_text(f'duration = "1s"\n{text}{STAGES}')
    return load(file, environment={}, **options)


WRONG = """
[[threshold]]
metric = "respnse"
expect = "p(95) < 1s"

[[threshold]]
step = "logn"
expect = "p95 < 1s"

[[threshold]]
tag = "kind=apo"
expect = "p(95) < 1s"

[[threshold]]
metric = "failed"
error = "time out"
expect = "rate < 1%"
abort = 1

[[threshold]]
metric = "failed"
error = "time_out"
expect = "rate < 1%"
"""


def test_everything_wrong_is_in_one_report_with_its_place(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidPipeline):
        load_text(WRONG, tmp_path)
    assert invoke(["check", str(tmp_path / "test.toml")]) == ExitCode.INVALID_PIPELINE
    report = capsys.readouterr().err
    for place, said in [
        ("4:10", "threshold[0].metric names nothing that is measured"),
        ("8:8", 'threshold[1].step names no step, got "logn"'),
        ("9:10", "threshold[1].expect must begin with one of p(N), avg, min, med, max"),
        ("12:7", 'threshold[2].tag is no step\'s tag, got "kind=apo"'),
        ("19:9", "threshold[3].abort must be true or false, got 1"),
        ("23:9", 'threshold[4].error names no reason to fail, got "time_out"'),
    ]:
        assert f"test.toml:{place}: {said}" in report
    for meant in ("response", "login", "p(95)", "kind=api", "timeout"):
        assert f"did you mean '{meant}'?" in report
    assert report.endswith("6 problems in " + str(tmp_path / "test.toml") + "\n")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('expect = "p(95) < 1s"\nstep = "login"\ntag = "kind=api"', "tag cannot stand beside step"),
        ('expect = "p(95) < 1s"\ntag = "kind"', 'tag must be "name=value"'),
        ('expect = "p(95) < 1s"\nerror = "timeout"', "error can only be given with metric"),
        (
            'metric = "sessions_failed"\nexpect = "rate < 1%"\nstep = "login"',
            "step cannot be given: sessions have no step",
        ),
        (
            'metric = "requests"\nexpect = "count > 9"\nabort = true',
            "abort cannot abort a run: whether a count is reached is known only at the end",
        ),
        (
            'metric = "http_req_duration"\nexpect = "p(95) < 1s"',
            "what k6 calls so is 'response' or 'service' here",
        ),
        ('metric = "checks"\nexpect = "rate > 99%"', "what k6 calls so is 'failed' here"),
        ('expext = "p(95) < 1s"', "expext is not a known key"),
        ('metric = "response"', "expect is required"),
        ('expect = "p(95) < 1s"\nwindow = "0s"', "window must be greater than 0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    table: str, said: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InvalidPipeline) as raised:
        load_text(f"[[threshold]]\n{table}\n", tmp_path)
    assert said in str(raised.value)


def test_thresholds_must_be_tables(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidPipeline, match="threshold must be an array of tables"):
        load_text('threshold = "p(95) < 1s"\n', tmp_path)


def test_a_step_is_not_looked_for_where_the_steps_could_not_be_read(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidPipeline) as raised:
        load_text('[[threshold]]\nexpect = "avg < 1s"\nstep = "x"\n[[stage]]\nuse = "y"', tmp_path)
    assert len(raised.value.problems) == 1


def test_a_tag_stands_for_the_steps_that_carry_it(tmp_path: pathlib.Path) -> None:
    text = '[[threshold]]\nexpect = "avg < 1s"\ntag = "kind=api"\n'
    (threshold,) = load_text(text, tmp_path).thresholds
    assert threshold.steps == ("login", "list")
    assert threshold.title == "response avg < 1s [tag kind=api]"


def test_a_step_of_several_executors_has_the_name_that_reports_give_it(
    tmp_path: pathlib.Path,
) -> None:
    text = """
    [[threshold]]
    expect = "avg < 1s"
    step = "http.login"
    [[stage]]
    use = "constant"
    rate = "1/s"
    [[stage]]
    use = "null"
    [[stage]]
    use = "collect"
    inputs = ["null", "http"]
    """
    (threshold,) = load_text(text, tmp_path).thresholds
    assert threshold.steps == ("http.login",)


def test_tables_at_the_top_can_be_set_from_the_command_line(tmp_path: pathlib.Path) -> None:
    text = '[[threshold]]\nexpect = "avg < 1s"\n'
    overrides = ["threshold.0.expect=max < 2s", "validity.max_lag_p99=3s"]
    pipeline = load_text(text, tmp_path, overrides=overrides)
    assert pipeline.thresholds[0].title == "response max < 2s"
    assert pipeline.settings.validity.max_lag_p99 == 3_000_000_000
    with pytest.raises(InvalidPipeline, match="must be a duration"):
        load_text(text, tmp_path, overrides=["validity.max_stall=1"])


@pytest.mark.parametrize("tags", ['{ "" = "x" }', '{ "a=b" = "x" }', '{ a = "x\\ny" }'])
def test_a_tag_that_could_not_be_named_is_refused(tags: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "test.toml"
    file.write_text(STAGES.replace('{ kind = "api" }', tags))
    with pytest.raises(InvalidPipeline, match="must be one line of printable text"):
        load(file, environment={})
