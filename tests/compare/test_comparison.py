"""Two runs compared: what is said of them, of limits, and how it is shown."""

import html.parser
import json
import re

import attrs
import numpy as np
import pytest

from flux.compare.comparison import Comparison, compare
from flux.compare.figures import FEWEST, FIGURES
from flux.compare.limits import Limit, exit_code, judge
from flux.compare.page import comparison_page
from flux.compare.recorded import Recorded
from flux.compare.text import comparison_document, format_comparison
from flux.errors import ExitCode, UsageError
from flux.result_file import result_document
from flux.result_reading import read_back
from tests.compare.samples import recorded, summary_of


def run_with(
    name: str,
    *,
    factor: float = 1.0,
    count: int = 4000,
    failed: float = 0.0,
    steps: tuple[str, ...] = ("buy",),
    is_valid: bool | None = True,
) -> Recorded:
    random = np.random.default_rng(len(name) * 1000 + ord(name[0]))
    times_ns = factor * 20e6 * np.exp(0.3 * random.standard_normal(count))
    return recorded(name, summary_of(times_ns, failed=failed, steps=steps), is_valid=is_valid)


def code_of(comparison: Comparison, *limits: str) -> ExitCode:
    verdicts = judge([Limit.parse(one) for one in limits], [comparison])
    return exit_code([comparison], verdicts)


def test_a_run_is_no_different_from_itself() -> None:
    ours = run_with("a")
    found = {one.certainty for one in compare(ours, ours).differences}
    assert found == {"no difference"}


def test_times_that_are_a_tenth_longer_are_higher_by_a_tenth() -> None:
    comparison = compare(run_with("a"), run_with("b", factor=1.1))
    for latency in ("response", "service"):
        for figure in ("mean", "p50", "p95"):
            one = comparison.find("buy", latency, figure)
            assert one is not None
            assert one.certainty == "higher"
            assert one.interval is not None
            assert one.interval.low < 0.1 < one.interval.high
            assert one.interval.difference == pytest.approx(0.1, abs=0.03)


def test_the_same_files_give_the_same_intervals() -> None:
    ours, theirs = run_with("a"), run_with("b")
    assert compare(ours, theirs).differences == compare(ours, theirs).differences
    assert compare(ours, theirs, seed=2).differences != compare(ours, theirs).differences


def test_a_result_read_back_compares_as_the_run_did() -> None:
    ours, theirs = run_with("a"), run_with("b", factor=1.2)
    document = json.loads(json.dumps(result_document(theirs.summary, theirs.run)))
    read = attrs.evolve(theirs, summary=read_back(document)[0])
    assert compare(ours, read).differences == compare(ours, theirs).differences


@pytest.mark.parametrize("figure", FIGURES)
def test_nothing_is_said_of_one_value_too_few(figure: str) -> None:
    fewest = FEWEST[figure]
    ours = run_with("a")
    enough = compare(ours, run_with("b", count=fewest)).find("buy", "response", figure)
    short = compare(ours, run_with("b", count=fewest - 1)).find("buy", "response", figure)
    assert enough is not None
    assert short is not None
    assert enough.certainty != "too few"
    assert short.certainty == "too few"
    assert short.interval is None


def test_errors_are_compared_in_points() -> None:
    one = compare(run_with("a"), run_with("b", failed=0.02)).find("buy", "", "errors")
    assert one is not None
    assert one.interval is not None
    assert one.interval.difference == pytest.approx(0.02)
    assert one.certainty == "higher"


def test_several_steps_are_compared_one_by_one_and_together() -> None:
    comparison = compare(run_with("a", steps=("login", "buy")), run_with("b", steps=("buy",)))
    assert {one.step for one in comparison.differences} == {"buy", "total"}
    assert "only run a has login" in comparison.notes


def test_runs_without_enough_rows_say_that_intervals_may_be_too_narrow() -> None:
    times_ns = np.full(4000, 20e6)
    ours, theirs = (recorded(name, summary_of(times_ns, seconds=10)) for name in "ab")
    comparison = compare(ours, theirs)
    assert comparison.factors == {}
    assert any("too short for batch means" in note for note in comparison.notes)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ([], ExitCode.OK),
        (["p50 > +5%"], ExitCode.THRESHOLDS_FAILED),
        (["buy:p50 > 5"], ExitCode.THRESHOLDS_FAILED),
        (["buy:service.p50 > +5%"], ExitCode.THRESHOLDS_FAILED),
        (["p50 > +50%"], ExitCode.OK),
        (["p50 < -5%"], ExitCode.OK),
        (["rate < -5%", "errors > +1%"], ExitCode.OK),
        (["p50 > +50%", "mean > +5%"], ExitCode.THRESHOLDS_FAILED),
    ],
)
def test_a_limit_is_missed_by_what_is_beyond_it(limits: list[str], code: ExitCode) -> None:
    assert code_of(compare(run_with("a"), run_with("b", factor=1.2)), *limits) is code


def test_a_difference_that_chance_may_have_made_misses_no_limit() -> None:
    comparison = compare(run_with("a", count=1000), run_with("b", count=1000))
    one = comparison.find("buy", "response", "p99")
    assert one is not None
    assert one.certainty == "no difference"
    assert one.interval is not None
    sign, end = (">", -0.5) if one.interval.difference > 0 else ("<", 0.5)
    assert code_of(comparison, f"p99 {sign} {100 * (one.interval.difference + end)}%") == 0


def test_too_few_values_for_a_limit_and_runs_that_are_not_valid_are_96() -> None:
    ours = run_with("a")
    assert code_of(compare(ours, run_with("b", count=500)), "p99 > +5%") is ExitCode.INVALID_RUN
    assert code_of(compare(ours, run_with("b", count=500))) is ExitCode.OK
    for is_valid in (False, None):
        comparison = compare(ours, run_with("b", factor=1.2, is_valid=is_valid))
        assert code_of(comparison, "p50 > +5%") is ExitCode.INVALID_RUN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99", "a limit must be a figure, > or <, and per cent"),
        ("p98 > 5%", "a limit must be of a figure, got 'p98'"),
        ("p99 > 5ms", "a limit must be a figure, > or <, and per cent"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Limit.parse(text)


def test_a_limit_of_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no step 'byu' is in both runs"):
        code_of(compare(run_with("a"), run_with("b")), "byu:p99 > 5%")


def test_the_text_has_every_figure_within_its_width() -> None:
    comparison = compare(run_with("a"), run_with("b", count=500, factor=1.2))
    text = format_comparison(comparison, judge([Limit.parse("p99 > +5%")], [comparison]))
    assert "p99" in text
    assert "too few: 500 of 1,000" in text
    assert "higher" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_columns_of_the_text_never_run_together() -> None:
    theirs = run_with("b", factor=100_000, count=300)
    text = format_comparison(compare(run_with("a"), theirs))
    for line in text.splitlines():
        if line.startswith("  p50"):
            assert re.fullmatch(r"  p50(  +\S[^ ]*( (ms|s|%|…|[+-]\S+))*){4}  higher", line), line
    heads = [line for line in text.splitlines() if "95 % interval" in line]
    assert {line.rindex("interval") for line in heads} == {heads[0].rindex("interval")}


@pytest.mark.parametrize("seed", range(4))
def test_however_much_runs_vary_nothing_falls_by_more_than_all_of_it(seed: int) -> None:
    """A baseline that is slow for seconds on end, against a run that is as good as always fast."""
    random = np.random.default_rng(seed)
    levels = np.repeat(np.exp(1.5 * random.standard_normal(20)), 400)
    noise = np.exp(0.05 * random.standard_normal((2, 8000)))
    ours, theirs = (
        recorded(name, summary_of(times_ns))
        for name, times_ns in (("a", 20e6 * levels * noise[0]), ("b", 2e6 * noise[1]))
    )
    comparison = compare(ours, theirs)
    assert any(factor > 4 for factor in comparison.factors.values())
    intervals = [one.interval for one in comparison.differences if one.interval]
    assert min(interval.low for interval in intervals) >= -1
    assert max(interval.high for interval in intervals) < 1


def test_what_is_not_told_has_no_difference_either() -> None:
    ours = run_with("a", failed=0.1)
    theirs = attrs.evolve(run_with("b"), has_failures=False)
    one = compare(ours, theirs).find("buy", "", "errors")
    assert one is not None
    assert (one.certainty, one.change, one.interval) == ("not told", None, None)


def test_the_document_is_json_and_has_every_difference() -> None:
    comparison = compare(run_with("a"), run_with("b"))
    document = json.loads(json.dumps(comparison_document([comparison], []), allow_nan=False))
    (one,) = document["comparisons"]
    assert len(one["differences"]) == len(comparison.differences) == 10


class Tags(html.parser.HTMLParser):
    """Checks that what is opened is closed, and notes what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.loaded: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.loaded += [name for name, _ in attributes if name in ("src", "href")]
        if tag != "meta":
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def test_the_page_is_whole_loads_nothing_and_has_a_curve_for_each_run() -> None:
    ours, *others = (run_with(name, steps=("<b>", "buy")) for name in "abc")
    page = comparison_page([compare(ours, one) for one in others], [])
    tags = Tags()
    tags.feed(page)
    assert tags.opened == []
    assert tags.loaded == []
    assert tags.counts["polyline"] == 3 * 3  # two steps and all together
    assert "<b>" not in page
