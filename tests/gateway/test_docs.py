"""The page about the gateway, held to the code."""

import re
from pathlib import Path

import pytest

from flux.gateway.behaviour import ENDPOINTS, parse_latency
from flux.gateway.command import gateway
from flux.gateway.web import HTTP_STATUS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "gateway.md").read_text()


def test_page_lists_every_public_option_and_no_other() -> None:
    options = [
        option
        for parameter in gateway.params
        if not getattr(parameter, "hidden", False)
        for option in parameter.opts
    ]
    assert re.findall(r"^\| `(--[a-z]+)", PAGE, re.MULTILINE) == options


def test_page_lists_every_endpoint_under_the_name_that_options_use() -> None:
    assert tuple(re.findall(r"^\| `(?:GET|POST) .*?\| `(\w+)` \|", PAGE, re.MULTILINE)) == ENDPOINTS


def test_page_lists_every_status() -> None:
    rows = re.findall(r"^\| ([A-Z_]{5,}).*\| (\d+) \|$", PAGE, re.MULTILINE)
    assert {name: int(status) for name, status in rows} == HTTP_STATUS


@pytest.mark.parametrize("text", re.findall(r"`(\w+:\d[^` ]*)`", PAGE))
def test_every_latency_on_the_page_can_be_read(text: str) -> None:
    assert callable(parse_latency(text))
