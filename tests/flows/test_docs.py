"""The page about flows, held to the code."""

import re
from pathlib import Path

import attrs
import pytest
import tomli

from flux.config.structure import structure
from flux.flows.check import check_flow
from flux.flows.options import FlowOptions
from flux.flows.step import Step
from flux.flows.template import FUNCTIONS
from flux.flows.userflux import read_script

PAGE = (Path(__file__).parent.parent.parent / "docs" / "flows.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_every_flow_on_the_page_has_no_problems(text: str) -> None:
    (stage,) = [one for one in tomli.loads(text)["stage"] if one["use"] == "http"]
    found = [structure(Step, table) for table in stage["step"]]
    steps = [step for step, _ in found if step is not None]
    assert [problems for _, problems in found if problems] == []
    options = FlowOptions(let=stage.get("let", {}), headers=stage.get("headers", {}))
    assert list(check_flow(steps, options)) == []


def test_the_script_on_the_page_runs() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert read_script(text, "register.yml").warnings == ()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_page_lists_every_key_of_a_step() -> None:
    for field in attrs.fields(Step):
        assert f"`{field.name}`" in section("Steps")


def test_the_page_lists_every_placeholder() -> None:
    for written, _ in FUNCTIONS.values():
        assert f"`{{{{{written}}}}}`" in section("Placeholders")
