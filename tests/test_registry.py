"""Stages are found by entry point, loaded late, and blamed with their package."""

import importlib.metadata
from collections.abc import Iterator

import pytest

from flux.errors import FluxError
from flux.registry import GROUP, find_stages, load_stage


class Package:
    """Just enough of a distribution."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = "1.0"


def point(name: str, value: str, package: str) -> importlib.metadata.EntryPoint:
    bare = importlib.metadata.EntryPoint(name, value, GROUP)
    bound: importlib.metadata.EntryPoint = bare._for(Package(package))  # type: ignore[attr-defined]  # as importlib itself ties the two
    return bound


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[importlib.metadata.EntryPoint]]:
    points: list[importlib.metadata.EntryPoint] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: points)
    yield points  # noqa: PT022  # the patch is undone after the test


def test_built_in_stages_register_like_plug_ins() -> None:
    stages = find_stages()
    assert {"constant", "exponential", "ramp", "http", "collect", "json", "csv"} <= set(stages)
    assert {entry.package for entry in stages.values()} == {"userflux"}


def test_a_stage_that_is_not_there_gets_a_hint() -> None:
    with pytest.raises(FluxError, match=r"there is no stage 'expnential'\n.*'exponential'"):
        load_stage("expnential")


def test_two_packages_with_one_name_are_both_named_once_it_is_used(
    installed: list[importlib.metadata.EntryPoint],
) -> None:
    installed += [
        point("ramp", "a.b:C", "flux-a"),
        point("ramp", "d.e:F", "flux-b"),
        point("hold", "flux.stages.steps:Steps", "flux-a"),
    ]
    assert load_stage("hold").__name__ == "Steps"
    with pytest.raises(
        FluxError,
        match=r"'ramp': flux-a \(a\.b:C\) and flux-b \(d\.e:F\)\n.*uninstall one of them",
    ):
        load_stage("ramp")


def test_of_a_built_in_stage_and_a_plug_in_the_plug_in_is_to_go(
    installed: list[importlib.metadata.EntryPoint],
) -> None:
    installed += [
        point("ramp", "a.b:C", "flux-a"),
        point("ramp", "flux.stages.ramp:Ramp", "userflux"),
    ]
    with pytest.raises(FluxError, match="uninstall flux-a, or give its stage a name of its own"):
        load_stage("ramp")


def test_a_package_that_is_found_twice_brings_its_stages_once(
    installed: list[importlib.metadata.EntryPoint],
) -> None:
    installed += [point("ramp", "flux.stages.ramp:Ramp", "userflux")] * 2
    assert load_stage("ramp").__name__ == "Ramp"


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("no.such.module:X", r"'odd' of package flux-a cannot be imported: No module"),
        ("flux.units:Nothing", r"'odd' of package flux-a cannot be imported: .*Nothing"),
        ("not an entry point", r"'odd' of package flux-a cannot be imported: "),
        ("flux.units:UnitError", r"is no stage: flux\.units:UnitError must be decorated itself"),
        ("flux.units", "must be a class, and is a module"),
        ("flux.stage:Shard", "must have one of the coroutines produce, run and consume"),
    ],
)
def test_a_plug_in_that_does_not_load_is_named(
    value: str, match: str, installed: list[importlib.metadata.EntryPoint]
) -> None:
    installed.append(point("odd", value, "flux-a"))
    with pytest.raises(FluxError, match=match):
        load_stage("odd")


def test_listing_imports_nothing(installed: list[importlib.metadata.EntryPoint]) -> None:
    installed.append(point("odd", "no.such.module:X", "flux-a"))
    assert find_stages()["odd"].target == "no.such.module:X"
