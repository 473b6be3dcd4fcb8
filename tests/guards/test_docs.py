"""The page about guards, held to the code."""

import pathlib

import pytest

from flux.explain import keys_of
from flux.guards.breaker import Breaker
from flux.guards.budget import Budget

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "guards.md").read_text()


def table_of(cls: type) -> str:
    """The keys of a table at the top of a file, as the page has them."""
    rows = [
        f"| `{key.name}` | {_cell(key.type_text)}{f', {key.range_text}' if key.range_text else ''} "
        f"| {f'`{key.default}`' if key.default else ''} | {key.meaning} |"
        for key in keys_of(cls)
    ]
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


@pytest.mark.parametrize("cls", [Breaker, Budget])
def test_the_page_has_every_key(cls: type) -> None:
    assert table_of(cls) in PAGE


@pytest.mark.parametrize("cls", [Breaker, Budget])
def test_every_key_has_a_meaning(cls: type) -> None:
    assert [key.name for key in keys_of(cls) if not key.meaning] == []
