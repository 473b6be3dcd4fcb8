"""The pictures of the pages: small, and without anything of the machine that took them."""

import pathlib
import re
import xml.etree.ElementTree as ET

import pytest

DOCS = pathlib.Path(__file__).parent.parent / "docs"
PICTURES = sorted(DOCS.glob("*.svg"))


def test_there_are_pictures_of_the_view_and_of_the_end() -> None:
    assert [picture.name for picture in PICTURES] == ["screen.svg", "summary.svg"]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_small_and_asks_nobody_and_names_no_folder(picture: pathlib.Path) -> None:
    text = picture.read_text()
    assert len(text) < 50_000
    assert "url(http" not in text
    shown = " ".join(ET.fromstring(text).itertext()).replace("\xa0", " ")
    assert "checkout" in shown
    assert re.findall(r"(?<!\S)/(?:tmp|home|root|work|usr)\b\S*", shown) == []


@pytest.mark.parametrize("picture", [*PICTURES, DOCS / "report.png"], ids=lambda one: one.name)
def test_every_picture_is_on_a_page(picture: pathlib.Path) -> None:
    pages = "".join(page.read_text() for page in DOCS.glob("*.md"))
    assert f"]({picture.name})" in pages
    assert picture.stat().st_size < 200_000
