"""From a file to a checked graph: the wiring, and every way it can be wrong."""

import pathlib

import pytest

from flux.config.problems import InvalidPipeline
from flux.pipeline import Pipeline, load


def pipeline_of(text: str, tmp_path: pathlib.Path, *overrides: str) -> Pipeline:
    file = tmp_path / "test.toml"
    file.write_text(text)
    return load(file, overrides=overrides, environment={})


def edges(pipeline: Pipeline) -> set[str]:
    return {f"{one}>{node.name}" for node in pipeline.nodes for one in node.inputs}


ENDS = ("null>collect", "collect>json")
"""What is put in below an executor where nobody wrote it."""


def stages(*uses: str) -> str:
    tables = {
        "exponential": 'rate = "20/s"\n',
        "constant": 'rate = "20/s"\n',
        "users": "users = 3\n",
        "visitors": "iterations = 3\n",
        "ramp": 'up = "1s"\n',
    }
    return 'duration = "2s"\n' + "".join(
        f'[[stage]]\nuse = "{use}"\n{tables.get(use, "")}' for use in uses
    )


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        (
            ["exponential", "ramp", "noise", "null", "collect", "json", "csv"],
            {
                "exponential>ramp",
                "ramp>noise",
                "noise>pacer",
                "pacer>null",
                "null>collect",
                "collect>json",
                "null>csv",
            },
        ),
        (["exponential", "null"], {"exponential>pacer", "pacer>null", *ENDS}),
        (["users", "null"], {"users>roster", "roster>null", *ENDS}),
        (
            ["exponential", "ramp", "visitors", "null"],
            {
                *("exponential>ramp", "ramp>pacer", "pacer>visitors"),
                *("visitors>null", *ENDS),
            },
        ),
        (
            ["users", "ramp", "null", "json"],
            {"users>ramp", "ramp>roster", "roster>null", "null>collect", "collect>json"},
        ),
        (
            ["exponential", "pacer", "null", "collect"],
            {"exponential>pacer", "pacer>null", *ENDS},
        ),
    ],
)
def test_takes_input_from_the_nearest_stage_that_fits(
    uses: list[str], expected: set[str], tmp_path: pathlib.Path
) -> None:
    assert edges(pipeline_of(stages(*uses), tmp_path)) == expected


def test_two_chains_meet_in_one_collector(tmp_path: pathlib.Path) -> None:
    text = stages("exponential", "null", "constant", "null")
    text += '[[stage]]\nuse = "collect"\ninputs = ["null", "null-2"]\n'
    assert edges(pipeline_of(text, tmp_path)) == {
        "exponential>pacer",
        "pacer>null",
        "constant>pacer-null-2",
        "pacer-null-2>null-2",
        "null>collect",
        "null-2>collect",
        "collect>json",
    }


def test_inputs_and_names_override_the_wiring(tmp_path: pathlib.Path) -> None:
    text = """
duration = "1s"
[[stage]]
use = "exponential"
name = "base"
rate = "20/s"
[[stage]]
use = "noise"
[[stage]]
use = "null"
inputs = ["noise"]
"""
    found = edges(pipeline_of(text, tmp_path))
    assert found == {"base>noise", "noise>pacer", "pacer>null", *ENDS}


def test_the_name_of_the_run_is_that_of_the_file_unless_given(tmp_path: pathlib.Path) -> None:
    assert pipeline_of(stages("exponential", "null"), tmp_path).name == "test"
    text = 'name = "other"\n' + stages("exponential", "null")
    assert pipeline_of(text, tmp_path).name == "other"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file has no stages"),
        ('seed = "7"\n' + stages("exponential", "null"), "test.toml:1:8: seed must be"),
        (stages("exponential", "nul"), "did you mean 'null'?"),
        ('[[stage]]\nrate = "1/s"', "stage[0].use is required"),
        (stages("exponential"), "has no executor"),
        (stages("null"), "has no input: no stage above emits ARRIVAL or ROSTER"),
        (stages("exponential", "null", "exponential"), "sends DEMAND that no stage takes"),
        (
            stages("exponential", "users", "null"),
            "gives a rate and users for one flow, which answer different questions",
        ),
        (
            stages("exponential", "ramp", "null") + 'inputs = ["rmap"]',
            "names no stage 'rmap'",
        ),
        (
            stages("exponential", "null", "collect") + 'inputs = ["exponential"]',
            "'exponential' emits DEMAND, collect takes OUTCOME",
        ),
        (
            'duration = "1s"\n[[stage]]\nuse = "exponential"\nrate = "1/s"\n'
            '[[stage]]\nuse = "ramp"\nup = "1s"\ninputs = ["noise"]\n'
            '[[stage]]\nuse = "noise"\ninputs = ["ramp"]\n[[stage]]\nuse = "null"\n',
            "makes a cycle: ramp → noise → ramp",
        ),
        (stages("exponential", "null") + 'name = "exponential"', "is the name of a stage above"),
        (stages("exponential", "null") + 'name = "a.b"', "must be text without dots"),
        (stages("exponential", "null") + "inputs = 5", "must be an array of names of stages"),
        (
            stages("exponential", "null", "csv", "csv"),
            "would write 'requests.csv', which stage 'csv' writes",
        ),
        ("stage = 5", "the file has no stages"),
        ("[[stage]]\nuse = 5", "names no installed stage"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(
    text: str, expected: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InvalidPipeline) as got:
        pipeline_of(text, tmp_path)
    assert expected in str(got.value)
    assert got.value.exit_code == 78


def test_all_problems_come_in_file_order_with_places(tmp_path: pathlib.Path) -> None:
    text = """duration = 30
sed = 7
[[stage]]
use = "exponential"
rate = "20"

[[stage]]
use = "rampp"

[[stage]]
use = "null"
service = "-5ms"
"""
    with pytest.raises(InvalidPipeline) as got:
        pipeline_of(text, tmp_path)
    lines = str(got.value).splitlines()
    places = [line.split("test.toml:")[1] for line in lines if "test.toml:" in line]
    assert [place.split(": ")[0] for place in places] == ["1:12", "2:1", "5:8", "8:7", "12:11"]
    assert lines[-1].startswith("5 problems in ")
    assert "     1 | duration = 30" in lines
    assert "       |            ^^" in lines


def test_stages_with_wrong_keys_are_wired_all_the_same(tmp_path: pathlib.Path) -> None:
    """What is wrong with a stage and with the graph comes in one report, and nothing twice."""
    text = (
        'tick = "1"\n'
        + stages("exponential").replace('"20/s"', "20")
        + '[[stage]]\nuse = "ramp"\nup = 5\ninputs = ["exponentail"]\n'
        + '[[stage]]\nuse = "null"\nservice = 5\n[[stage]]\nuse = "csv"\npath = 5\n'
        + '[[stage]]\nuse = "poisson"\nrate = 5\n'
    )
    with pytest.raises(InvalidPipeline) as got:
        pipeline_of(text, tmp_path)
    found = [(problem.path, problem.rule) for problem in got.value.problems]
    paths = [path for path, _ in found]
    assert ("stage", 1, "inputs") in paths
    assert len(paths) == len(set(paths)) == 7
    text = text.replace('inputs = ["exponentail"]', "")
    with pytest.raises(InvalidPipeline) as got:
        pipeline_of(text, tmp_path)
    rules = [problem.rule for problem in got.value.problems]
    assert "sends DEMAND that no stage takes" in rules
    assert len(rules) == 7


def test_a_wrong_threshold_does_not_hide_what_is_wrong_with_the_graph(
    tmp_path: pathlib.Path,
) -> None:
    text = '[[threshold]]\nexpect = "p(95) < 1"\n' + stages("constant", "null", "csv")
    text = 'duration = "2s"\n' + text.replace('duration = "2s"\n', "") + 'path = "flux.log"\n'
    with pytest.raises(InvalidPipeline) as got:
        pipeline_of(text, tmp_path)
    paths = {problem.path for problem in got.value.problems}
    assert paths == {("threshold", 0, "expect"), ("stage", 2, "path")}


def test_a_run_that_would_never_send_anything_is_refused(tmp_path: pathlib.Path) -> None:
    nothing = stages("constant", "noise", "null").replace("20/s", "0/s")
    with pytest.raises(
        InvalidPipeline, match=r"stage\[0\].rate must be greater than 0 at some time"
    ):
        pipeline_of(nothing, tmp_path)
    phase = '[[phase]]\nname = "a"\nduration = "2s"\n'
    with pytest.raises(InvalidPipeline, match="nothing is ever sent"):
        pipeline_of(nothing + phase, tmp_path)
    pipeline_of(nothing + phase + 'stage.constant.rate = "1/s"\n', tmp_path)
    steps = 'steps = [{ rate = "5/s", duration = "1s" }]'
    pipeline_of(nothing.replace('use = "noise"', f'use = "steps"\n{steps}'), tmp_path)


@pytest.mark.parametrize("name", ["", "  ", "a\\tb"])
def test_a_name_that_shows_nothing_is_refused(name: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidPipeline, match="name must be one line of printable text, and not"):
        pipeline_of(f'name = "{name}"\n' + stages("exponential", "null"), tmp_path)


def test_a_problem_of_an_override_says_so_without_a_place(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidPipeline) as got:
        pipeline_of(stages("exponential", "null"), tmp_path, "exponential.rate=20")
    assert (
        "test.toml with --set exponential.rate=20: "
        'stage[0].rate must be a rate, as in "20/s", got 20\n'
        '  hint: write "20/s"' in str(got.value)
    )


def test_a_missing_variable_is_one_problem(tmp_path: pathlib.Path) -> None:
    text = stages("exponential").replace('"20/s"', '"${NOPE}"') + '[[stage]]\nuse = "null"\n'
    with pytest.raises(InvalidPipeline, match="1 problem in") as got:
        pipeline_of(text, tmp_path)
    assert "needs the environment variable NOPE" in str(got.value)


@pytest.mark.parametrize("name", ["session.toml", "./flux.log", "result.json"])
def test_a_sink_may_not_write_the_files_of_flux(name: str, tmp_path: pathlib.Path) -> None:
    text = stages("exponential", "null", "csv") + f'path = "{name}"\n'
    with pytest.raises(InvalidPipeline, match=r"would write .*, which flux itself writes"):
        pipeline_of(text, tmp_path)


@pytest.mark.parametrize(
    ("path", "written"),
    [("./result.json", ["./result.json"]), ("sum.json", ["sum.json", "result.json"])],
)
def test_the_result_is_written_once_in_its_place_whatever_else_is_asked_for(
    path: str, written: list[str], tmp_path: pathlib.Path
) -> None:
    text = stages("exponential", "null", "json") + f'path = "{path}"\n'
    nodes = pipeline_of(text, tmp_path).nodes
    assert [node.stage.path for node in nodes if node.use == "json"] == written


def test_a_pacer_is_put_in_where_visitors_name_their_generator(tmp_path: pathlib.Path) -> None:
    text = (
        stages("constant")
        + '[[stage]]\nuse = "exponential"\nrate = "20/s"\n'
        + '[[stage]]\nuse = "null"\n'
        + '[[stage]]\nuse = "visitors"\niterations = 2\ninputs = ["constant"]\n'
        + '[[stage]]\nuse = "null"\nname = "visited"\n'
        + '[[stage]]\nuse = "collect"\ninputs = ["null", "visited"]\n'
    )
    assert edges(pipeline_of(text, tmp_path)) == {
        *("exponential>pacer", "pacer>null", *ENDS),
        *("constant>pacer-visitors", "pacer-visitors>visitors"),
        *("visitors>visited", "visited>collect"),
    }
