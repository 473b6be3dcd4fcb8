"""The picture of a plan: well-formed, and true to the numbers."""

import pathlib
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.cli import invoke
from flux.demand_picture import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    demand_html,
    demand_svg,
    nice_ticks,
)
from flux.errors import ExitCode
from flux.pipeline import load
from flux.plan import Plan, make_plan

SVG = "{http://www.w3.org/2000/svg}"
RAMP = """
duration = "10s"
[[stage]]
use = "constant"
rate = "80/s"
[[stage]]
use = "ramp"
up = "10s"
[[stage]]
use = "null"
"""


def plan_of(text: str, tmp_path: pathlib.Path) -> Plan:
    file = tmp_path / "a & <b>.toml"
    file.write_text(text)
    return make_plan(load(file, environment={}), seed=1)


def heights(picture: ElementTree.Element, kind: str) -> list[float]:
    """The levels that the points of a path stand for."""
    ticks = (one for one in picture.iter(f"{SVG}text") if one.get("text-anchor") == "end")
    top = max(float(one.text or 0) for one in ticks if float(one.get("x", 0)) < 100)
    (path,) = (one for one in picture.iter(f"{SVG}path") if one.get("class") == kind)
    pattern = r"V([\d.]+)H" if kind == "bars" else r"[ML][\d.]+ ([\d.]+)"
    ys = map(float, re.findall(pattern, path.get("d", "")))
    return [(HEIGHT - BOTTOM - y) / (HEIGHT - TOP - BOTTOM) * top for y in ys]


def test_the_line_is_the_level_and_the_bars_are_the_arrivals(tmp_path: pathlib.Path) -> None:
    plan = plan_of(RAMP, tmp_path)
    picture = ElementTree.fromstring(demand_svg(plan))
    line, bars = heights(picture, "line"), heights(picture, "bars")
    assert line[0] == pytest.approx(0, abs=0.3)
    assert line[len(line) // 2] == pytest.approx(40, abs=0.3)
    assert line[-1] == pytest.approx(80, abs=0.3)
    assert line == sorted(line)
    assert sum(bars) * 10 / 62 == pytest.approx(plan.arrivals, rel=0.01)


def test_what_stands_in_a_name_is_text(tmp_path: pathlib.Path) -> None:
    picture = ElementTree.fromstring(demand_svg(plan_of(RAMP, tmp_path)))
    title = picture.find(f"{SVG}title")
    assert title is not None
    assert title.text == "a & <b>: 400 arrivals in 10s, peak 80"


def test_a_page_needs_nothing_else(tmp_path: pathlib.Path) -> None:
    page = demand_html(plan_of(RAMP, tmp_path))
    assert not re.search(r"(src|href)=|@import|url\(", page)


def texts(picture: ElementTree.Element, kind: str) -> list[str]:
    found = (one for one in picture.iter(f"{SVG}text") if kind in str(one.get("class")).split())
    return ["".join(one.itertext()) for one in found]


def test_the_picture_says_what_its_lines_bars_and_axes_are(tmp_path: pathlib.Path) -> None:
    picture = ElementTree.fromstring(demand_svg(plan_of(RAMP, tmp_path)))
    assert texts(picture, "legend") == ["planned rate", "planned arrivals"]
    assert texts(picture, "name") == ["arrivals per second", "time since the run began"]
    users = RAMP.replace('"constant"', '"users"').replace('rate = "80/s"', "users = 80")
    picture = ElementTree.fromstring(demand_svg(plan_of(users, tmp_path)))
    assert texts(picture, "legend") == ["planned users"]
    assert texts(picture, "name")[0] == "users"


def test_a_level_finer_than_the_picture_has_its_band_in_the_legend(tmp_path: pathlib.Path) -> None:
    fine = RAMP.replace('duration = "10s"\n', 'duration = "10s"\ntick = "10ms"\n', 1)
    picture = ElementTree.fromstring(demand_svg(plan_of(fine, tmp_path)))
    legend = ["mean rate", "lowest to highest rate", "planned arrivals"]
    assert texts(picture, "legend") == legend


def test_a_mark_stands_where_each_phase_begins(tmp_path: pathlib.Path) -> None:
    phases = """
    [[phase]]
    name = "get <ready>"
    duration = "2s"
    warmup = true
    [[phase]]
    name = "peak"
    duration = "8s"
    """
    plan = plan_of(RAMP.replace('duration = "10s"\n', "", 1) + phases, tmp_path)
    picture = ElementTree.fromstring(demand_svg(plan))
    marks = [one for one in picture.iter(f"{SVG}line") if one.get("class") == "phase"]
    begin, peak = (float(one.get("x1", 0)) for one in marks)
    assert (peak - begin) / (WIDTH - LEFT - RIGHT) == pytest.approx(0.2, abs=0.001)
    assert texts(picture, "phase-name") == ["get <ready> (warm-up)get <ready>", "peakpeak"]
    assert texts(picture, "legend")[-1] == "warm-up"


def test_users_have_no_bars(tmp_path: pathlib.Path) -> None:
    text = RAMP.replace('"constant"', '"users"').replace('rate = "80/s"', "users = 80")
    picture = ElementTree.fromstring(demand_svg(plan_of(text, tmp_path)))
    assert heights(picture, "bars") == []
    assert heights(picture, "line")[-1] == pytest.approx(80, abs=0.3)


@given(highest=st.floats(1e-6, 1e12))
def test_ticks_reach_the_highest_and_not_far_past_it(highest: float) -> None:
    ticks = nice_ticks(highest)
    assert ticks[-1] >= highest * (1 - 1e-6)
    assert ticks[-2] < highest
    assert 4 <= len(ticks) <= 8


@pytest.mark.parametrize("ending", ["svg", "html"])
def test_the_command_writes_a_picture(tmp_path: pathlib.Path, ending: str) -> None:
    (tmp_path / "ramp.toml").write_text(RAMP)
    out = tmp_path / f"out.{ending}"
    assert invoke(["plan", str(tmp_path / "ramp.toml"), "--plot", str(out)]) == ExitCode.OK
    assert "<svg" in out.read_text()


def test_a_picture_of_another_kind_is_refused(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["plan", str(tmp_path / "x.toml"), "--plot", "out.png"]) == ExitCode.USAGE
    assert invoke(["plan", __file__, "--plot", "out.png"]) == ExitCode.USAGE
    assert "must end in .svg or .html, got out.png" in capsys.readouterr().err
