"""The bound on series: sums are conserved, whoever was there stays, and it is told once."""

from hypothesis import given
from hypothesis import strategies as st

from flux.metrics.buckets import Buckets, Edges
from flux.metrics.family import Family, Kind, Point
from flux.metrics.limit import OTHER, SeriesLimit
from flux.summary import Finding
from tests.metrics.rig import context_of, metered_now, values
from tests.outcomes import final_of, request

EDGES = Edges.of_seconds(1, 2)


def family(kind: Kind = "counter") -> Family:
    return Family("x", kind, "", "", lambda _: [], ("name", "place.*"))


def points(amounts: dict[str, int]) -> list[Point]:
    return [Point(amount, {"name": name}) for name, amount in amounts.items()]


@given(
    st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)), max_size=5),
    st.integers(1, 4),
)
def test_sums_are_conserved_and_no_series_falls(grown: list[dict[str, int]], most: int) -> None:
    limit = SeriesLimit(most)
    counts: dict[str, int] = {}
    before: dict[str, int] = {}
    for amounts in grown:
        counts = {name: counts.get(name, 0) + amounts.get(name, 0) for name in [*counts, *amounts]}
        limited = {
            str(point.attributes["name"]): int(point.value)  # type: ignore[arg-type]  # all are int
            for point in limit.points(family(), points(counts))
        }
        assert sum(limited.values()) == sum(counts.values())
        assert len(limited) <= most + 1
        assert all(limited[name] >= value for name, value in before.items())
        before = limited


def test_histograms_are_added_up_too() -> None:
    one = Buckets(EDGES.empty().below + 1, 2, 10)
    limited = list(
        SeriesLimit(1).points(
            family("histogram"), [Point(one, {"name": name}) for name in ("a", "b", "c")]
        )
    )
    assert [point.attributes for point in limited] == [{"name": "a"}, {"name": OTHER}]
    assert limited[1].value == one + one


def test_gauges_beyond_the_limit_are_left_out() -> None:
    limited = list(SeriesLimit(1).points(family("gauge"), points({"a": 1, "b": 1})))
    assert [point.attributes for point in limited] == [{"name": "a"}]


def test_points_with_the_same_labels_are_one() -> None:
    limited = list(SeriesLimit(9).points(family(), [*points({"a": 1}), *points({"a": 2})]))
    assert limited == [Point(3, {"name": "a"})]


def test_it_is_told_once() -> None:
    told = []
    limit = SeriesLimit(1, lambda: told.append("full"))
    for _ in range(3):
        list(limit.points(family(), points({"a": 1, "b": 1})))
    assert told == ["full"]


def test_too_many_steps_are_noted_in_the_result() -> None:
    names = [f"step {number}" for number in range(5)]
    findings: list[Finding] = []
    context = context_of(steps=names, requests=(), report_finding=findings.append)
    rows = [request(step=number) for number in range(5)]
    meter = metered_now([final_of(rows, steps=names)], context=context, max_series=2)
    for name in ("flux.requests", "flux.retries"):
        found = [attributes["flux.step"] for attributes, _ in values(meter, name)]
        assert found == ["step 0", "step 1", OTHER]
    assert [value for _, value in values(meter, "flux.requests")] == [1, 1, 3]
    (finding,) = findings
    assert "max_series = 2" in finding.text
    assert not finding.is_fatal
