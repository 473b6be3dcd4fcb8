"""Phases: what they make of the demand, exactly where they begin and end."""

import datetime
import pathlib
import textwrap
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.config.document import parse
from flux.phases import Phase, PhaseTable, phases_of, starts_of
from flux.pipeline import Pipeline, compile_document
from flux.plan import Plan, make_plan
from flux.schemas import ARRIVAL, Rows
from flux.stage import Shard
from flux.testing import STARTED_AT
from flux.units import Duration

SECOND = 10**9


def pipeline_of(text: str, **environment: str) -> Pipeline:
    text = textwrap.dedent(text) + '\n[[stage]]\nuse = "null"\n'
    return compile_document(parse(text, "test.toml", pathlib.Path(), environment=environment))


def plan_of(text: str | Pipeline, **options: Any) -> Plan:
    pipeline = text if isinstance(text, Pipeline) else pipeline_of(text)
    return make_plan(pipeline, seed=7, **{"started_at": STARTED_AT, **options})


def arrivals_of(pipeline: Pipeline, shard: Shard | None = None) -> Rows:
    batches: list[Rows] = []
    plan_of(pipeline, shard=shard, take=batches.append)
    return np.concatenate([ARRIVAL.empty(0), *batches])


def phase_text(name: str, duration_ms: int, *lines: str) -> str:
    return "\n".join(["[[phase]]", f'name = "{name}"', f'duration = "{duration_ms}ms"', *lines, ""])


# The timeline.


def table(name: str, seconds: float, *, warmup: bool = False) -> PhaseTable:
    return PhaseTable(name=name, duration=Duration.of_seconds(seconds), warmup=warmup)


def test_phases_follow_one_another() -> None:
    found = phases_of([table("warm", 2, warmup=True), table("peak", 3)], None, None)
    assert found == (
        Phase("warm", 0, 2 * SECOND, is_warmup=True),
        Phase("peak", 2 * SECOND, 5 * SECOND),
    )


def test_warmup_alone_makes_two_phases() -> None:
    assert phases_of([], SECOND, None) == (
        Phase("warm-up", 0, SECOND, is_warmup=True),
        Phase("measured", SECOND, None),
    )


def test_a_run_without_either_has_none() -> None:
    assert phases_of([], None, 5 * SECOND) == ()


@pytest.mark.parametrize(("cut_s", "names"), [(1, "a"), (2, "a"), (2.001, "ab"), (9, "ab")])
def test_phases_that_a_shorter_run_never_reaches_are_left_out(cut_s: float, names: str) -> None:
    tables = [table("a", 2), table("b", 3)]
    found = phases_of(tables, None, round(cut_s * SECOND))
    assert [phase.name for phase in found] == list(names)


@pytest.mark.parametrize(
    ("name", "is_warmup", "title"),
    [
        ("peak", False, "peak"),
        ("first", True, "first (warm-up)"),
        ("warm-up", True, "warm-up"),
    ],
)
def test_the_title_says_once_that_a_phase_is_warmup(name: str, is_warmup: bool, title: str) -> None:
    assert Phase(name, 0, 1, is_warmup=is_warmup).title == title


def test_the_run_is_as_long_as_its_phases() -> None:
    text = phase_text("a", 1500) + phase_text("b", 250) + '[[stage]]\nuse = "users"\nusers = 3'
    assert pipeline_of(text).settings.duration == 1_750_000_000
    assert plan_of(text).duration_ns == 1_750_000_000


def test_a_duration_cuts_phases_short_and_changes_nothing_before() -> None:
    text = """
        {}
        [[phase]]
        name = "a"
        duration = "2s"
        [[phase]]
        name = "b"
        duration = "3s"
        stage.exponential = {{ rate = "80/s" }}
        stage.ramp = {{ up = "1s", down = "1s" }}
        [[stage]]
        use = "exponential"
        rate = "20/s"
        [[stage]]
        use = "ramp"
        up = "1s"
        """
    whole = arrivals_of(pipeline_of(text.format("")))
    cut = arrivals_of(pipeline_of(text.format('duration = "4500ms"')))
    assert cut.tolist() == whole[whole["due_ns"] <= 4_500_000_000].tolist()
    assert len(whole) > len(cut) > 0


# The demand.

LEVELS = st.lists(
    st.tuples(st.integers(1, 900), st.integers(0, 200)), min_size=1, max_size=5
).filter(lambda levels: any(rate for _, rate in levels))  # (milliseconds, arrivals per second)


@settings(max_examples=40)
@given(levels=LEVELS, tick_ms=st.sampled_from([7, 100]))
def test_arrivals_go_on_over_boundaries_as_over_any_change_of_the_level(
    levels: list[tuple[int, int]], tick_ms: int
) -> None:
    head = f'tick = "{tick_ms}ms"\n'
    phases = "".join(
        phase_text(f"p{number}", length_ms, f'stage.exponential = {{ rate = "{rate}/s" }}')
        for number, (length_ms, rate) in enumerate(levels)
    )
    generator = '[[stage]]\nuse = "exponential"\nrate = "3/s"\n'
    steps = ", ".join(
        f'{{ rate = "{rate}/s", duration = "{length_ms}ms" }}' for length_ms, rate in levels
    )
    total = f'duration = "{sum(length_ms for length_ms, _ in levels)}ms"\n'
    by_phases = pipeline_of(head + phases + generator)
    by_steps = pipeline_of(
        head + total + generator + f'[[stage]]\nuse = "steps"\nsteps = [{steps}]'
    )
    assert arrivals_of(by_phases).tolist() == arrivals_of(by_steps).tolist()


@settings(max_examples=25)
@given(levels=LEVELS, count=st.integers(2, 4))
def test_shards_of_a_run_with_phases_make_up_the_whole(
    levels: list[tuple[int, int]], count: int
) -> None:
    phases = "".join(
        phase_text(
            f"p{number}",
            length_ms,
            f'stage.poisson = {{ rate = "{rate}/s" }}',
            *(["stage.noise.amplitude = 0.6"] if number % 2 else []),
        )
        for number, (length_ms, rate) in enumerate(levels)
    )
    pipeline = pipeline_of(
        phases + '[[stage]]\nuse = "poisson"\nrate = "3/s"\n[[stage]]\nuse = "noise"'
    )
    parts = [arrivals_of(pipeline, Shard(index, count)) for index in range(count)]
    union = np.sort(np.concatenate(parts), order="seq")
    assert union.tolist() == arrivals_of(pipeline).tolist()


THREE = """
    [[phase]]
    name = "before"
    duration = "1250ms"
    [[phase]]
    name = "peak"
    duration = "2s"
    {own}
    [[phase]]
    name = "after"
    duration = "1s"
    [[stage]]
    use = "constant"
    rate = "40/s"
    """


def test_constant_arrivals_fill_each_phase_to_the_last() -> None:
    made = plan_of(THREE.format(own='stage.constant = { every = "5ms" }'))
    assert [phase.arrivals for phase in made.phases] == [50, 400, 40]
    assert [phase.wanted for phase in made.phases] == [50, 400, 40]
    assert [phase.mean_level for phase in made.phases] == [40, 200, 40]


def test_the_level_outside_an_override_is_the_stages_own() -> None:
    made = plan_of(THREE.format(own='stage.constant = { rate = "7/s" }'))
    inside = (made.demand["start_ns"] >= 1_250_000_000) & (made.demand["end_ns"] <= 3_250_000_000)
    assert set(made.demand["level"][inside]) == {7.0}
    assert set(made.demand["level"][~inside]) == {40.0}


def test_rows_of_demand_are_cut_where_phases_meet() -> None:
    edges = set(plan_of(THREE.format(own="")).demand["start_ns"].tolist())
    assert {0, 1_250_000_000, 3_250_000_000} <= edges


def test_a_phase_may_send_nothing() -> None:
    made = plan_of(THREE.format(own='stage.constant = { rate = "0/s" }'))
    assert [phase.arrivals for phase in made.phases] == [50, 0, 40]


def test_warmup_moves_no_arrival() -> None:
    text = 'duration = "5s"\n{}\n[[stage]]\nuse = "exponential"\nrate = "90/s"\n'
    plain = arrivals_of(pipeline_of(text.format("")))
    warmed = arrivals_of(pipeline_of(text.format('warmup = "1s"')))
    assert warmed.tolist() == plain.tolist()


def test_a_phase_changes_the_number_of_users() -> None:
    made = plan_of(
        phase_text("few", 1000)
        + phase_text("many", 1000, "stage.users.users = 7")
        + phase_text("few again", 1000)
        + '[[stage]]\nuse = "users"\nusers = 2\n'
    )
    assert [phase.max_level for phase in made.phases] == [2, 7, 2]
    assert [phase.arrivals for phase in made.phases] == [2, 5, 0]  # users that join


# Shapers.

OWN = {
    "ramp": 'up = "300ms"\nfrom = 0.5\ndown = "400ms"',
    "steps": 'steps = [{ level = 2, duration = "450ms" }, { rate = "9/s", duration = "1s" }]',
    "curve": 'segment = [{ kind = "heaviside", to = 2, duration = "750ms" }]',
    "sine": 'period = "700ms"\nphase = 0.2\namplitude = 0.5',
    "spikes": 'every = "200ms"\nfactor = 3\nramp_up = "30ms"\nramp_down = "90ms"',
    "noise": "amplitude = 0.8",
    "limit": 'max = "13/s"',
    "schedule": 'entries = [{ hours = [0], multiplier = 3 }]\ntimezone = "UTC"',
}
"""A shaper of each kind; of a phase of its own it makes what it makes of a run of its own."""

NEUTRAL = {
    "ramp": 'up = "1ms"\nfrom = 1',
    "steps": 'steps = [{ level = 1, duration = "1s" }]',
    "curve": 'segment = [{ kind = "constant", level = 1, duration = "1s" }]',
    "sine": 'period = "1s"\namplitude = 0',
    "spikes": 'every = "1h"\nfactor = 1',
    "noise": "amplitude = 0",
    "limit": 'max = "999/s"',
    "schedule": "entries = []",
}


def inline(keys: str) -> str:
    return f"{{ {', '.join(keys.splitlines())} }}"


@pytest.mark.parametrize("use", list(OWN))
@pytest.mark.parametrize("before_ms", [2000, 1234])
def test_a_shaper_of_a_phase_begins_and_ends_with_it(use: str, before_ms: int) -> None:
    generator = '[[stage]]\nuse = "constant"\nrate = "10/s"\n'
    phased = plan_of(
        phase_text("before", before_ms)
        + phase_text("own", 2100, f"stage.{use} = {inline(OWN[use])}")
        + phase_text("after", 500)
        + generator
        + f'[[stage]]\nuse = "{use}"\n{NEUTRAL[use]}\n'
    )
    alone = pipeline_of(f'duration = "2100ms"\n{generator}[[stage]]\nuse = "{use}"\n{OWN[use]}')
    before_ns = before_ms * 1_000_000
    started_at = STARTED_AT + datetime.timedelta(milliseconds=before_ms)
    expected = plan_of(renamed(alone, use, f"{use}.own"), started_at=started_at).demand
    rows = phased.demand
    rows = rows[(rows["start_ns"] >= before_ns) & (rows["end_ns"] <= before_ns + 2_100_000_000)]
    common = np.isin(rows["start_ns"] - before_ns, expected["start_ns"])
    assert np.count_nonzero(common) == len(expected), "it jumps and bends where it does alone"
    np.testing.assert_allclose(rows["level"][common], expected["level"], rtol=1e-12)
    assert rows["end_level"][-1] == pytest.approx(expected["end_level"][-1], rel=1e-12)
    outside = (phased.demand["end_ns"] <= before_ns) | (
        phased.demand["start_ns"] >= before_ns + 2_100_000_000
    )
    assert set(phased.demand["level"][outside]) == {10.0}


def renamed(pipeline: Pipeline, name: str, new: str) -> Pipeline:
    """The pipeline with one stage called otherwise: its randomness goes by its name."""
    nodes = [
        attrs.evolve(
            node,
            name=new if node.name == name else node.name,
            inputs=tuple(new if one == name else one for one in node.inputs),
        )
        for node in pipeline.nodes
    ]
    return attrs.evolve(pipeline, nodes=tuple(nodes))


@pytest.mark.parametrize("use", list(OWN))
def test_a_shaper_goes_on_in_the_time_of_the_run_where_a_phase_has_no_own(use: str) -> None:
    stages = f'[[stage]]\nuse = "constant"\nrate = "10/s"\n[[stage]]\nuse = "{use}"\n{OWN[use]}\n'
    plain = plan_of(f'duration = "6s"\n{stages}').demand
    made = plan_of(
        phase_text("before", 2000)
        + phase_text("own", 1000, f"stage.{use} = {inline(NEUTRAL[use])}")
        + phase_text("after", 3000)
        + stages
    ).demand
    inside = (made["start_ns"] >= 2 * SECOND) & (made["end_ns"] <= 3 * SECOND)
    assert set(made["level"][inside]) == {10.0}
    kept = plain[(plain["end_ns"] <= 2 * SECOND) | (plain["start_ns"] >= 3 * SECOND)]
    assert made[~inside].tolist() == kept.tolist()


def test_a_phase_keeps_what_it_does_not_say_of_a_shaper() -> None:
    pipeline = pipeline_of(
        phase_text("peak", 5000, 'stage.spikes = { factor = 9, rate = "2/s" }')
        + '[[stage]]\nuse = "constant"\nevery = "1s"\n'
        + '[[stage]]\nuse = "spikes"\nevery = "1s"\nramp_up = "17ms"\n'
    )
    own, base = pipeline.phases[0].stages["spikes"], pipeline.by_name["spikes"].stage
    assert own == attrs.evolve(base, factor=9.0, every=None, rate=own.rate)
    assert own.rate_per_s == 2.0


def test_two_phases_do_not_share_their_randomness() -> None:
    made = plan_of(
        phase_text("a", 2000, "stage.noise.amplitude = 0.5")
        + phase_text("b", 2000, "stage.noise.amplitude = 0.5")
        + '[[stage]]\nuse = "constant"\nrate = "10/s"\n[[stage]]\nuse = "noise"\n'
    )
    half = len(made.demand) // 2
    assert made.demand["level"][0] == made.demand["level"][half] == 10.0
    assert made.demand["level"][:half].tolist() != made.demand["level"][half:].tolist()


def test_starts_are_in_order() -> None:
    phases = phases_of([table("a", 1), table("b", 2), table("c", 1)], None, None)
    assert starts_of(phases).tolist() == [0, SECOND, 3 * SECOND]
