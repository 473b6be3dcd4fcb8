"""The page about flows, held to the code."""

import re
from pathlib import Path

import attrs
import pytest
import tomli

from flux.config.structure import structure
from flux.flows.step import Step
from flux.flows.template import FUNCTIONS
from flux.flows.userflux import read_script
from flux.flows.weighted import WeightedFlow
from flux.stages.http import Http

PAGE = (Path(__file__).parent.parent.parent / "docs" / "flows.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_every_flow_on_the_page_has_no_problems(text: str) -> None:
    (table,) = [one for one in tomli.loads(text)["stage"] if one.pop("use") == "http"]
    stage, problems = structure(Http, table)
    assert problems == []
    assert stage is not None
    assert stage.steps


def test_the_script_on_the_page_runs() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert read_script(text, "register.yml").warnings == ()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_page_lists_every_key_of_a_step() -> None:
    for field in attrs.fields(Step):
        assert f"`{field.name}`" in section("Steps")


def test_the_page_lists_every_key_of_one_of_several_flows() -> None:
    for field in attrs.fields(WeightedFlow):
        assert f"`{field.name}`" in section("Several flows")


def test_the_page_lists_every_placeholder() -> None:
    for written, _ in FUNCTIONS.values():
        assert f"`{{{{{written}}}}}`" in section("Placeholders")
