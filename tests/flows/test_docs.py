"""The page about flows, held to the code."""

import re
from pathlib import Path

import pytest
import tomli

from flux.config.structure import structure
from flux.flows.check import check_flow
from flux.flows.options import FlowOptions
from flux.flows.step import METHODS, Step
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


def test_the_page_lists_every_key_of_a_step_and_every_placeholder() -> None:
    steps, placeholders = re.findall(r"^## (?:Steps|Placeholders)\n(.*?)^## ", PAGE + "## ", re.M | re.S)[:2] or ("", "")  # fmt: skip
    for key in (*METHODS, "request", "name", "headers", "query", "json", "form", "body", "file"):
        assert f"`{key}`" in steps
    for key in ("timeout", "expect", "capture", "on_failure", "think"):
        assert f"`{key}`" in steps
    for written, _ in FUNCTIONS.values():
        assert f"`{{{{{written}}}}}`" in placeholders
